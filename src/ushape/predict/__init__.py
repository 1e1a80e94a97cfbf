"""Use a trained model: on arrays (`Predictor`), on files and on cases (`predict_cases`)."""

from ushape.predict.files import PredictionSummary, predict_cases, predict_files
from ushape.predict.predictor import Predictor, load

__all__ = ["PredictionSummary", "Predictor", "load", "predict_cases", "predict_files"]
