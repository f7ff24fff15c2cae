"""Label maps that a recipe makes from nothing."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from keras import ops

from synthtf.data.label_table import LabelTable
from synthtf.layers import RandomShapes, RandomSpheres, RandomVessels
from synthtf.layers.anatomy.label_source import LabelSource
from synthtf.ranges import Range
from synthtf.synthesis.config import SynthesisConfig

_LAYERS = {"shapes": RandomShapes, "spheres": RandomSpheres, "vessels": RandomVessels}
# Larger than the image on each side: what a transform draws in then is not empty.
_MARGIN = 0.15


def has_source(config: SynthesisConfig) -> bool:
    """Say whether a recipe makes its label maps, and needs none."""
    return config.source.kind != "maps"


def make_labels(key: Any, config: SynthesisConfig, shape: Sequence[int], spacing: Range) -> Any:
    """Make label maps from keys, with a margin around the images.

    Args:
        key: int32 tensor `(batch, 2)`, symbolic.
        config: recipe with a source.
        shape: spatial shape of the images.
        spacing: mm per voxel.

    Returns:
        int32 tensor `(batch, *larger, 1)`.
    """
    return labels_of_keys(key, _layer(config, spacing), _size(shape))


def labels_of_keys(key: Any, layer: LabelSource, shape: Sequence[int]) -> Any:
    """Call a layer that replaces label maps on blank ones of a shape, as many as there are keys."""
    blank = ops.reshape(ops.zeros_like(key[:, :1]), (-1, *(1,) * len(shape), 1))
    return layer(ops.tile(blank, (1, *shape, 1)), key=key)


def source_table(config: SynthesisConfig, shape: Sequence[int], spacing: Range) -> LabelTable:
    """Give the table of all labels that a recipe's source may make; those have no names."""
    largest = _layer(config, spacing).largest_label((None, *_size(shape), 1))
    return LabelTable.from_labels(range(1, largest + 1))


def _layer(config: SynthesisConfig, spacing: Range) -> Any:
    kind = config.source.kind
    return _LAYERS[kind](
        **dataclasses.asdict(getattr(config, kind)), spacing=spacing, name="source"
    )


def _size(shape: Sequence[int]) -> tuple[int, ...]:
    return tuple(n + 2 * math.ceil(_MARGIN * n) for n in shape)
