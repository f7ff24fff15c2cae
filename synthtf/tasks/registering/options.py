"""What can be chosen of a registration."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from synthtf.arguments import Limits, Probability, as_whole_numbers
from synthtf.networks.sizes import DetectorConfig, RegistrationConfig, UNetConfig
from synthtf.options import option, options
from synthtf.tasks.task import Task

if TYPE_CHECKING:
    import keras
    import numpy as np

    from synthtf.runs.run import Run

_LINEAR = ("affine", "rigid")
_HYPER_UNITS = 16


def _as_structures(values: Any, name: str) -> tuple[int, ...]:
    """Check label values: positive, each once, ascending."""
    found = as_whole_numbers(values, name)
    if not found or min(found) < 1 or list(found) != sorted(set(found)):
        raise ValueError(
            f"`{name}` must be ascending positive label values. Received: {name}={values!r}"
        )
    return found


@options
class RegistrationTask(Task):
    """A model that learns to register images of any contrast from label maps alone.

    It fits on `synthtf.data.LabelMaps` of an even batch size: two samples make a pair.
    `.synthesis` gives pairs; `.task_model` maps images "moving" and "fixed", `(batch, *any, 1)` in
    [0, 1], to transforms from fixed to moving voxels. The voxels must be isotropic but for
    "deformable". "joint" is an affine and a deformable network in the space in the middle.
    With a recipe that shows real scans, and `synthtf.training.MixedPairs`, it learns from real
    pairs without labels by turns.

    Example:
    >>> from synthtf.tasks import registration
    >>> model = registration((32, 32), labels=[0, 1], features=4)
    >>> sorted(model.task_model.output)
    ['displacement', 'inverse', 'velocity']

    Reference: Hoffmann et al., SynthMorph, IEEE TMI 2022; Anatomy-aware and
        acquisition-agnostic joint registration with SynthMorph, Imaging Neuroscience 2024.
    """

    name: ClassVar[str] = "registration"
    function: ClassVar[str] = "registration"
    summary: ClassVar[str] = "align an image with another"
    command: ClassVar[str] = "register"
    advice: ClassVar[tuple[str, ...]] = (
        "train the affine network first, then the deformable one on pairs that it has "
        "aligned (`aligned`)",
        "where there are no label maps, take shapes (`shapes` 1); with them, list the "
        "structures that shall overlap",
        "look at folding and at the size of the warp, not at the overlap alone, when "
        "choosing `regularization`",
    )
    unsuited: ClassVar[tuple[str, ...]] = (
        "what is in one image alone, such as a resection: the network stretches its surroundings",
        "texture within a label: the overlap of labels does not see it, the refinement "
        "after the network does",
    )
    maps_per_sample: ClassVar[int] = 2
    takes_pairs: ClassVar[bool] = True

    kind: Literal["deformable", "affine", "rigid", "joint"] = option(
        "deformable", "which transform"
    )
    network: RegistrationConfig | DetectorConfig | None = option(
        None,
        "size of the network, or a Keras model to train further; none for a size that follows "
        "from `features`, `detector` and `mixture_channels`",
        flag=False,
    )
    features: Annotated[int, Limits(1)] = option(16, "feature maps of the first level")
    mixture_channels: Annotated[int, Limits(0)] = option(
        2,
        "channels of the Gaussian mixture by which a detector adapts to the contrast of each "
        "image; 0 for SynthMorph's detector, on voxels of twice the size",
    )
    affine: Any = option(
        None,
        "for joint: trained run of the kind affine or rigid, which stays as it is",
        metavar="RUN",
    )
    detector: bool | Any = option(
        True,
        "for deformable and joint: let the U-Net compare the features that a detector finds in "
        "each image, a new one that is trained with the rest, or that of a trained run of the kind "
        "affine or rigid, or of a segmentation, as it is; without one, it compares the images "
        "themselves, as VoxelMorph's",
        metavar="RUN",
    )
    structures: Annotated[Sequence[int], _as_structures] | None = option(
        None,
        "output labels that shall overlap; none for those of the brain, so that skull and neck are "
        "ignored without skull-stripping, or for all if the table does not know the brain",
    )
    overlap: Literal["dice", "mse"] = option(
        "dice",
        "how structures are compared: one minus the soft Dice averaged over structures, or the "
        "mean squared difference of one-hot labels",
    )
    regularization: Annotated[float, Limits(0)] = option(
        1.0, "weight of the roughness of the velocity; joint learns all of (0, 1) at once"
    )
    landmarks: Annotated[float, Limits(0)] = option(
        0.0, "weight of teaching a detector to show one structure in each of its first maps"
    )
    similarity: Annotated[float, Limits(0)] = option(
        1.0,
        "weight of the dissimilarity of real pairs, `real`, in the place of the overlap: one minus "
        "their squared local correlation, from 0 to 1 as the loss of the overlap",
    )
    same_anatomy: bool = option(
        False, "make both images of a pair of one label map deformed twice, as longitudinal scans"
    )
    shapes: Probability = option(0.0, "share of pairs that show random shapes instead of anatomy")
    aligned: bool = option(
        False,
        "align pairs affinely by their structures before they are moved at random: for a "
        "deformable network that comes after an affine one",
    )

    def __post_init__(self) -> None:
        """Choose the network, and say what follows from one that is given."""
        super().__post_init__()
        if self.network is None:
            object.__setattr__(self, "network", self._sized())
        expected = DetectorConfig if self.kind in _LINEAR else RegistrationConfig
        if not isinstance(self.network, expected):
            raise ValueError(
                f"`network` must be a {expected.__name__} for the kind {self.kind!r}. "
                f"Received: network={self.network!r}"
            )
        finder = self.network if self.kind in _LINEAR else self.network.detector
        backbone = finder and finder.backbone
        object.__setattr__(self, "mixture_channels", backbone.mixture_channels if backbone else 0)
        object.__setattr__(self, "features", self._features())

    def _sized(self) -> RegistrationConfig | DetectorConfig:
        """Give a network of some width, in the proportions of the default one."""
        features, mixture = self.features, self.mixture_channels
        if mixture:
            backbone = UNetConfig(features, 5, mixture_channels=mixture)
        else:
            backbone = UNetConfig(features, 4, max_features=4 * features)
        finder = DetectorConfig(backbone=backbone, halve=not mixture)
        if self.kind in _LINEAR:
            return finder
        if not isinstance(self.detector, bool):
            from synthtf.tasks.registering.detectors import detector_of

            finder = detector_of(self.detector)
        wide = 2 * features
        return RegistrationConfig(
            encoder=(wide,) * 3 if self.detector is not False else (features, *(wide,) * 3),
            decoder=(*(wide,) * 4, features),
            hyper_units=_HYPER_UNITS if self.kind == "joint" else 0,
            detector=finder if self.detector is not False else None,
        )

    def _features(self) -> int:
        if isinstance(self.network, DetectorConfig):
            return self.network.backbone.features
        return self.network.decoder[-1]

    @property
    def width(self) -> int:
        """Features of the first level of the detector, or of the U-Net that compares."""
        if isinstance(self.network, DetectorConfig):
            return self.network.backbone.features
        return self.network.encoder[0]

    def make_network(self, ndim: int, num_outputs: int = 0) -> "keras.Model":
        """Build the registration network.

        Raises:
            ValueError: if a joint one has no affine network.
        """
        from synthtf.runs.run import as_run
        from synthtf.tasks.registering.model import make_registration

        affine = None if self.affine is None else as_run(self.affine).task_model
        return make_registration(self.kind, ndim, self.network, affine)

    def target_channels(self, num_outputs: int) -> int:
        """The structures of both images, and the moved ones."""
        return 3 * (num_outputs - 1)

    def facts(self) -> dict[str, Any]:
        """Runs by their names."""
        named = {name: _run_name(getattr(self, name)) for name in ("affine", "detector")}
        return {**super().facts(), **named}

    def starting_from(self, run: "Run") -> "RegistrationTask":
        """Take the size of a segmentation for a detector, unless a network of its own is given."""
        if self.kind not in _LINEAR or run.task == self.name or self.network != self._sized():
            return self
        from synthtf.tasks.registering.detectors import detector_of

        return dataclasses.replace(self, network=detector_of(run))

    def copy_weights(self, run: "Run", target: "Run") -> None:
        """Copy all weights, those of the detector, or, of one that is given, all others.

        Raises:
            ValueError: if the run has another network.
        """
        from synthtf.tasks.registering.detectors import copy_weights

        same_task = run.task == self.name
        if not copy_weights(run, target.task_model, same_task):
            raise ValueError(f"{run.name}: has another network than the one to be trained")

    def detector_size(self, run: "Run") -> DetectorConfig:
        """Give the size of the network of a linear transform."""
        if isinstance(self.network, DetectorConfig):
            return self.network
        raise ValueError(
            f"{run.name} must be a segmentation, or a registration of the kind affine or rigid. "
            f"Received: {self.kind}"
        )

    def detector_weights(self, run: "Run") -> "list[np.ndarray] | None":
        """Give the weights of the detector."""
        from synthtf.networks import detector

        found = detector(run.task_model)
        return None if found is None else found.get_weights()


def _run_name(run: Any) -> Any:
    """Name of a run, a folder, or what else may be given for one."""
    if run is None or isinstance(run, bool):
        return run
    folder = run if isinstance(run, str | os.PathLike) else getattr(run, "folder", None)
    return "in memory" if folder is None else Path(folder).name
