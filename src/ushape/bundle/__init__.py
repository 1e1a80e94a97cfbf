"""A trained model as one `.safetensors` file: the weights, and a JSON header with all the rest."""

from ushape.bundle.bundle import Bundle, BundleHeader, find_bundle, load_bundle, save_bundle

__all__ = ["Bundle", "BundleHeader", "find_bundle", "load_bundle", "save_bundle"]
