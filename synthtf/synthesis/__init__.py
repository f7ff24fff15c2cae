"""Recipes that turn label maps into images."""

from synthtf.synthesis.build import FINE_LABELS, random_steps
from synthtf.synthesis.pairs import labels_to_pairs
from synthtf.synthesis.recipe import Recipe
from synthtf.synthesis.view_keys import ALWAYS, NEVER, Views
from synthtf.synthesis.views import keeps_anatomy, labels_to_views
from synthtf.synthesis.visits import labels_to_visits, region_outputs

__all__ = [
    "ALWAYS",
    "FINE_LABELS",
    "NEVER",
    "Recipe",
    "Views",
    "keeps_anatomy",
    "labels_to_pairs",
    "labels_to_views",
    "labels_to_visits",
    "random_steps",
    "region_outputs",
]
