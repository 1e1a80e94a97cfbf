"""Weights from elsewhere: Keras files into networks of the family, and into model files."""

from ushape.weights.convert import Conversion, convert_weights
from ushape.weights.model_file import convert_file

__all__ = ["Conversion", "convert_file", "convert_weights"]
