"""Blocks of the layers in `synthtf.layers.acquisition`."""

from dataclasses import dataclass

from synthtf.ranges import Range
from synthtf.synthesis.blocks.base import Block, Numbers


@dataclass(frozen=True)
class Coils(Block):
    """Of `RandomCoils`: shares of the field of view."""

    num_coils: Range = (4, 16)
    width: Range = (0.3, 0.7)
    distance: Range = (1.0, 1.4)
    probability: float = 0.0


@dataclass(frozen=True)
class Bias(Block):
    """Of `RandomBiasField`."""

    drop: Range = (0, 0.5)
    control_points: Range = (2, 4)
    noise: str = "perlin"
    octaves: Range = (1, 5)
    form: str = "linear"
    std: Range = (0, 0.7)
    probability: float = 1.0


@dataclass(frozen=True)
class Blur(Block):
    """Of `RandomBlur`: mm."""

    std: Range = (0, 2)
    probability: float = 1.0


@dataclass(frozen=True)
class Cupping(Block):
    """Of `RandomCupping`."""

    drop: Range = (0, 0.2)
    probability: float = 0.0


@dataclass(frozen=True)
class Streaks(Block):
    """Of `RandomStreaks`: mm."""

    intensity: Range = (0, 0.4)
    num_sources: Range = (1, 3)
    num_rays: Range = (24, 96)
    reach: Range = (10, 60)
    extent: Range = (2, 8)
    probability: float = 0.0


@dataclass(frozen=True)
class ChemicalShift(Block):
    """Of `RandomChemicalShift`: mm; labels of fat."""

    labels: Numbers = ()
    shift: Range = (-3, 3)
    probability: float = 0.0


@dataclass(frozen=True)
class Distortion(Block):
    """Of `RandomDistortion`, which moves the label map along: mm."""

    shift: Range = (0, 4)
    control_points: Range = (3, 6)
    probability: float = 0.0


@dataclass(frozen=True)
class Motion(Block):
    """Of `RandomMotion`: mm, degrees."""

    translation: Range = (-5, 5)
    rotation: Range = (-5, 5)
    num_shots: Range = (2, 6)
    probability: float = 0.0


@dataclass(frozen=True)
class SliceMotion(Block):
    """Of `RandomSliceMotion`: mm, degrees."""

    thickness: Range = (2, 4)
    translation: Range = (0, 3)
    rotation: Range = (0, 5)
    num_interleaves: Range = (1, 4)
    motion: str = "smooth"
    probability: float = 0.0


@dataclass(frozen=True)
class Ghosting(Block):
    """Of `RandomGhosting`."""

    num_ghosts: Range = (2, 8)
    intensity: Range = (0, 0.8)
    centre: Range = 0.02
    probability: float = 0.0


@dataclass(frozen=True)
class Undersampling(Block):
    """Of `RandomUndersampling`."""

    acceleration: Range = (1, 4)
    centre: Range = (0.08, 0.3)
    pattern: str = "regular"
    probability: float = 0.0


@dataclass(frozen=True)
class PartialFourier(Block):
    """Of `RandomPartialFourier`."""

    fraction: Range = (0.6, 1)
    probability: float = 0.0


@dataclass(frozen=True)
class Truncation(Block):
    """Of `RandomTruncation`."""

    proportion: Range = (0.5, 1)
    probability: float = 0.0


@dataclass(frozen=True)
class Spikes(Block):
    """Of `RandomSpikes`."""

    num_spikes: Range = (1, 3)
    intensity: Range = (0, 0.5)
    probability: float = 0.0


@dataclass(frozen=True)
class Zipper(Block):
    """Of `RandomZipper`: width in mm."""

    intensity: Range = (0, 2)
    width: Range = (1, 4)
    probability: float = 0.0


@dataclass(frozen=True)
class Noise(Block):
    """Of `RandomNoise`: share of the intensity range; correlation in mm."""

    std: Range = (0, 0.1)
    distribution: str = "gaussian"
    num_coils: int = 4
    gain: Range = 1.0
    correlation: Range = 0.0
    probability: float = 1.0


@dataclass(frozen=True)
class Slices(Block):
    """Of `RandomSlices`: mm; axes 0, 1, 2 are sagittal, coronal, axial slices."""

    thickness: Range = (2, 6)
    gap: Range = (0, 1)
    in_plane: Range | None = None
    profile: str = "gaussian"
    interpolation: str = "linear"
    axes: Numbers | None = None
    probability: float = 0.0


@dataclass(frozen=True)
class Resolution(Block):
    """Of `RandomResolution`: voxel size in mm."""

    factor: Range = (1, 4)
    mode: str = "anisotropic"
    interpolation: str = "linear"
    probability: float = 1.0


@dataclass(frozen=True)
class ThickSlices(Block):
    """Of a second `RandomResolution`, across one axis: slice thickness in mm."""

    factor: Range = (1, 8)
    probability: float = 0.0


@dataclass(frozen=True)
class SliceIntensity(Block):
    """Of `RandomSliceIntensity`: thickness in mm."""

    proportion: Range = (0, 0.2)
    gain: Range = (0.2, 1.3)
    interleave_gain: Range = (0.9, 1.1)
    thickness: Range = (2, 4)
    probability: float = 0.0


@dataclass(frozen=True)
class ClearedSlices(Block):
    """Of `RandomClearedSlices`."""

    proportion: Range = (0, 0.1)
    probability: float = 0.0
