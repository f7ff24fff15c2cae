"""Registration of many pairs of scans."""

import dataclasses
import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthtf.batch import Outcome
from synthtf.data.bids import image_facts, source_uri
from synthtf.data.bids_pairs import PairDerivative
from synthtf.data.paths import existing_volume
from synthtf.data.shipped_models import model_folder, model_kind
from synthtf.data.transforms import Transform
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import Volume, read_volume
from synthtf.inference.applying import apply_transform
from synthtf.inference.cohorts.cohort import Begun, Cohort
from synthtf.inference.cohorts.jobs import CohortOptions, Job, Output, Prediction, Writer
from synthtf.inference.cohorts.pairing import ScanPairs
from synthtf.inference.defaults import REGULARIZATION, STEPS
from synthtf.inference.registration.picture import draw_registration, overlap
from synthtf.inference.registration.registering import check_warp, register
from synthtf.inference.registration.result import Registration
from synthtf.interop.transform_files import (
    ENDINGS,
    TransformFile,
    read_transforms,
    write_transform,
)
from synthtf.messages import print_line
from synthtf.usage import usage_errors

if TYPE_CHECKING:
    from synthtf.runs.run import Run

_OPTIONS = CohortOptions()
_PICTURES = (".png", ".pdf", ".svg", ".jpg", ".jpeg")


@dataclasses.dataclass(frozen=True)
class RegistrationOutputs:
    """What is written of a registration: files for one pair, folders for several.

    Attributes:
        moved: the moving scan on the grid of the fixed scan.
        inverse: the fixed scan on the grid of the moving scan.
        transform: the transform that moves the moving scan to the fixed one.
        inverse_transform: the transform that moves the fixed scan to the moving one.
        figure: a picture of both scans before and after.
        header_only: whether to change the header of scans instead of their voxels.
        mid_space: whether to move both scans to the space in the middle, and write the transforms
            to there.
    """

    moved: str | os.PathLike | None = None
    inverse: str | os.PathLike | None = None
    transform: str | os.PathLike | None = None
    inverse_transform: str | os.PathLike | None = None
    figure: str | os.PathLike | None = None
    header_only: bool = False
    mid_space: bool = False

    def kinds(self, linear: bool) -> dict[str, Output]:
        """Say how the outputs that are asked for are called.

        Args:
            linear: whether the transforms are affine or rigid.
        """
        volume, transform = ".nii.gz", ".lta" if linear else ".nii.gz"
        named = functools.partial(PairDerivative, middle=self.mid_space)
        outputs = {
            "moved": Output(self.moved, "_moved", named(None), volume),
            "inverse": Output(self.inverse, "_inverse", named(None, backward=True), volume),
            "transform": Output(
                self.transform, "_trans", named("xfm", transform), transform, ENDINGS
            ),
            "inverse_transform": Output(
                self.inverse_transform,
                "_inverse_trans",
                named("xfm", transform, backward=True),
                transform,
                ENDINGS,
            ),
            "figure": Output(
                self.figure, "", PairDerivative("figure", ".png"), ".png", _PICTURES, sidecar=False
            ),
        }
        return {name: output for name, output in outputs.items() if output.target}

    @property
    def facts(self) -> dict[str, dict[str, str]]:
        """What the JSON files of the outputs say about them."""
        scans = "the moving scan", "the fixed scan"
        texts = {}
        for names, (scan, other) in (
            (("moved", "transform"), scans),
            (("inverse", "inverse_transform"), scans[::-1]),
        ):
            end = "the space between both scans" if self.mid_space else other
            texts[names[0]] = f"{scan.capitalize()}, moved to {end}"
            texts[names[1]] = f"Transform that moves {scan} to {end}"
        return {name: {"Description": text} for name, text in texts.items()}

    def write(self, moving: Volume, fixed: Volume, found: Registration) -> dict[str, Writer]:
        """Give for each kind of output but the figure the function that writes its file.

        Args:
            moving: the moving scan.
            fixed: the fixed scan.
            found: their registration.
        """
        ways = ("middle_to_moving", "middle_to_fixed") if self.mid_space else ("forward", "inverse")
        # A transform is made when it is written.
        there, back = (functools.partial(getattr, found, way) for way in ways)
        # Both moved scans are in the middle on the grid of the fixed one.
        onto = fixed if self.mid_space else moving
        move = _write_header if self.header_only else _write_moved
        return {
            "moved": lambda path: move(path, moving, fixed, there()),
            "inverse": lambda path: move(path, fixed, onto, back()),
            "transform": lambda path: write_transform(path, there(), fixed=fixed, moving=moving),
            "inverse_transform": lambda path: write_transform(
                path, back(), fixed=onto, moving=fixed
            ),
        }


def register_cohort(
    pairs: ScanPairs,
    outputs: RegistrationOutputs,
    model: str | os.PathLike | None = None,
    *,
    affine: str | os.PathLike | None = None,
    labels: Sequence[str | os.PathLike] = (),
    init: str | None = None,
    options: CohortOptions = _OPTIONS,
    **registration: Any,
) -> Outcome:
    """Register pairs of scans and write the results; one bad pair never stops the others.

    Args:
        pairs: which scans, see `ScanPairs.of`.
        outputs: what is written, and where.
        model: folder of a run, or name of a model. None: those that come with the package.
        affine: run of the kind affine or rigid that comes before a deformable one. None: with a
            `model`, none; else the one that comes with the package.
        labels: for one pair, label maps of the moving and the fixed scan, whose mean Dice before
            and after is the text of what is returned.
        init: transforms to start from, as `TransformFile.parse` reads them.
        options: JSON files, and what is skipped.
        registration: more options of `register`.

    Returns:
        How many were registered, and which failed and why.

    Raises:
        ValueError: if pairs, outputs, options and models do not fit.
    """
    with usage_errors():
        method = registration.get("method")
        check_warp(
            registration.get("regularization", REGULARIZATION), registration.get("steps", STEPS)
        )
        folders = _models(model, affine, method)
        linear = (method or model_kind(folders["Model"])) in ("rigid", "affine")
        if outputs.header_only and not linear:
            raise ValueError("-H: only a rigid or affine transform fits a header; add -m affine")
        kinds = outputs.kinds(linear)
        if not kinds and not labels:
            raise ValueError("expected at least one output: -o, -O, -t, -T, --figure or --labels")
        if labels and len(pairs.pairs) > 1:
            raise ValueError("--labels: only for one pair")
        for path in labels:
            existing_volume(path, "--labels")
        start = TransformFile.parse(init) if init else []
        others = [*map(Path, labels), *(file.path for file in start)]
        cohort = Cohort.plan(pairs, kinds, sidecars=options.sidecars, others=others)
    texts: list[str] = []

    def begin(runs: dict[str, "Run"]) -> Begun:
        cohort.describe()

        def predict(job: Job) -> Prediction:
            moving, fixed = (read_volume(path) for path in job.scans.values())
            init = read_transforms(start, moving=moving, fixed=fixed) if start else None
            before = runs.get("AffineModel")
            found = register(moving, fixed, runs["Model"], affine=before, init=init, **registration)
            title = " to ".join(path.name for path in job.scans.values())
            if method is None and found.method == "rigid":
                print_line(f"{title}: one head, so that the transform is rigid; see --method")
            if labels:
                title = f"{title}: {_score(labels, found.forward)}"
                texts.append(title)
            draw = functools.partial(
                draw_registration,
                moving=moving,
                fixed=fixed,
                transform=found.forward,
                title=title,
            )
            written = {**outputs.write(moving, fixed, found), "figure": draw}
            facts = _facts(job, cohort.root, outputs.mid_space)
            facts = {kind: {"Method": found.method, **facts.get(kind, {})} for kind in written}
            return Prediction(written, facts=facts)

        return predict, outputs.facts

    if labels:  # the scores are wanted whatever exists
        options = dataclasses.replace(options, skip_existing=False)
    outcome = cohort.run("register", folders, begin, options)
    return dataclasses.replace(outcome, text="\n".join(texts))


def _models(
    model: str | os.PathLike | None, affine: str | os.PathLike | None, method: str | None
) -> dict[str, Path]:
    """Folder of the network, and of the one that comes before it, if any."""
    if model is None and affine is None and method in ("rigid", "affine"):
        return {"Model": model_folder(None, "affine")}
    folder = model_folder(model, "deformable")
    if affine is None and (model is not None or method == "deformable"):
        return {"Model": folder}
    return {"Model": folder, "AffineModel": model_folder(affine, "affine", "--affine")}


def _facts(job: Job, root: Path | None, middle: bool) -> dict[str, dict[str, Any]]:
    """In a BIDS data set, the scans on whose grids the others are, and what the fixed one is."""
    if root is None:
        return {}
    moving, fixed = job.scans.values()
    facts: dict[str, dict[str, Any]] = {"moved": {}, "inverse": {}}
    if not middle:
        facts["moved"]["SpatialReference"] = source_uri(root, fixed)
        facts["inverse"]["SpatialReference"] = source_uri(root, moving)
    if "inverse" in job.outputs:
        facts["inverse"] |= image_facts(job.outputs["inverse"], fixed)
    return facts


def _score(labels: Sequence[str | os.PathLike], transform: Transform) -> str:
    maps = [read_volume(path, labels=True) for path in labels]
    before, after = (overlap(*maps, way) for way in (None, transform))
    return f"mean Dice {before:.3f} before, {after:.3f} after"


def _write_moved(path: Path, scan: Volume, like: Volume, transform: Transform) -> None:
    moved = apply_transform(scan, transform, like=like)
    write_volume(path, moved.data, like=moved)


def _write_header(path: Path, scan: Volume, like: Volume, transform: Transform) -> None:
    """Write the voxels of a scan, which the header puts where they move to."""
    affine = transform.inverse().matrix @ scan.affine
    write_volume(path, scan.data, like=scan, affine=affine)
