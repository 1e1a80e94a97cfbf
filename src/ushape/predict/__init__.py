"""Use a trained model: on arrays (`Predictor`) and on files (`predict_files`)."""

from ushape.predict.files import PredictionSummary, predict_files
from ushape.predict.predictor import Predictor, load

__all__ = ["PredictionSummary", "Predictor", "load", "predict_files"]
