"""SynthMorph for a pair of files."""

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthtf.batch import Outcome, for_each_file
from synthtf.data.paths import EXTENSIONS, refuse_clashes
from synthtf.data.shipped_models import default_model
from synthtf.data.transforms import Affine
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import Volume, read_volume
from synthtf.inference.cohorts.jobs import CohortOptions
from synthtf.inference.cohorts.pairing import ScanPairs
from synthtf.inference.cohorts.registering import RegistrationOutputs, register_cohort
from synthtf.inference.defaults import REGULARIZATION, STEPS
from synthtf.inference.patches.memory import MemoryBudget
from synthtf.inference.registration.registering import check_warp
from synthtf.interop.transform_files import read_transform, transform_extension
from synthtf.published.synthmorph.defaults import EXTENT, MODELS
from synthtf.published.synthmorph.files import FIELDS, check_endings, write_moved, write_trans
from synthtf.published.synthmorph.registering import Found, register
from synthtf.published.synthmorph.weights import find_files, load_networks, needed
from synthtf.published.weight_files import SOURCES
from synthtf.startup import load_backend
from synthtf.usage import UsageError, usage_errors

_COMMAND = "synthmorph"
_SEEN = ("inp_1.mgz", "inp_2.mgz")  # what the network sees of moving and fixed image
# What SynthMorph's models are called here, where they go by other names.
_METHODS = {"deform": "deformable"}


@dataclass(frozen=True)
class Outputs:
    """Files that a registration writes.

    Attributes:
        moved: moving image, moved to the fixed one.
        fixed_moved: fixed image, moved to the moving one.
        trans: transform that moves the moving image.
        inverse: transform that moves the fixed image.
        seen: folder for the images that the network sees.
        header_only: whether moved images keep their voxels and get another header.
    """

    moved: str | os.PathLike | None = None
    fixed_moved: str | os.PathLike | None = None
    trans: str | os.PathLike | None = None
    inverse: str | os.PathLike | None = None
    seen: str | os.PathLike | None = None
    header_only: bool = False

    def check(self, model: str, inputs: Sequence[Path]) -> None:
        """Refuse outputs that do not fit.

        Args:
            model: one of `MODELS`.
            inputs: files that are read.

        Raises:
            ValueError: if there is none, a name ends otherwise than its format, a file is an
                input or named twice, or a header cannot hold a deformation.
        """
        linear = model in ("affine", "rigid")
        if self.header_only and not linear:
            raise ValueError("-H: a header cannot hold a deformation; add -m affine or -m rigid")
        images = {"-o": self.moved, "-O": self.fixed_moved}
        transforms = {"-t": self.trans, "-T": self.inverse}
        for named, endings in (
            (images, tuple(EXTENSIONS)),
            (transforms, (".lta",) if linear else FIELDS),
        ):
            for argument, path in named.items():
                if path is not None:
                    check_endings(path, argument, endings)
        files = {
            argument: Path(path)
            for argument, path in (images | transforms).items()
            if path is not None
        }
        if self.seen is not None:
            files |= {f"-d ({name})": Path(self.seen) / name for name in _SEEN}
        if not files:
            raise ValueError("at least one output must be given: -o, -O, -t, -T or -d")
        for (one, path), (other, same) in itertools.combinations(files.items(), 2):
            if path.resolve() == same.resolve():
                raise ValueError(f"{one} and {other} must be two files. Received: {path} for both")
        refuse_clashes([inputs[0]] * len(files), list(files.values()), inputs)

    def write(self, found: Found) -> None:
        """Write what is asked for."""
        for moved, trans, direction in (
            (self.moved, self.trans, found.forward),
            (self.fixed_moved, self.inverse, found.inverse),
        ):
            if moved is not None:
                write_moved(moved, direction, self.header_only)
            if trans is not None:
                write_trans(trans, direction)
        if self.seen is not None:
            for name, image, affine in zip(_SEEN, found.seen, found.spaces.affines, strict=True):
                write_volume(Path(self.seen) / name, image, affine=affine)


@dataclass(frozen=True)
class Settings:
    """How a pair is registered.

    Attributes:
        model: one of `MODELS`.
        weights: files of weights, or folders of the published ones. Empty: where the environment
            says they are.
        init: file of an affine transform to start from.
        mid_space: whether each image goes half of the way of `init`.
        regularization: λ in (0, 1), how smooth a deformation shall be.
        steps: squarings that integrate the velocity, at least 5.
        extent: voxels per axis of the cube that the networks see.
        budget: memory that the process may take. None: no limit.
    """

    model: str = MODELS[0]
    weights: Sequence[str | os.PathLike] = ()
    init: str | os.PathLike | None = None
    mid_space: bool = False
    regularization: float = REGULARIZATION
    steps: int = STEPS
    extent: int = EXTENT
    budget: MemoryBudget | None = None

    def check(self) -> None:
        """Refuse values that do not fit.

        Raises:
            ValueError: if a number is out of bounds, the model unknown, or -i missing.
            FileNotFoundError: if there is no initial transform.
        """
        if self.model not in MODELS:
            raise ValueError(f"-m must be one of {', '.join(MODELS)}. Received: {self.model}")
        check_warp(self.regularization, self.steps)
        if self.mid_space and self.init is None:
            raise ValueError("-M: there is no initial transform to apply half of; add -i")
        if self.init is not None:
            transform_extension(self.init)
            if not Path(self.init).is_file():
                raise FileNotFoundError(f"{self.init} does not exist; give an initial transform")

    def read_init(self, moving: Volume, fixed: Volume) -> Any:
        """Read the initial transform: a matrix from RAS mm of the moving to those of the fixed."""
        if self.init is None:
            return None
        transform = read_transform(self.init, moving=moving, fixed=fixed)
        if not isinstance(transform, Affine):
            raise ValueError(f"{self.init} must hold an affine transform, to start from it")
        return transform.inverse().matrix


def synthmorph(
    moving: str | os.PathLike,
    fixed: str | os.PathLike,
    outputs: Outputs,
    settings: Settings | None = None,
) -> Outcome:
    """Register two images as `mri_synthmorph` does, and write the results.

    Without published weights, the networks of this package are used, and a line says so.

    Args:
        moving: file of the moving image.
        fixed: file of the fixed image.
        outputs: what is written.
        settings: how they are registered.

    Returns:
        Whether it was done, or why not.

    Raises:
        ValueError: if arguments do not fit, or the weights are not those of SynthMorph.
        FileNotFoundError: if a file of weights does not exist.
    """
    settings = settings or Settings()
    with usage_errors():
        settings.check()
        images = Path(moving), Path(fixed)
        for path in images:
            if not path.is_file():
                raise FileNotFoundError(f"{path} does not exist; give an image")
        outputs.check(settings.model, [*images, *([Path(settings.init)] if settings.init else [])])
        files = find_files(settings.model, settings.weights)
    if not files:
        return _own_networks(images, outputs, settings)
    load_backend()
    print(f"{_COMMAND}: published weights {', '.join(map(str, files))}")
    networks = load_networks(settings.model, files, settings.regularization)

    def work(_: Path) -> None:
        volumes = [read_volume(path) for path in images]
        found = register(
            *volumes,
            networks,
            settings.model,
            init=settings.read_init(*volumes),
            mid_space=settings.mid_space,
            steps=settings.steps,
            extent=settings.extent,
            budget=settings.budget,
        )
        outputs.write(found)

    return for_each_file(_COMMAND, images[:1], work)


def _own_networks(images: tuple[Path, Path], outputs: Outputs, settings: Settings) -> Outcome:
    """Register with the networks of this package, if they can do what is asked for."""
    names = ", ".join(needed(settings.model))
    asked = {
        "-M": settings.mid_space,
        "-e": settings.extent != EXTENT,
        "-d": outputs.seen is not None,
    }
    refused = [flag for flag, given in asked.items() if given]
    if refused:
        raise UsageError(
            f"{', '.join(refused)}: only with published weights {names} ({SOURCES}), which are "
            "not there"
        )
    linear = settings.model in ("affine", "rigid")
    kinds = ["affine"] if linear else ["deformable"]
    if settings.model == "joint":
        kinds = ["affine", "deformable"]
    models = {kind: default_model(kind) for kind in kinds}
    print(
        f"{_COMMAND}: no published weights {names} ({SOURCES}); of synthtf "
        f"{', '.join(path.name for path in models.values())} will be used instead"
    )
    return register_cohort(
        ScanPairs.of(*images),
        RegistrationOutputs(
            moved=outputs.moved,
            inverse=outputs.fixed_moved,
            transform=outputs.trans,
            inverse_transform=outputs.inverse,
            header_only=outputs.header_only,
        ),
        models.get("deformable", models.get("affine")),
        affine=models["affine"] if settings.model == "joint" else None,
        init=None if settings.init is None else os.fspath(settings.init),
        method=_METHODS.get(settings.model, settings.model),
        regularization=settings.regularization,
        steps=settings.steps,
        options=CohortOptions(sidecars=False),
    )
