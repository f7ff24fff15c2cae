"""Two visits of one person, between which something changes."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

import keras
from keras import ops

from synthtf import xla
from synthtf.data.label_table import LabelTable
from synthtf.layers import MapLabels
from synthtf.layers.base import SynthesisLayer, Tensor
from synthtf.layers.scene import Scene
from synthtf.ops.labels import map_labels
from synthtf.ranges import Range
from synthtf.synthesis.build import build
from synthtf.synthesis.recipe import Recipe
from synthtf.synthesis.view_keys import NEVER, Views


def labels_to_visits(
    shape: Sequence[int],
    labels: Sequence[int] | LabelTable | str | os.PathLike,
    recipe: Recipe | Sequence | str | os.PathLike,
    spacing: Range = 1.0,
    *,
    regions: Sequence[int | str | Sequence[int]],
    between: Sequence[str],
    same_contrast: float = 0.0,
) -> keras.Model:
    """Build the model that turns label maps into images of two visits, and into what changes.

    The steps of the recipe up to the first of those `between` make the anatomy, which both visits
    share. Those `between` change it for the second visit. All others are carried out for each visit
    by itself, each with draws of its own: contrast, position, and what else is no change.

    The change of a region is, at each voxel, 1 where the region is at the second visit alone, -1
    where it is at the first visit alone, and 0 elsewhere, on the grid of the anatomy. Its sum over
    voxels is the change of the volume: a boundary shift integral that is known exactly.

    Args:
        shape: spatial shape of the images, two or three axes.
        labels: label values that occur, or a label table or its path; see `Recipe.build`.
        recipe: a recipe, its layers, its name, or its path.
        spacing: mm per voxel of label maps and images, a scalar or one per axis.
        regions: regions whose change is told, see `region_outputs`; a channel each.
        between: names of the steps that happen between the visits, neighbours in the recipe.
        same_contrast: probability that the contrast of both visits is the same, as for scans of one
            protocol.

    Returns:
        Model from `{"labels": int32 (batch, *any, 1), "key": int32 (batch, 2)}` to "image", float32
        `(batch, *shape, 2)` in [0, 1], a channel for each visit; "labels" and "later_labels", int32
        `(batch, *shape, 1)`, the output labels of the first and the second visit; and "change",
        float32 `(batch, *shape, regions)`.

    Raises:
        ValueError: as `Recipe.build`, or if the recipe has not got these parts.

    Example:
    >>> import numpy as np
    >>> from synthtf.layers import RandomErosion, RandomIntensity, RandomWarp
    >>> recipe = [RandomWarp(), RandomErosion([1], distance=4, name="growth"), RandomIntensity()]
    >>> model = labels_to_visits((32, 32), [0, 1], recipe, regions=[1], between=["growth"])
    >>> labels = np.zeros((1, 32, 32, 1), "int32")
    >>> labels[:, 8:24, 8:24] = 1
    >>> sample = model({"labels": labels, "key": np.array([[0, 1]], "int32")})
    >>> tuple(sample["image"].shape), np.unique(sample["change"]).tolist()
    ((1, 32, 32, 2), [0.0, 1.0])

    Reference: Freeborough and Fox, The boundary shift integral: an accurate and robust measure of
        cerebral volume changes from registered repeat MRI, IEEE TMI 1997.
    """
    recipe = Recipe.of(recipe)
    if recipe.coarsening > 1:
        raise ValueError(
            "`recipe` must not change the size of voxels: changes are told on the grid of the "
            f"label map. Received: recipe={recipe!r}"
        )
    anatomy, changes, own = _split(recipe, between)
    table = recipe.table(labels, shape, spacing)
    # Labels stay as fine as they are, for what comes next.
    fine = replace(table, outputs=table.ids)
    groups = region_outputs(regions, table, shape, spacing)
    first = _named("anatomy", anatomy.build(shape, fine, spacing))
    second = _named("changes", changes.build(shape, fine, spacing))
    target = MapLabels(table.mapping, name="target")
    views = Views(2, _sharing(own, same_contrast), are_given=True)
    scans = _named("scans", build(own.steps, shape, fine, spacing, views))

    inputs = {
        name: keras.Input(x.shape[1:], dtype=x.dtype, name=name) for name, x in first.input.items()
    }
    key = inputs["key"]
    before = first(inputs)["labels"]
    after = second({"labels": before, "key": key})["labels"]
    visits = ops.stack([before, after], axis=1)
    made = scans({"labels": ops.reshape(visits, (-1, *visits.shape[2:])), "key": key})["image"]
    images = ops.reshape(made, (-1, 2, *made.shape[1:]))
    outputs = {
        "image": ops.concatenate([images[:, 0], images[:, 1]], axis=-1),
        "labels": target(before),
        "later_labels": target(after),
    }
    outputs["change"] = LabelChange(groups, name="change")(
        [outputs["labels"], outputs["later_labels"]]
    )
    return xla.choose(keras.Model(inputs, outputs, name="synthesis"))


def region_outputs(
    regions: Sequence[int | str | Sequence[int]],
    table: LabelTable,
    shape: Sequence[int],
    spacing: Range = 1.0,
) -> list[tuple[int, ...]]:
    """Give the output labels of regions: those that are in the region themselves.

    A part of a region that counts as something else, such as a vessel that counts as what surrounds
    it, cannot be told from that in the output, and is left out.

    Args:
        regions: labels, tissues of the table, or parts of names; see `region_labels`.
        table: label table.
        shape: spatial shape of the images.
        spacing: mm per voxel.

    Raises:
        ValueError: if a region is not known, or none of its labels counts as itself.
    """
    scene, found = Scene(tuple(shape), spacing, table), []
    for region in regions:
        labels = scene.labels([region])
        outputs = [label for label in labels if label and table.mapping[label] == label]
        if not outputs:
            raise ValueError(
                f"`regions` must be among what is labelled. Received: {region!r}, which the label "
                "table counts as something else"
            )
        found.append(tuple(sorted(outputs)))
    return found


def _named(name: str, model: keras.Model) -> keras.Model:
    """Give a model another name, as there are several in one."""
    return keras.Model(model.input, model.output, name=name)


def _sharing(recipe: Recipe, same_contrast: float) -> Callable[[SynthesisLayer], Range]:
    """Share what comes before there is an image in so many of the samples, and nothing behind."""
    makes = next(i for i, step in enumerate(recipe.steps) if "image" in step.gives)
    contrast = recipe.names[: makes + 1]
    return lambda step: (0.0, same_contrast) if step.name in contrast else NEVER


def _split(recipe: Recipe, between: Sequence[str]) -> tuple[Recipe, Recipe, Recipe]:
    """Give the parts of a recipe: before the first visit, between them, and of each visit."""
    places = sorted(recipe.names.index(recipe[name].name) for name in between)
    if not places or places != list(range(places[0], places[0] + len(places))):
        raise ValueError(
            "`between` must be names of neighbouring steps of the recipe, at least one. "
            f"Received: between={tuple(between)}, steps {', '.join(recipe.names)}"
        )
    start, end = places[0], places[-1] + 1
    anatomy, changes, own = recipe.steps[:start], recipe.steps[start:end], recipe.steps[end:]
    makes = [part for step in (*anatomy, *changes) for part in step.gives]
    if not start or not set(makes) <= {"labels", "transform"} or recipe.needs_scans:
        raise ValueError(
            "`recipe` must begin with a step that makes or moves the label map, must make no image "
            f"before the steps between the visits, and take no real scans. Received: {recipe!r}"
        )
    return Recipe(anatomy), Recipe(changes), Recipe(own)


@keras.saving.register_keras_serializable(package="synthtf")
class LabelChange(SynthesisLayer):
    """Tell where regions have come and gone from one label map to another.

    Args:
        regions: labels of each region; they may overlap.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: two label maps, integer `(batch, *spatial, 1)`.
    Output shape: `(batch, *spatial, regions)`, float32: 1, 0 or -1.
    """

    def __init__(self, regions: Sequence[Sequence[int]], **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.regions = tuple(tuple(int(label) for label in labels) for labels in regions)

    def call(self, inputs: list[Tensor]) -> Tensor:
        """Subtract."""
        found = [
            map_labels(inputs[1], dict.fromkeys(labels, 1))
            - map_labels(inputs[0], dict.fromkeys(labels, 1))
            for labels in self.regions
        ]
        return ops.cast(ops.concatenate(found, axis=-1), "float32")

    def output_spec(self, inputs: list[Tensor]) -> Tensor:
        """A channel per region."""
        return keras.KerasTensor((*inputs[0].shape[:-1], len(self.regions)), "float32")

    def get_config(self) -> dict[str, object]:
        """Give the regions."""
        return {**super().get_config(), "regions": self.regions}
