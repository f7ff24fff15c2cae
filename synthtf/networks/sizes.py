"""Sizes of networks, without Keras."""

import functools
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from synthtf.arguments import Limits, as_whole_numbers
from synthtf.options import Options, option, options


def _as_counts(values: Any, name: str) -> tuple[int, ...]:
    """Check a list of whole numbers above 0, at least one."""
    found = as_whole_numbers(values, name)
    if not found or min(found) < 1:
        raise ValueError(
            f"`{name}` must be whole numbers of at least 1. Received: {name}={values!r}"
        )
    return found


def _as_pairs(values: Any, name: str) -> tuple[tuple[int, int], ...]:
    """Check pairs of channels."""
    pairs = tuple(as_whole_numbers(pair, name) for pair in values)
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"`{name}` must be pairs of channels. Received: {name}={values!r}")
    return pairs


@options
class UNetConfig(Options):
    """Size and style of a U-Net. The defaults are SynthSeg's, but for the normalisation."""

    features: Annotated[int, Limits(1)] = option(24, "feature maps of the first level")
    levels: Annotated[int, Limits(1)] = option(
        5, "resolution levels; each but the first halves the resolution"
    )
    convolutions: Annotated[int, Limits(1)] = option(
        2, "convolutions per level, on the way down and on the way up"
    )
    multiplier: Annotated[float, Limits(0.0625, 16)] = option(
        2.0, "ratio of the feature maps of a level to those of the level above"
    )
    max_features: Annotated[int, Limits(1)] | None = option(
        None, "largest number of feature maps of a level; none for no limit"
    )
    kernel_size: Annotated[int, Limits(1)] = option(3, "voxels per axis of each convolution kernel")
    activation: str = option("elu", "name of a Keras activation, after each convolution")
    normalization: Literal["instance", "batch"] | None = option(
        "instance",
        "by statistics of each sample and channel (instance) or of the batch, or none; at a batch "
        "size of 1, batch normalisation does not work at inference, it is for published weights",
    )
    mixture_channels: Annotated[int, Limits(0)] = option(
        0,
        "channels of a Gaussian mixture by which the last layer adapts to the contrast of each "
        "image; 0 for SynthSeg's plain U-Net",
    )
    side_channel: bool = option(
        True,
        "let one channel tell left from right for all structures that come in pairs, instead of "
        "learning the two sides of each apart",
    )
    fine_features: Annotated[int, Limits(0)] = option(
        0,
        "feature maps of a thin level of one convolution each way, above the first level and of "
        "twice its resolution: at 1 mm, all others then work at 2 mm and coarser; 0 for none",
    )
    without_skips: Annotated[int, Limits(0)] = option(
        0,
        "levels, from the finest, that see on the way up only what comes up, not the features of "
        "the way down; SynthSeg's denoiser has 2",
    )

    @property
    def multiple(self) -> int:
        """Number that every spatial size of the input must be a multiple of."""
        return 2 ** (self.levels - 1 + bool(self.fine_features))

    def level_features(self, level: int) -> int:
        """Feature maps of a level; 0 is the full resolution."""
        count = max(1, round(self.features * self.multiplier**level))
        return count if self.max_features is None else min(count, self.max_features)


@options
class DetectorConfig(Options):
    """Size of the network that detects corresponding features in each of two images."""

    num_features: Annotated[int, Limits(4)] = option(
        32, "feature maps; each becomes one pair of points"
    )
    backbone: UNetConfig = option(
        factory=functools.partial(UNetConfig, 16, 4, max_features=64), text="U-Net that finds them"
    )
    halve: bool = option(
        True,
        "begin with a convolution of stride two; the U-Net then works on voxels of twice the size",
    )
    competing: bool = option(
        False,
        "let the maps compete with each other and with a background for each voxel, as the classes "
        "of a segmentation do; with `mixture_channels` they do in any case",
    )
    pairs: Annotated[Sequence[Sequence[int]], _as_pairs] = option(
        (),
        "left and right map of each structure that has both, for the `side_channel` of the "
        "backbone of maps that compete",
    )

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        if self.pairs and not self.competes:
            raise ValueError(f"`pairs` are for maps that compete. Received: pairs={self.pairs}")

    @property
    def competes(self) -> bool:
        """Whether the maps compete for each voxel."""
        return self.competing or self.backbone.mixture_channels > 0

    @property
    def step(self) -> int:
        """Voxels of the image per voxel of the feature maps, along each axis."""
        return 2 if self.halve else 1

    @property
    def multiple(self) -> int:
        """Number that every spatial size of the input must be a multiple of."""
        return self.step * self.backbone.multiple


@options
class RegistrationConfig(Options):
    """Size and style of a deformable registration network. The defaults are VoxelMorph's sizes."""

    encoder: Annotated[Sequence[int], _as_counts] = option(
        (16, 32, 32, 32),
        "feature maps of each convolution on the way down; after each, the resolution halves",
    )
    decoder: Annotated[Sequence[int], _as_counts] = option(
        (32, 32, 32, 32, 16),
        "feature maps of the convolutions on the way up: one per level, as many as `encoder` has, "
        "and then any number at the final resolution",
    )
    integration_steps: Annotated[int, Limits(0)] = option(
        5, "squarings that turn the velocity into a displacement; 0 for none"
    )
    symmetric: bool = option(True, "treat the two images alike: swapping them negates the velocity")
    full_resolution: bool = option(
        False,
        "end the way up at the resolution of the images instead of half of it; the velocity is "
        "then downsampled",
    )
    hyper_units: Annotated[int, Limits(0)] = option(
        0,
        "units of the layers that make all kernels a function of the strength of the "
        "regularisation, an input then; 0 for ordinary convolutions",
    )
    negative_slope: Annotated[float, Limits(0, 1)] = option(0.2, "of the leaky rectifiers")
    detector: DetectorConfig | None = option(
        None,
        "size of a network that turns each image, by itself, into feature maps at half the "
        "resolution, which the U-Net then compares instead of the images; none for no such network",
    )

    def __post_init__(self) -> None:
        """Check every value."""
        super().__post_init__()
        if len(self.decoder) < len(self.encoder):
            raise ValueError(
                "`decoder` must have no fewer entries than `encoder`. Received: "
                f"encoder={self.encoder}, decoder={self.decoder}"
            )
        if self.detector is not None and self.full_resolution:
            raise ValueError(
                "`full_resolution` is not for a U-Net on the maps of a detector. Received: "
                f"full_resolution=True, detector={self.detector}"
            )

    @property
    def multiple(self) -> int:
        """Number that every spatial size of the input must be a multiple of."""
        multiple = 2 ** len(self.encoder)
        return multiple if self.detector is None else max(2 * multiple, self.detector.multiple)
