"""Several images of each sample."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from synthtf import xla
from synthtf.layers.base import SynthesisLayer
from synthtf.ranges import Range
from synthtf.synthesis import build
from synthtf.synthesis.recipe import Recipe
from synthtf.synthesis.view_keys import ALWAYS, NEVER, Views


def keeps_anatomy(step: SynthesisLayer) -> Range:
    """Share what makes, moves or changes label maps: one anatomy in several contrasts."""
    return ALWAYS if "labels" in step.gives or "transform" in step.gives else NEVER


def labels_to_views(
    shape: Sequence[int],
    labels: Any,
    recipe: "Recipe | Sequence | str",
    spacing: Range,
    views: Views,
) -> keras.Model:
    """Build the model that turns a label map into several images.

    The first image of a sample is the one that `Recipe.build` makes of the same key.

    Args:
        shape: spatial shape of the images, two or three axes.
        labels: as for `Recipe.build`.
        recipe: a recipe, its layers, its name, or its path.
        spacing: mm per voxel, a scalar or one per axis.
        views: how many images, and what they share.

    Returns:
        Model from `{"labels": int32 (batch, *any, 1), "key": int32 (batch, 2)}` to
        `{"images": float32 (batch, views, *shape, channels) in [0, 1], "maps": int32 (batch, views,
        *shape, 1)}`, and the first ones as "image" and "labels".

    Raises:
        ValueError: as `Recipe.build`.

    Example:
    >>> import numpy as np
    >>> two = Views(2, keeps_anatomy)
    >>> model = labels_to_views((32, 32), [0, 1], "tutorial", 1.0, two)
    >>> batch = {"labels": np.ones((1, 32, 32, 1), "int32"), "key": np.array([[0, 1]])}
    >>> tuple(model(batch)["images"].shape)
    (1, 2, 32, 32, 1)
    """
    steps = Recipe.of(recipe).steps
    made = build.build(steps, shape, labels, spacing, views)
    found = {
        name: ops.reshape(made.output[part], (-1, views.number, *made.output[part].shape[1:]))
        for name, part in (("images", "image"), ("maps", "labels"))
    }
    first = {"image": found["images"][:, 0], "labels": found["maps"][:, 0]}
    return xla.choose(keras.Model(made.input, {**first, **found}, name="view_synthesis"))
