"""From the steps of a recipe to one Keras model."""

import os
from collections.abc import Sequence

import keras

from synthtf import layers, xla
from synthtf.data.label_table import LabelTable
from synthtf.layers.base import RandomLayer, SynthesisLayer
from synthtf.layers.scene import Scene
from synthtf.ranges import Range, as_spacing, per_axis
from synthtf.synthesis.chain import FINE_LABELS, Chain, canvas_shape
from synthtf.synthesis.stages import group
from synthtf.synthesis.view_keys import ALWAYS, ViewKeys, Views

Labels = Sequence[int] | LabelTable | str | os.PathLike | None


def bind(
    steps: Sequence[SynthesisLayer], shape: Sequence[int], labels: Labels, spacing: Range
) -> tuple[list[SynthesisLayer], Scene]:
    """Tell the steps of a recipe what they need to know about labels and voxel size.

    Args:
        steps: steps of the recipe.
        shape: spatial shape of the images.
        labels: as for `Recipe.build`.
        spacing: mm per voxel.

    Returns:
        The steps, without those that are left out, and the scene behind the last one.

    Raises:
        ValueError: if the shape, the voxel size or the label table does not fit.
    """
    shape = check_shape(shape)
    per_axis(as_spacing(spacing), len(shape))
    if labels is None and steps[0].takes:
        raise ValueError("`labels` must be the labels that occur: the recipe makes no label maps")
    table = LabelTable.from_labels([]) if labels is None else LabelTable.of(labels)
    scene, bound = Scene(shape, spacing, table), []
    for step in steps:
        arguments = step.bind(scene)
        if arguments is None:
            continue
        layer = type(step).from_config({**step.get_config(), **arguments})
        if not step.takes:
            largest = layer.largest_label((None, *canvas_shape(shape), 1))
            if not set(range(1, largest + 1)) <= set(table.ids):
                made = LabelTable.from_labels(range(1, largest + 1))
                scene = Scene(shape, spacing, made)
        scene = layer.after(scene)
        bound.append(layer)
    return bound, scene


def build(
    steps: Sequence[SynthesisLayer],
    shape: Sequence[int],
    labels: Labels,
    spacing: Range,
    views: Views | None = None,
) -> keras.Model:
    """Build the model of a recipe, see `Recipe.build`; with `views`, of several rows per sample."""
    bound, scene = bind(steps, shape, labels, spacing)
    inputs = {
        "labels": keras.Input((*(None,) * len(scene.shape), 1), dtype="int32", name="labels"),
        "key": keras.Input((2,), dtype="int32", name="key"),
    }
    if any("scan" in step.takes for step in bound):
        inputs["scan"] = keras.Input((*(None,) * len(scene.shape), 1), name="scan")
    chain = Chain(inputs, check_shape(shape), scene.table, bound)
    if views is None:
        for stage in group(bound):
            getattr(chain, stage.kind)(stage)
    else:
        _chain_views(chain, bound, views)
    outputs = chain.outputs()
    to_target = layers.MapLabels(scene.table.mapping, name="target")
    for name in {"labels", FINE_LABELS} & {*outputs}:
        outputs[name] = to_target(outputs[name])
    return xla.choose(keras.Model(inputs, outputs, name="synthesis"))


def random_steps(synthesis: keras.Model) -> list[tuple[RandomLayer, tuple[int | None, ...]]]:
    """List the random layers of a synthesis model, and the shape of what each is given.

    Those that are carried out together are listed one by one.
    """
    found: dict[str, tuple[RandomLayer, tuple[int | None, ...]]] = {}
    for layer in synthesis.layers:
        if not isinstance(layer, SynthesisLayer):
            continue
        shape = getattr(layer, "shape", None)
        shape = (None, *shape, 1) if shape else tuple(keras.tree.flatten(layer.input)[0].shape)
        for step in [layer, *getattr(layer, "steps", ())]:
            if isinstance(step, RandomLayer):
                found.setdefault(step.name, (step, shape))
    return list(found.values())


def _chain_views(chain: Chain, steps: Sequence[SynthesisLayer], views: Views) -> None:
    """Carry out the steps for several images of each sample; what all share at first, once."""
    intervals = sorted({ALWAYS, *map(views.shared, steps)})
    keys = {
        shared: ViewKeys(views.number, shared, name=f"view_keys_{index}")(chain.key)
        for index, shared in enumerate(intervals)
    }
    is_spread = views.are_given
    for stage in group(steps, views.shared):
        shared = views.shared(stage.steps[0])
        if not is_spread and shared != ALWAYS:
            chain.repeat_rows(views.number)
            is_spread = True
        chain.key = keys[shared] if is_spread else chain.key
        getattr(chain, stage.kind)(stage)
    if not is_spread:
        chain.repeat_rows(views.number)
        chain.key = keys[ALWAYS]


def check_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """Check a spatial shape.

    Raises:
        ValueError: if it is not two or three positive whole numbers.
    """
    sizes = tuple(shape)
    if len(sizes) not in (2, 3) or not all(isinstance(n, int) and n > 0 for n in sizes):
        raise ValueError(f"`shape` must be two or three positive sizes. Received: shape={shape!r}")
    return sizes
