"""Recipes that turn label maps into images, and their ranges."""

from synthtf.synthesis.config import SynthesisConfig
from synthtf.synthesis.recipes import labels_to_image

__all__ = ["SynthesisConfig", "labels_to_image"]
