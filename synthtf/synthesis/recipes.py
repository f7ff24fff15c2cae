"""Recipes: layers chained in the order of the paper."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras

from synthtf import layers, xla
from synthtf.data.label_table import LabelTable
from synthtf.ranges import Range, as_spacing, per_axis
from synthtf.synthesis.config import Intensity, SynthesisConfig


def labels_to_image(
    shape: Sequence[int],
    labels: Sequence[int] | LabelTable,
    config: SynthesisConfig | None = None,
    spacing: Range = 1.0,
    placement: Callable[[Any], Any] | None = None,
) -> keras.Model:
    """Build the model that turns label maps into images of random contrast.

    Geometry first, with one nearest-neighbour resampling; then field of view, contrast,
    bias field, blur, noise, gamma, and resolution; then cleared slices and skull-stripping.

    Args:
        shape: spatial shape of the output, two or three axes.
        labels: label values that occur, or a label table, whose `outputs` the labels
            are mapped to and whose pairs, tissues and brain labels the recipe uses.
        config: ranges and probabilities. None: the tutorial's starter ranges.
        spacing: mm per voxel of label maps and images, a scalar or one per axis.
        placement: layer that gives, for label maps, the matrices by which they are brought into
            place before they are moved at random, `(batch, ndim + 1, ndim + 1)`, in voxels.

    Returns:
        Model from `{"labels": int32 (batch, *any, 1), "key": int32 (batch, 2)}` to
        `{"image": float32 (batch, *shape, 1) in [0, 1], "labels": int32 (batch, *shape, 1)}`.
        The input may be of any size: its centre comes to lie in the centre.

    Raises:
        ValueError: if the shape, a range or the label table does not fit.

    Example:
    >>> import numpy as np
    >>> model = labels_to_image((32, 32), labels=[0, 1])
    >>> batch = {"labels": np.ones((1, 40, 40, 1), "int32"), "key": np.array([[0, 7]], "int32")}
    >>> tuple(model(batch)["image"].shape)
    (1, 32, 32, 1)

    Reference: Hoffmann, Domain-randomized deep learning for neuroimage analysis, 2025.
    """
    shape, config = check_shape(shape), config or SynthesisConfig()
    table = labels if isinstance(labels, LabelTable) else LabelTable.from_labels(labels)
    ndim = len(shape)
    per_axis(as_spacing(spacing), ndim)
    inputs = {
        "labels": keras.Input((*(None,) * ndim, 1), dtype="int32", name="labels"),
        "key": keras.Input((2,), dtype="int32", name="key"),
    }
    step = _Steps(inputs["key"], config)

    maps = inputs["labels"]
    affine = step(layers.RandomAffine, "affine", spacing=spacing)(maps)
    warp = step(layers.RandomWarp, "warp", spacing=spacing, shape=shape, full_resolution=False)(
        maps
    )
    transforms = [affine, warp] if placement is None else [placement(maps), affine, warp]
    transform = layers.ComposeTransforms(shape=shape, name="transform")(transforms)
    moved = layers.Resample(shape=shape, name="moved")(maps, transform)
    if config.flip.probability:
        moved = step(layers.RandomFlip, "flip", pairs=table.pairs)(moved)

    seen = step(layers.RandomFieldOfView, "field_of_view", ("labels",))(moved)
    contrast = _contrast(table, config.intensity)
    image = step(layers.RandomIntensity, "intensity", ("share",), **contrast)(seen)
    image = step(layers.RandomBiasField, "bias")(image)
    image = step(layers.RandomBlur, "blur", spacing=spacing)(image)
    image = step(layers.RandomNoise, "noise")(image)
    image = step(layers.RandomGamma, "gamma")(image)
    image = step(layers.RandomResolution, "resolution", spacing=spacing)(image)
    image = step(layers.RandomResolution, "thick_slices", spacing=spacing, mode="thick-slice")(
        image
    )
    image = step(layers.RandomClearedSlices, "cleared_slices")(image)
    if config.skull_strip.probability:
        image = step(layers.RandomMask, "skull_strip", **_brain(table))([image, seen])
    image = layers.MinMaxNormalize(name="image")(image)

    target = seen if config.field_of_view.labels else moved
    target = layers.MapLabels(table.mapping, name="target")(target)
    outputs = {"image": image, "labels": target}
    return xla.choose(keras.Model(inputs, outputs, name="synthesis"))


class _Steps:
    """Makes the layer of a config block and calls it with the key; or leaves it out."""

    def __init__(self, key: Any, config: SynthesisConfig) -> None:
        self.key = key
        self.config = config

    def __call__(self, layer: Any, name: str, leave_out: Sequence[str] = (), **more: Any) -> Any:
        block = dataclasses.asdict(getattr(self.config, name))
        if block.get("probability") == 0 and name not in ("affine", "warp"):
            return lambda inputs: inputs
        arguments = {k: v for k, v in block.items() if k not in leave_out}
        made = layer(**{**arguments, **more}, name=name)
        return lambda inputs: made(inputs, key=self.key)


def _contrast(table: LabelTable, intensity: Intensity) -> dict[str, Any]:
    """Arguments of the intensity layer that depend on the labels."""
    if intensity.share == "sides":
        number = {label: label for label in table.ids}
        number.update({right: left for left, right in table.pairs})
        groups = [number[label] for label in table.ids]
    elif intensity.share == "tissues":
        names = sorted(set(table.groups))
        groups = [names.index(group) for group in table.groups]
    else:
        groups = None
    return {
        "labels": table.ids,
        "mean": intensity.mean,
        "std": intensity.std,
        "background_probability": intensity.background_probability,
        "groups": groups,
    }


def _brain(table: LabelTable) -> dict[str, Sequence[int]]:
    """What skull-stripping keeps, and the CSF around it that it may keep."""
    if not table.brain_labels:
        raise ValueError(
            "`skull_strip` needs to know the brain: give a label table whose column `brain` "
            "says yes for some labels, or set its probability to 0"
        )
    csf = [label for label, brain in zip(table.ids, table.brain, strict=True) if brain == "csf"]
    return {"labels": table.brain_labels, "optional": csf}


def check_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """Check a spatial shape.

    Raises:
        ValueError: if it is not two or three positive whole numbers.
    """
    sizes = tuple(shape)
    if len(sizes) not in (2, 3) or not all(isinstance(n, int) and n > 0 for n in sizes):
        raise ValueError(f"`shape` must be two or three positive sizes. Received: shape={shape!r}")
    return sizes
