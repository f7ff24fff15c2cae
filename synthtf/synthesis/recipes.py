"""Recipes: layers chained in the order of the paper."""

import dataclasses
import inspect
import os
from collections.abc import Callable, Sequence
from typing import Any

import keras

from synthtf import layers, xla
from synthtf.data.label_table import LabelTable
from synthtf.ranges import Range, as_spacing, per_axis
from synthtf.synthesis.config import SynthesisConfig
from synthtf.synthesis.load_recipe import load_recipe
from synthtf.synthesis.regions import disjoint_regions, with_lesions
from synthtf.synthesis.sources import has_source, make_labels, source_table


def labels_to_image(
    shape: Sequence[int],
    labels: Sequence[int] | LabelTable | str | os.PathLike,
    config: SynthesisConfig | str | os.PathLike | None = None,
    spacing: Range = 1.0,
    placement: Callable[[Any], Any] | None = None,
) -> keras.Model:
    """Build the model that turns label maps into images of random contrast.

    In the order of an acquisition: geometry, with one nearest-neighbour resampling; anatomy;
    field of view; contrast; coils, k-space, noise and slices; preprocessing. A step whose
    probability is zero is left out.

    Args:
        shape: spatial shape of the output, two or three axes.
        labels: label values that occur, or a label table or its path; its `outputs` the labels
            are mapped to and whose pairs, tissues and brain labels the recipe uses.
        config: ranges and probabilities, the name of a recipe, or its path. None: the tutorial's
            starter ranges.
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
    shape = check_shape(shape)
    config = SynthesisConfig() if config is None else load_recipe(config)
    table = LabelTable.of(labels)
    table = recipe_table(table, config, shape, spacing)
    per_axis(as_spacing(spacing), len(shape))
    inputs = {
        "labels": keras.Input((*(None,) * len(shape), 1), dtype="int32", name="labels"),
        "key": keras.Input((2,), dtype="int32", name="key"),
    }
    step = _Steps(inputs["key"], config, spacing)

    maps = inputs["labels"]
    if has_source(config):
        maps = make_labels(inputs["key"], config, shape, spacing)
    moved = _place(step, maps, shape, table, placement)
    moved = _change_anatomy(step, moved, table)
    seen = step(layers.RandomFieldOfView, "field_of_view", leave_out=("labels",))(moved)
    image = _draw_contrast(step, seen, table)
    image, moved, seen = _acquire(step, image, moved, seen)
    image = _preprocess(step, image, seen, table)

    target = seen if config.field_of_view.labels else moved
    target = layers.MapLabels(table.mapping, name="target")(target)
    outputs = {"image": image, "labels": target}
    return xla.choose(keras.Model(inputs, outputs, name="synthesis"))


def _place(
    step: "_Steps",
    maps: Any,
    shape: tuple[int, ...],
    table: LabelTable,
    placement: Callable[[Any], Any] | None,
) -> Any:
    """Affine and warp, composed, and one interpolation; then flips."""
    affine = step.always(layers.RandomAffine, "affine")(maps)
    warp = step.always(layers.RandomWarp, "warp", shape=shape, full_resolution=False)(maps)
    transforms = [affine, warp] if placement is None else [placement(maps), affine, warp]
    transform = layers.ComposeTransforms(shape=shape, name="transform")(transforms)
    moved = layers.Resample(shape=shape, name="moved")(maps, transform)
    pairs = table.flip_pairs if step.has("flip") else ()
    return step(layers.RandomFlip, "flip", pairs=pairs)(moved)


def _change_anatomy(step: "_Steps", maps: Any, table: LabelTable) -> Any:
    """Structures that are missing, grow, shrink or hold lesions."""
    if step.has("structures"):
        block = step.config.structures
        chances = block.removal_probability
        more = {
            "groups": disjoint_regions(table, block.regions),
            "removal_probability": chances if len(chances) > 1 else chances[0],
        }
        maps = step(layers.RandomStructures, "structures", ("regions",), **more)(maps)
    if step.has("erosion"):
        regions = disjoint_regions(table, step.config.erosion.regions)
        more = {"labels": [label for group in regions for label in group], "fill": None}
        maps = step(layers.RandomErosion, "erosion", ("regions",), **more)(maps)
    if step.has("atrophy"):
        structures = disjoint_regions(table, step.config.atrophy.regions)
        maps = step(layers.RandomAtrophy, "atrophy", ("regions",), labels=structures)(maps)[0]
    return step(layers.RandomLesions, "lesions")(maps)


def _draw_contrast(step: "_Steps", maps: Any, table: LabelTable) -> Any:
    """From labels to intensities: random ones, or the signal of a sequence."""
    parts: dict[int, int] = {}
    if step.has("subdivision"):
        regions = step.config.subdivision.regions
        split = [label for group in disjoint_regions(table, regions) for label in group]
        more = {"labels": split or [v for v in table.ids if v], "offset": max(table.ids) + 1}
        layer = step.make(layers.RandomSubdivision, "subdivision", ("regions",), **more)
        maps = layer(maps, key=step.key)
        parts = {new: old for new, old in layer.mapping.items() if new != old}

    contrast = _contrast(table, step.config.intensity.share, parts)
    share = step.config.signal.probability
    image = None
    if share < 1:
        image = step(layers.RandomIntensity, "intensity", ("share",), **contrast)(maps)
    if share > 0:
        signal = _signal(step, maps, table, parts, contrast["groups"])
        random = layers.RandomMix(weight=0.0, probability=1 - share, name="contrast")
        image = signal if image is None else random([signal, image], key=step.key)
    if step.has("texture"):
        image = step(layers.RandomTexture, "texture", labels=contrast["labels"])([image, maps])
    return image


def _signal(
    step: "_Steps", maps: Any, table: LabelTable, parts: dict[int, int], groups: Any
) -> Any:
    """Signal of a random sequence for the tissues of the table."""
    tissues = dict(zip(table.ids, table.groups, strict=True))
    labels = (*table.ids, *parts)
    tissue_maps = layers.RandomTissueMaps(
        labels, [tissues[parts.get(v, v)] for v in labels], groups, name="tissue_maps"
    )
    maps = tissue_maps(maps, key=step.key)
    maps = step(layers.RandomTransmitField, "transmit_field")(maps)
    return step(layers.SignalModel, "signal", probability=1)(maps)


def _acquire(step: "_Steps", image: Any, moved: Any, seen: Any) -> tuple[Any, Any, Any]:
    """Coils and tube, main field, k-space, noise, slices."""
    image = step(layers.RandomBiasField, "bias")(image)
    image = step(layers.RandomCoils, "coils")(image)
    image = step(layers.RandomCupping, "cupping")(image)
    image = step(layers.RandomStreaks, "streaks")(image)
    image = step(layers.RandomBlur, "blur")(image)
    if step.has("distortion"):
        image, moved, seen = step(layers.RandomDistortion, "distortion")([image, moved, seen])
    if step.has("chemical_shift"):
        fat = step.config.chemical_shift.labels
        shift = step(layers.RandomChemicalShift, "chemical_shift", ("labels",), fat_labels=fat)
        image = shift([image, seen])
    image = step(layers.RandomMotion, "motion")(image)
    image = step(layers.RandomSliceMotion, "slice_motion")(image)
    image = step(layers.RandomGhosting, "ghosting")(image)
    image = step(layers.RandomUndersampling, "undersampling")(image)
    image = step(layers.RandomPartialFourier, "partial_fourier")(image)
    image = step(layers.RandomTruncation, "truncation")(image)
    image = step(layers.RandomSpikes, "spikes")(image)
    image = step(layers.RandomZipper, "zipper")(image)
    image = step(layers.RandomNoise, "noise")(image)
    image = step(layers.RandomGamma, "gamma")(image)
    image = step(layers.RandomSlices, "slices")(image)
    image = step(layers.RandomResolution, "resolution")(image)
    image = step(layers.RandomResolution, "thick_slices", mode="thick-slice")(image)
    image = step(layers.RandomSliceIntensity, "slice_intensity")(image)
    image = step(layers.RandomClearedSlices, "cleared_slices")(image)
    return image, moved, seen


def _preprocess(step: "_Steps", image: Any, labels: Any, table: LabelTable) -> Any:
    """What is done to scans before a network sees them."""
    if step.has("remapping"):
        image = layers.MinMaxNormalize(name="remapping_range")(image)
        image = step(layers.RandomRemapping, "remapping")(image)
    if step.has("window"):
        image = layers.MinMaxNormalize(name="window_range")(image)
        image = step(layers.RandomWindow, "window")(image)
    image = step(layers.RandomInversion, "inversion")(image)
    image = step(layers.RandomClip, "clip")(image)
    image = step(layers.RandomQuantization, "quantization")(image)
    if step.has("deface") and len(image.shape) == 5:
        brain = _brain(table)["labels"]
        image = step(layers.RandomDeface, "deface", labels=brain)([image, labels])
    if step.has("skull_strip"):
        image = step(layers.RandomMask, "skull_strip", **_brain(table))([image, labels])
    image = step(layers.RandomPadding, "padding")(image)
    return layers.MinMaxNormalize(name="image")(image)


def recipe_table(
    table: LabelTable, config: SynthesisConfig, shape: Sequence[int], spacing: Range
) -> LabelTable:
    """Give the table of the label maps after a recipe has made or changed them.

    Args:
        table: of the label maps that the user has.
        config: recipe. One with a source of its own uses the table if it lists all its labels.
        shape: spatial shape of the images.
        spacing: mm per voxel.

    Returns:
        The table of the labels that may occur, with a row for lesions if there are any.
    """
    if has_source(config):
        made = source_table(config, shape, spacing)
        table = table if set(made.ids) <= set(table.ids) else made
    return with_lesions(table, config)


class _Steps:
    """Makes the layer of a config block and calls it with the key; or leaves it out."""

    def __init__(self, key: Any, config: SynthesisConfig, spacing: Range) -> None:
        self.key = key
        self.config = config
        self.spacing = spacing

    def has(self, name: str) -> bool:
        """Whether any sample is changed."""
        return getattr(getattr(self.config, name), "probability", 1) > 0

    def make(self, layer: Any, name: str, leave_out: Sequence[str] = (), **more: Any) -> Any:
        """Make the layer: `more` and the voxel size are its, the block's but `leave_out`, too."""
        block = dataclasses.asdict(getattr(self.config, name))
        arguments = {k: v for k, v in block.items() if k not in leave_out}
        if "spacing" in inspect.signature(layer).parameters:
            arguments["spacing"] = self.spacing
        return layer(**{**arguments, **more}, name=name)

    def always(self, layer: Any, name: str, **more: Any) -> Callable[[Any], Any]:
        """Make the layer even if it changes nothing, for what it returns."""
        made = self.make(layer, name, **more)
        return lambda inputs: made(inputs, key=self.key)

    def __call__(
        self, layer: Any, name: str, leave_out: Sequence[str] = (), **more: Any
    ) -> Callable[[Any], Any]:
        """Make the layer and give a function that calls it; the identity if it is off."""
        if not self.has(name):
            return lambda inputs: inputs
        made = self.make(layer, name, leave_out, **more)
        return lambda inputs: made(inputs, key=self.key)


def _contrast(table: LabelTable, share: str, parts: dict[int, int]) -> dict[str, Any]:
    """Labels of the intensity layer, and which of them share their intensities."""
    number = {label: label for label in table.ids}
    if share == "sides":
        number.update({right: left for left, right in table.pairs})
    elif share == "tissues":
        names = sorted(set(table.groups))
        number = {v: names.index(g) for v, g in zip(table.ids, table.groups, strict=True)}
    elif not parts:
        return {"labels": table.ids, "groups": None, "tissues": _tissues(table, {})}
    # A part shares with the same part of the labels that its structure shares with.
    count: dict[int, int] = {}
    groups = [(number[label], 0) for label in table.ids]
    for old in parts.values():
        count[old] = count.get(old, 0) + 1
        groups.append((number[old], count[old]))
    ranked = sorted(set(groups), key=lambda group: group[::-1])
    order = {group: index for index, group in enumerate(ranked)}
    return {
        "labels": (*table.ids, *parts),
        "groups": [order[group] for group in groups],
        "tissues": _tissues(table, parts),
    }


def _tissues(table: LabelTable, parts: dict[int, int]) -> list[int]:
    """Number of the tissue of each label; what surrounds the brain has no tissue in common."""
    names = sorted(set(table.groups))
    rows = zip(table.ids, table.groups, table.brain, strict=True)
    number = {v: names.index(g) if brain != "no" else len(names) + v for v, g, brain in rows}
    return [number[parts.get(label, label)] for label in (*table.ids, *parts)]


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
