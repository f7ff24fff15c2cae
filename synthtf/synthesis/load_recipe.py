"""A recipe by its name, its path, or as it is."""

import os
from pathlib import Path

from synthtf.data.shipped_models import shipped_recipes
from synthtf.synthesis.config import SynthesisConfig


def load_recipe(recipe: SynthesisConfig | str | os.PathLike) -> SynthesisConfig:
    """Give a recipe from a path or the name of a preset, or as it is.

    Raises:
        ValueError: if it is none of these, or there is neither such a preset nor such a file.

    Example:
    >>> load_recipe("tutorial") == SynthesisConfig()
    True
    """
    if isinstance(recipe, SynthesisConfig):
        return recipe
    if not isinstance(recipe, str | os.PathLike):
        raise ValueError(
            "a recipe must be a `SynthesisConfig`, the name of a preset or the path of a JSON "
            f"file. Received: {recipe!r}"
        )
    recipes = shipped_recipes()
    if recipe in recipes:
        return SynthesisConfig.preset(recipe)
    if not Path(recipe).is_file():
        raise ValueError(f"{recipe}: neither a file nor one of the recipes {tuple(recipes)}")
    return SynthesisConfig.load(recipe)
