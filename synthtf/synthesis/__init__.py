"""Recipes that turn label maps into images."""

from synthtf.synthesis.build import random_steps
from synthtf.synthesis.pairs import labels_to_pairs
from synthtf.synthesis.recipe import Recipe

__all__ = ["Recipe", "labels_to_pairs", "random_steps"]
