"""Recipes that turn label maps into images, and their ranges."""

from synthtf.synthesis.config import SynthesisConfig
from synthtf.synthesis.load_recipe import load_recipe
from synthtf.synthesis.pairs import labels_to_pairs
from synthtf.synthesis.recipes import labels_to_image
from synthtf.synthesis.shapes import shapes_to_labels, spheres_to_labels, vessels_to_labels

__all__ = [
    "SynthesisConfig",
    "labels_to_image",
    "labels_to_pairs",
    "load_recipe",
    "shapes_to_labels",
    "spheres_to_labels",
    "vessels_to_labels",
]
