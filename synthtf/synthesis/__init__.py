"""Recipes that turn label maps into images."""

from synthtf.synthesis.build import random_steps
from synthtf.synthesis.pairs import labels_to_pairs
from synthtf.synthesis.recipe import Recipe
from synthtf.synthesis.visits import labels_to_visits

__all__ = ["Recipe", "labels_to_pairs", "labels_to_visits", "random_steps"]
