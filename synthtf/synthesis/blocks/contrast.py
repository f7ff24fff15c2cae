"""Blocks of the layers in `synthtf.layers.contrast`."""

from dataclasses import dataclass

from synthtf.ranges import Range
from synthtf.synthesis.blocks.base import Block


@dataclass(frozen=True)
class Intensity(Block):
    """Of `RandomIntensity`; `share` is "none", or "sides" or "tissues" of the label table.

    The similar means of `tissue_probability` are those of the tissues of the brain, and of CSF.
    """

    mean: Range = (0, 1)
    std: Range = (0, 0)
    share: str = "none"
    background_probability: float = 0.5
    tissue_probability: float = 0.0
    tissue_spread: Range = (0, 0.15)

    def __post_init__(self) -> None:
        """Normalise and check."""
        super().__post_init__()
        if self.share not in ("none", "sides", "tissues"):
            raise ValueError(
                '`intensity.share` must be "none", "sides" or "tissues". '
                f"Received: share={self.share!r}"
            )


@dataclass(frozen=True)
class Signal(Block):
    """Of `RandomTissueMaps` and `SignalModel`, with the tissues of the label table.

    The probability is that a sample shows a sequence's signal instead of random intensities.
    """

    sequence: str = "random"
    probability: float = 0.0


@dataclass(frozen=True)
class TransmitField(Block):
    """Of `RandomTransmitField`, part of the signal: mm."""

    brightening: Range = (0, 0.3)
    width: Range = (50, 90)
    variation: Range = (0, 0.05)
    control_points: Range = (2, 4)
    probability: float = 0.0


@dataclass(frozen=True)
class Texture(Block):
    """Of `RandomTexture`: size in mm."""

    std: Range = (0, 0.05)
    size: Range = (6, 30)
    probability: float = 0.0


@dataclass(frozen=True)
class Gamma(Block):
    """Of `RandomGamma`."""

    gamma: Range = (0.5, 1.5)
    probability: float = 1.0


@dataclass(frozen=True)
class Remapping(Block):
    """Of `RandomRemapping`."""

    control_points: Range = (3, 8)
    increasing: float = 0.5
    keep_zero: float = 0.5
    strength: Range = (0.3, 1)
    locality: Range = (0, 0.5)
    probability: float = 0.0
