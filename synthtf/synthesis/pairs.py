"""Pairs of images for registration."""

import math
import os
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from synthtf import random, xla
from synthtf.data.label_table import LabelTable
from synthtf.layers import AlignPairs, KeepScan, MapLabels, RandomShapes, Resample, ShowScan
from synthtf.layers.base import SynthesisLayer, Tensor
from synthtf.ranges import Range, as_range
from synthtf.synthesis.recipe import Recipe

# Shapes are larger than the image on each side: what a warp draws in then is shapes, too.
_SHAPES_MARGIN = 0.15

_SCAN = "pair_scan"


def labels_to_pairs(
    shape: Sequence[int],
    labels: Sequence[int] | LabelTable | str | os.PathLike,
    recipe: Recipe | Sequence | str | os.PathLike,
    spacing: Range = 1.0,
    same_anatomy: bool = False,
    shapes: float = 0.0,
    aligned: bool = False,
) -> keras.Model:
    """Build the model that turns label maps into pairs of images of different contrast.

    Each sample of a batch is synthesised by itself, with its own key, as `Recipe.build` does it;
    then the first and the second, the third and the fourth, ... make a pair.

    Args:
        shape: spatial shape of the images, two or three axes.
        labels: label values that occur, or a label table or its path; see `Recipe.build`.
        recipe: a recipe, its layers, its name, or its path.
        spacing: mm per voxel of label maps and images, a scalar or one per axis.
        same_anatomy: make both images of a pair of the first of the two label maps, which is
            then deformed twice, as for longitudinal scans; the second is not used.
        shapes: probability that a pair shows random shapes (`RandomShapes`) instead of anatomy;
            both images are then of the same shapes, which take the labels of the structures in
            the table. At 1, the label maps do not matter: any will do, such as `np.ones(shape)`.
        aligned: before they are moved at random, bring both label maps of a pair into the space
            in the middle by the affine transform that fits the centres of their structures: pairs
            as a deformable network that comes after an affine one meets them.

    Returns:
        Model from `{"labels": int32 (2 · pairs, *any, 1), "key": int32 (2 · pairs, 2)}` to
        `{"moving", "fixed"}`, float32 `(pairs, *shape, 1)` in [0, 1]; `{"moving_labels",
        "fixed_labels"}`, int32 `(pairs, *shape, 1)`; and "regularization", float32
        `(pairs, 1)`, drawn from [0, 1] for each pair, for a network that takes it as an input.

        A recipe that shows real scans (`Recipe.with_scans`) has the further input "scan", and
        gives "moving_scan" and "fixed_scan", float32 `(pairs, *shape, 1)`, the scans moved as the
        images are and not changed else; and "real", float32 `(pairs, 1)`, 1 where both samples
        have scans, else 0.

    Raises:
        ValueError: as `Recipe.build`, or if the recipe makes label maps of its own, or keeps
            real scans as a target.

    Example:
    >>> import numpy as np
    >>> model = labels_to_pairs((32, 32), labels=[0, 1], recipe="tutorial")
    >>> batch = {"labels": np.ones((2, 32, 32, 1), "int32"), "key": np.array([[0, 1], [0, 2]])}
    >>> sorted(model(batch))
    ['fixed', 'fixed_labels', 'moving', 'moving_labels', 'regularization']

    Reference: Hoffmann et al., SynthMorph, IEEE TMI 2022.
    """
    recipe = Recipe.of(recipe)
    if recipe.makes_labels:
        raise ValueError(
            "pairs show the same shapes with `shapes=1`; `recipe` must make no label maps of its "
            f"own. Received: recipe={recipe!r}"
        )
    if any(isinstance(step, KeepScan) for step in recipe):
        raise ValueError(
            "`recipe` must not keep real scans: pairs have no such target. "
            f"Received: recipe={recipe!r}"
        )
    shows_scans = any(isinstance(step, ShowScan) for step in recipe)
    if shows_scans:
        recipe = Recipe([*recipe, KeepScan(name=_SCAN)])
    table = LabelTable.of(labels)
    if aligned:
        recipe = Recipe([AlignPairs(), *recipe])
    single = recipe.build(shape, table, spacing)
    inputs = {
        name: keras.Input(x.shape[1:], dtype=x.dtype, name=name) for name, x in single.input.items()
    }
    maps = inputs["labels"]
    if same_anatomy:
        maps = ops.repeat(maps[::2, ...], 2, axis=0)
    if as_range(shapes, "shapes", 0, 1)[1]:
        maps = _with_shapes(maps, inputs["key"], shape, table, spacing, shapes)
    samples = single({**inputs, "labels": maps})
    outputs = {
        "moving": samples["image"][0::2, ...],
        "fixed": samples["image"][1::2, ...],
        "moving_labels": samples["labels"][0::2, ...],
        "fixed_labels": samples["labels"][1::2, ...],
        "regularization": DrawRegularization(name="regularization")(inputs["key"]),
    }
    if shows_scans:
        outputs["moving_scan"] = samples[_SCAN][0::2, ...]
        outputs["fixed_scan"] = samples[_SCAN][1::2, ...]
        outputs["real"] = _both_shown(inputs["scan"])
    return xla.choose(keras.Model(inputs, outputs, name="pair_synthesis"))


def _both_shown(scans: Tensor) -> Tensor:
    """Say for each pair whether both have a scan, which is not 0 everywhere."""
    shown = ops.max(ops.abs(scans), axis=tuple(range(1, len(scans.shape) - 1)))
    return ops.cast(ops.minimum(shown[0::2, ...], shown[1::2, ...]) > 0, "float32")


def _with_shapes(
    maps: Tensor,
    key: Tensor,
    shape: Sequence[int],
    table: LabelTable,
    spacing: Range,
    probability: float,
) -> Tensor:
    """Replace both maps of some pairs by the same shapes, labelled as structures of the table."""
    structures = {table.mapping[label]: label for label in reversed(table.ids)}
    structures.pop(0, None)
    # Out of the way of the labels of the shapes, which are 1, 2, ...
    first = 1 + max(len(structures), *table.ids)
    numbers = {label: first + index for index, label in enumerate(table.ids)}
    names = {number: label for label, number in numbers.items()}
    names.update(enumerate(structures.values(), start=1))

    size = tuple(n + 2 * math.ceil(_SHAPES_MARGIN * n) for n in shape)
    still = ops.cast(key[:, :1, None], "float32") * 0 + np.eye(len(size) + 1, dtype="float32")
    maps = Resample(shape=size, name="canvas")(maps, still)
    maps = MapLabels(numbers, name="numbers")(maps)
    layer = RandomShapes(
        len(structures), spacing=spacing, probability=probability, name="random_shapes"
    )
    maps = layer(maps, key=ops.repeat(key[::2, ...], 2, axis=0))
    return MapLabels(names, name="names")(maps)


@keras.saving.register_keras_serializable(package="synthtf")
class DrawRegularization(SynthesisLayer):
    """Draw the weight of the regularisation for each pair, from the key of its first sample.

    Input shape: `(2 · pairs, 2)`, int32.
    Output shape: `(pairs, 1)`, float32.
    """

    def call(self, key: Tensor) -> Tensor:
        """Draw, uniformly from [0, 1]."""
        return random.uniform(random.fold_in(key[::2], self.name), (1,), 0.0, 1.0)

    def output_spec(self, key: Tensor) -> Tensor:
        """One number per pair."""
        batch = key.shape[0]
        return keras.KerasTensor((batch and batch // 2, 1), "float32")
