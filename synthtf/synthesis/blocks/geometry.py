"""Blocks of the layers in `synthtf.layers.geometry`."""

from dataclasses import dataclass

from synthtf.ranges import Range
from synthtf.synthesis.blocks.base import Block


@dataclass(frozen=True)
class Affine(Block):
    """Of `RandomAffine`: mm, degrees, ratio, off-diagonal entries."""

    translation: Range = (-30, 30)
    rotation: Range = (-30, 30)
    scaling: Range = (0.9, 1.1)
    shear: Range = (-0.1, 0.1)
    probability: float = 1.0


@dataclass(frozen=True)
class Warp(Block):
    """Of `RandomWarp`: strength in mm."""

    strength: Range = (0, 20)
    control_points: Range = (2, 16)
    noise: str = "perlin"
    octaves: Range = (1, 5)
    diffeomorphic: bool = True
    integration_steps: int = 5
    probability: float = 1.0


@dataclass(frozen=True)
class Flip(Block):
    """Of `RandomFlip`: needs left-right pairs in the label table."""

    axis: int = 0
    probability: float = 0.0


@dataclass(frozen=True)
class FieldOfView(Block):
    """Of `RandomFieldOfView`; `labels` also crops the label map that the task sees."""

    proportion: Range = (0, 0.2)
    num_axes: Range = 1
    labels: bool = False
    probability: float = 1.0
