"""Blocks of the layers in `synthtf.layers.preprocessing`."""

from dataclasses import dataclass

from synthtf.ranges import Range
from synthtf.synthesis.blocks.base import Block


@dataclass(frozen=True)
class Inversion(Block):
    """Of `RandomInversion`."""

    foreground: bool = True
    probability: float = 0.0


@dataclass(frozen=True)
class Window(Block):
    """Of `RandomWindow`: shares of the intensity range."""

    level: Range = (0.3, 0.7)
    width: Range = (0.4, 1)
    probability: float = 0.0


@dataclass(frozen=True)
class Clip(Block):
    """Of `RandomClip`: shares of the voxels."""

    low: Range = (0, 0.02)
    high: Range = (0, 0.02)
    foreground: bool = True
    probability: float = 0.0


@dataclass(frozen=True)
class Quantization(Block):
    """Of `RandomQuantization`."""

    bits: Range = (4, 12)
    probability: float = 0.0


@dataclass(frozen=True)
class Deface(Block):
    """Of `RandomDeface`, in 3D: keeps the brain of the label table; mm, degrees."""

    margin: Range = (2, 15)
    angle: Range = (10, 50)
    roughness: Range = (0, 10)
    probability: float = 0.0


@dataclass(frozen=True)
class SkullStrip(Block):
    """Of `RandomMask`: all but the brain of the label table set to zero; border in mm."""

    border: Range = (0, 0)
    roughness: Range = (0, 0)
    roughness_size: Range = (10, 40)
    probability: float = 0.0


@dataclass(frozen=True)
class Padding(Block):
    """Of `RandomPadding`."""

    proportion: Range = (0, 0.2)
    value: Range = (0, 1)
    mode: str = "constant"
    probability: float = 0.0
