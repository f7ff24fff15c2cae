"""What each task adds to the plan of a training: a new task is a class here."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import keras

from synthtf.data.label_table import LabelTable
from synthtf.networks import DetectorConfig, RegistrationConfig, UNetConfig, parts, unet
from synthtf.synthesis import Recipe
from synthtf.tasks.combined import CombinedModel
from synthtf.tasks.detectors import detector_of, detector_weights
from synthtf.tasks.registration import KINDS, RegistrationModel, make_registration, registration
from synthtf.tasks.run import Run
from synthtf.tasks.segmentation import segmentation
from synthtf.tasks.skull_stripping import (
    BORDERS,
    CLOSING,
    LIMIT,
    skull_stripping,
    stripping_network,
)

MIXTURE = 2
"""Channels of the Gaussian mixture of a detector, unless said otherwise."""

_HYPER_UNITS = 16


@dataclass(frozen=True)
class TaskPlan:
    """A task: its network and its objective; abstract.

    Attributes:
        name: of the task, as `synthtf train` and `run.json` have it.
        maps_per_sample: label maps that make one training sample, that of the model it builds.
        needs_brain: whether a label table must say what the brain is.
    """

    name: ClassVar[str]
    maps_per_sample: ClassVar[int] = 1
    needs_brain: ClassVar[bool] = False

    @property
    def multiple(self) -> int:
        """Number that every size of the images must be a multiple of."""
        return self.network.multiple

    @property
    def width(self) -> int:
        """Features of the first level of the network."""
        return self.network.features

    def make_network(self, ndim: int, num_outputs: int) -> keras.Model:
        """Build the task network alone, for images of `ndim` axes; implemented by each task."""
        raise NotImplementedError(f"{type(self).__name__} must implement `make_network`")

    def target_channels(self, num_outputs: int) -> int:
        """Channels of the maps that the objective compares and the network does not make."""
        return 0

    def build(
        self,
        shape: Sequence[int],
        table: LabelTable,
        spacing: Sequence[float],
        config: Recipe,
    ) -> CombinedModel:
        """Build the combined model; implemented by each task."""
        raise NotImplementedError(f"{type(self).__name__} must implement `build`")

    def facts(self) -> dict[str, Any]:
        """What `run.json` shall say; a run with other facts is not resumed."""
        return {"task": self.name, "multiple": self.multiple, "network": self.network.to_dict()}


@dataclass(frozen=True)
class SegmentationPlan(TaskPlan):
    """Segmentation.

    Attributes:
        network: size of the U-Net.
        loss: name of a segmentation loss.
    """

    name: ClassVar[str] = "segmentation"
    network: UNetConfig = field(default_factory=UNetConfig)
    loss: str = "dice+cross-entropy"

    def make_network(self, ndim: int, num_outputs: int) -> keras.Model:
        """Build the U-Net."""
        return unet(num_outputs, ndim, self.network)

    def build(
        self,
        shape: Sequence[int],
        table: LabelTable,
        spacing: Sequence[float],
        config: Recipe,
    ) -> CombinedModel:
        """Build the combined model."""
        return segmentation(shape, table, spacing, config, self.network, self.loss)

    def facts(self) -> dict[str, Any]:
        """The loss as well."""
        return {**super().facts(), "loss": self.loss}


@dataclass(frozen=True)
class StrippingPlan(TaskPlan):
    """Skull-stripping.

    Attributes:
        network: size of the U-Net.
        limit: largest distance to learn, in mm.
        closing: radius in mm of the ball that closes sulci.
    """

    name: ClassVar[str] = "stripping"
    needs_brain: ClassVar[bool] = True
    network: UNetConfig = field(default_factory=stripping_network)
    limit: float = LIMIT
    closing: float = CLOSING

    def make_network(self, ndim: int, num_outputs: int) -> keras.Model:
        """Build the U-Net; its outputs are the distances to the borders."""
        return unet(len(BORDERS), ndim, self.network, final_activation=None)

    def build(
        self,
        shape: Sequence[int],
        table: LabelTable,
        spacing: Sequence[float],
        config: Recipe,
    ) -> CombinedModel:
        """Build the combined model."""
        return skull_stripping(
            shape, table, spacing, config, self.network, self.limit, self.closing
        )

    def facts(self) -> dict[str, Any]:
        """What the distances mean as well."""
        return {**super().facts(), "limit": self.limit, "closing": self.closing}


@dataclass(frozen=True)
class RegistrationPlan(TaskPlan):
    """Registration.

    Attributes:
        kind: "deformable", "affine", "rigid" or "joint".
        network: size of the network, a `DetectorConfig` for affine and rigid. None: the default.
        affine: run of the kind "affine" or "rigid", for "joint".
        detector: run of the kind "affine" or "rigid", whose detector, as it is, finds the
            features for a deformable network; or a segmentation, which is one.
        regularization: weight of the roughness of the velocity.
        landmarks: weight of teaching a detector the structures.
        same_anatomy: each pair is one label map deformed twice.
        shapes: share of pairs of random shapes instead of anatomy.
        aligned: pairs are aligned affinely first.
    """

    name: ClassVar[str] = "registration"
    maps_per_sample: ClassVar[int] = RegistrationModel.maps_per_sample
    kind: str = "deformable"
    network: RegistrationConfig | DetectorConfig | None = None
    affine: str | os.PathLike | None = None
    detector: str | os.PathLike | None = None
    regularization: float = 1.0
    landmarks: float = 0.0
    same_anatomy: bool = False
    shapes: float = 0.0
    aligned: bool = False

    def __post_init__(self) -> None:
        """Choose the default network of the kind."""
        if self.kind not in KINDS:
            raise ValueError(f"`kind` must be one of {KINDS}. Received: kind={self.kind!r}")
        if self.network is None:
            detector = detector_of(Run.load(self.detector)) if self.detector else True
            network = registration_network(self.kind, detector=detector)
            object.__setattr__(self, "network", network)

    @property
    def width(self) -> int:
        """Features of the first level of the detector, or of the U-Net that compares."""
        if isinstance(self.network, DetectorConfig):
            return self.network.backbone.features
        return self.network.encoder[0]

    def make_network(self, ndim: int, num_outputs: int) -> keras.Model:
        """Build the registration network."""
        affine = Run.load(self.affine).task_model if self.affine else None
        return make_registration(self.kind, (self.multiple,) * ndim, self.network, affine)

    def target_channels(self, num_outputs: int) -> int:
        """The structures of both images, and the moved ones."""
        return 3 * (num_outputs - 1)

    def build(
        self,
        shape: Sequence[int],
        table: LabelTable,
        spacing: Sequence[float],
        config: Recipe,
    ) -> CombinedModel:
        """Build the combined model."""
        model = registration(
            shape,
            table,
            self.kind,
            spacing,
            config,
            self.network,
            affine=Run.load(self.affine).task_model if self.affine else None,
            same_anatomy=self.same_anatomy,
            shapes=self.shapes,
            aligned=self.aligned,
            regularization=self.regularization,
            landmarks=self.landmarks,
        )
        if self.detector is not None:
            detector = parts.detector(model.task_model)
            detector.set_weights(detector_weights(Run.load(self.detector)))
            detector.trainable = False
        return model

    def _runs(self) -> dict[str, str | os.PathLike | None]:
        return {"affine": self.affine, "detector": self.detector}

    def facts(self) -> dict[str, Any]:
        """The kind and the options as well."""
        return {
            **super().facts(),
            "kind": self.kind,
            **{name: value and Path(value).name for name, value in self._runs().items()},
            "regularization": self.regularization,
            "landmarks": self.landmarks,
            "same_anatomy": self.same_anatomy,
            "shapes": self.shapes,
            "aligned": self.aligned,
        }


def registration_network(
    kind: str,
    features: int | None = None,
    detector: bool | DetectorConfig = True,
    mixture: int = MIXTURE,
) -> RegistrationConfig | DetectorConfig:
    """Give a registration network of some width, in the proportions of the default one.

    Args:
        kind: "deformable", "affine", "rigid" or "joint", which takes the regularisation as input.
        features: of the first level. None: 16.
        detector: whether the U-Net of a deformable network compares features that a detector, like
            that of an affine one, finds in each image; else the images themselves, as VoxelMorph.
            Or the size of this detector.
        mixture: channels of the Gaussian mixture by which a detector adapts to the contrast of
            each image; 0 for SynthMorph's, which works on voxels of twice the size.
    """
    features = 16 if features is None else features
    if mixture:
        backbone = UNetConfig(features, 5, mixture_channels=mixture)
    else:
        backbone = UNetConfig(features, 4, max_features=4 * features)
    finder = DetectorConfig(backbone=backbone, halve=not mixture)
    if kind in ("affine", "rigid"):
        return finder
    wide = 2 * features
    return RegistrationConfig(
        encoder=(wide,) * 3 if detector else (features, *(wide,) * 3),
        decoder=(*(wide,) * 4, features),
        hyper_units=_HYPER_UNITS if kind == "joint" else 0,
        detector=finder if detector is True else detector or None,
    )
