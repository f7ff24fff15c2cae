"""`synthtf register`: align scans of any contrast with a trained network."""

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from synthtf.batch import for_each_file
from synthtf.cli.arguments import add_model, add_threads, model_folder
from synthtf.startup import limit_threads, load_backend
from synthtf.usage import UsageError, usage_errors

if TYPE_CHECKING:
    from synthtf.data.volumes import Volume
    from synthtf.inference.registration.registering import Registration

_METHODS = ("rigid", "affine", "deformable", "joint")
_MOST_STEPS = 20  # a time step of a millionth


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "register",
        help="align scans of any contrast with a trained network",
        description="Align MOVING with FIXED, two scans of any contrast, orientation and "
        "resolution, with or without skull. `synthtf apply` moves other images, labels and "
        "points by the transforms.",
    )
    parser.add_argument("moving", metavar="MOVING", help="a file, a folder, or a .txt list")
    parser.add_argument("fixed", metavar="FIXED", help="a file, or as many as MOVING")
    add_model(parser)
    parser.add_argument(
        "--affine",
        metavar="RUN",
        help="run of the kind affine or rigid, before a deformable one",
    )
    _add_outputs(parser.add_argument_group("outputs, a folder for several pairs"))
    _add_options(parser.add_argument_group("options"))
    add_threads(parser)


def _add_outputs(outputs: "argparse._ArgumentGroup") -> None:
    outputs.add_argument("-o", "--output", metavar="MOVED", help="MOVING on the grid of FIXED")
    outputs.add_argument("-O", "--inverse", metavar="MOVED", help="FIXED on the grid of MOVING")
    outputs.add_argument(
        "-t",
        "--trans",
        metavar="TRANS",
        help="transform that moves MOVING to FIXED: .lta, .mat or .txt of an affine or rigid one, "
        ".nii.gz of any; see synthtf apply --help",
    )
    outputs.add_argument(
        "-T", "--inverse-trans", metavar="TRANS", help="transform that moves FIXED to MOVING"
    )
    outputs.add_argument(
        "--figure",
        metavar="PNG",
        help="picture of both scans before and after, the deformation grid, and the Jacobian",
    )


def _add_options(options: "argparse._ArgumentGroup") -> None:
    options.add_argument(
        "-m", "--method", choices=_METHODS, help="(default: what the model was trained for)"
    )
    options.add_argument(
        "--labels",
        nargs=2,
        metavar=("MOVING", "FIXED"),
        help="label maps of a pair, whose mean Dice before and after is printed",
    )
    options.add_argument(
        "-r",
        "--regularization",
        type=float,
        default=0.5,
        metavar="LAMBDA",
        help="in (0, 1), the higher the smoother the warp (default: %(default)s)",
    )
    options.add_argument(
        "-n",
        "--steps",
        type=int,
        default=7,
        metavar="N",
        help="integration steps, at least 5 (default: %(default)s)",
    )
    options.add_argument("-i", "--init", metavar="TRANS", help="transform to start from")
    options.add_argument(
        "--no-refine",
        action="store_true",
        help="what the networks find as it is, without aligning texture and structures after them",
    )
    options.add_argument(
        "--ct",
        choices=["moving", "fixed", "both"],
        help="which scans are in Hounsfield units: clip them to 0-80",
    )
    options.add_argument(
        "--skip-existing",
        action="store_true",
        help="leave out pairs whose outputs all exist, to go on after an interruption",
    )
    options.add_argument(
        "-H",
        "--header-only",
        action="store_true",
        help="change the header of outputs instead of their voxels; rigid and affine only",
    )
    options.add_argument(
        "-M",
        "--mid-space",
        action="store_true",
        help="move both, and make both transforms, to the space in the middle",
    )


def run(args: argparse.Namespace) -> int:
    """Register all pairs; 1 if some failed."""
    limit_threads(args.threads)
    with usage_errors():
        _check(args)
        from synthtf.interop.transform_files import TransformFile, read_transforms

        folder, before = _models(args)
        start = TransformFile.parse(args.init) if args.init else []
        jobs = _plan_jobs(args, [file.path for file in start])
    load_backend()
    from synthtf.data.volumes import read_volume
    from synthtf.inference.registration.registering import register
    from synthtf.tasks.run import Run

    model = Run.load(folder)
    affine = before and Run.load(before)
    linear = (args.method or model.metadata.get("kind")) in ("rigid", "affine")
    if args.header_only and not linear:
        raise UsageError("-H: only a rigid or affine transform fits a header; add -m affine")

    def register_one(job: _Job) -> None:
        moving, fixed = read_volume(job.moving), read_volume(job.fixed)
        init = read_transforms(start, moving=moving, fixed=fixed) if start else None
        found = register(
            moving,
            fixed,
            model,
            affine=affine,
            method=args.method,
            regularization=args.regularization,
            steps=args.steps,
            init=init,
            refine=not args.no_refine,
            ct=("moving", "fixed") if args.ct == "both" else (args.ct,) if args.ct else (),
        )
        _write(job.outputs(args, linear), moving, fixed, found, args)
        _show(job, moving, fixed, found, args)

    left = [job for job in jobs if not (args.skip_existing and job.is_done(args, linear))]
    failed = for_each_file(
        "register",
        left,
        register_one,
        path=lambda job: job.moving,
        debug=args.debug,
        skipped=len(jobs) - len(left) if args.skip_existing else None,
    )
    return 1 if failed else 0


def _models(args: argparse.Namespace) -> tuple[Path, Path | None]:
    """Folder of the network, and of the one that comes before it, if any."""
    if args.model is None and args.affine is None and args.method in ("rigid", "affine"):
        return model_folder(None, "affine"), None
    folder = model_folder(args.model, "deformable")
    alone = args.affine is None and (args.model is not None or args.method == "deformable")
    return folder, None if alone else model_folder(args.affine, "affine", "--affine")


@dataclass(frozen=True)
class _Job:
    moving: Path
    fixed: Path
    in_folders: bool

    def output(self, target: str, suffix: str, ending: str) -> Path:
        """Where an output goes: the target itself, or a file in it."""
        from synthtf.data.paths import output_in, stem

        if not self.in_folders:
            return Path(target)
        return output_in(target, f"{stem(self.moving)}_to_{stem(self.fixed)}{suffix}{ending}")

    def outputs(self, args: argparse.Namespace, linear: bool) -> dict[str, Path]:
        """Where the outputs go that were asked for."""
        transform = ".lta" if linear else ".nii.gz"
        return {
            name: self.output(target, suffix, ending)
            for name, target, suffix, ending in (
                ("moved", args.output, "_moved", ".nii.gz"),
                ("inverse", args.inverse, "_inverse", ".nii.gz"),
                ("trans", args.trans, "_trans", transform),
                ("inverse_trans", args.inverse_trans, "_inverse", transform),
                ("figure", args.figure, "", ".png"),
            )
            if target
        }

    def is_done(self, args: argparse.Namespace, linear: bool) -> bool:
        """Whether all outputs exist and there is nothing else to do."""
        paths = self.outputs(args, linear).values()
        return not args.labels and all(path.is_file() for path in paths)


def _check(args: argparse.Namespace) -> None:
    outputs = (args.output, args.inverse, args.trans, args.inverse_trans, args.figure, args.labels)
    if not any(outputs):
        raise UsageError("expected at least one output: -o, -O, -t, -T, --figure or --labels")
    if not 0 < args.regularization < 1:
        raise UsageError(f"-r: λ must lie in (0, 1). Received: {args.regularization:g}")
    if not 5 <= args.steps <= _MOST_STEPS:
        raise UsageError(
            f"-n: expected at least 5 integration steps, and at most {_MOST_STEPS}. "
            f"Received: {args.steps}"
        )


def _plan_jobs(args: argparse.Namespace, transforms: list[Path]) -> list[_Job]:
    from synthtf.data.paths import expand_inputs, extension
    from synthtf.interop.transform_files import transform_extension

    moving, fixed = expand_inputs(args.moving), expand_inputs(args.fixed)
    if len(fixed) == 1:
        fixed = fixed * len(moving)
    if len(fixed) != len(moving):
        raise UsageError(
            f"expected one FIXED, or as many as MOVING. Received: {len(moving)} and {len(fixed)}"
        )
    outputs = [args.output, args.inverse, args.trans, args.inverse_trans, args.figure]
    in_folders = len(moving) > 1
    for target in filter(None, outputs):
        if in_folders and (extension(target) or Path(target).is_file()):
            raise UsageError(f"{target}: expected a folder for {len(moving)} pairs")
        if not in_folders and Path(target).is_dir():
            raise UsageError(f"{target}: expected a file for one pair, received a folder")
    for target in filter(None, outputs[2:4] if not in_folders else []):
        transform_extension(target)
    inputs = (*moving, *fixed, *transforms, *(args.labels or ()))
    used = {os.path.realpath(path) for path in inputs}
    for target in filter(None, outputs if not in_folders else []):
        if os.path.realpath(target) in used:
            raise UsageError(f"{target} is also an input or another output; rename it")
        used.add(os.path.realpath(target))
    jobs = [_Job(m, f, in_folders) for m, f in zip(moving, fixed, strict=True)]
    names = [job.output("", "", "") if in_folders else job for job in jobs]
    if args.labels and in_folders:
        raise UsageError("--labels: only for one pair")
    if len(set(names)) < len(names):
        raise UsageError("two pairs have scans of the same names: their outputs would be the same")
    return jobs


def _write(
    outputs: dict[str, Path],
    moving: "Volume",
    fixed: "Volume",
    found: "Registration",
    args: argparse.Namespace,
) -> None:
    from synthtf.interop.transform_files import write_transform

    forward, inverse = found.forward, found.inverse
    if args.mid_space:
        forward, inverse = found.middle_to_moving, found.middle_to_fixed
    # Both moved scans are in the middle on the grid of the fixed one.
    back = fixed if args.mid_space else moving
    if "moved" in outputs:
        _write_moved(outputs["moved"], moving, fixed, forward, args)
    if "inverse" in outputs:
        _write_moved(outputs["inverse"], fixed, back, inverse, args)
    if "trans" in outputs:
        write_transform(outputs["trans"], forward, fixed=fixed, moving=moving)
    if "inverse_trans" in outputs:
        write_transform(outputs["inverse_trans"], inverse, fixed=back, moving=fixed)


def _show(
    job: _Job, moving: "Volume", fixed: "Volume", found: "Registration", args: argparse.Namespace
) -> None:
    """Measure and draw the result."""
    from synthtf.data.volumes import read_volume
    from synthtf.inference.registration.picture import draw_registration, overlap

    title = f"{job.moving.name} to {job.fixed.name}"
    if args.labels:
        maps = [read_volume(path, labels=True) for path in args.labels]
        before, after = (overlap(*maps, transform) for transform in (None, found.forward))
        score = f"mean Dice {before:.3f} before, {after:.3f} after"
        print(f"{title}: {score}")
        title = f"{title}: {score}"
    if args.figure:
        path = job.output(args.figure, "", ".png")
        draw_registration(path, moving, fixed, found.forward, title)


def _write_moved(
    path: Path, scan: "Volume", like: "Volume", transform: object, args: argparse.Namespace
) -> None:
    from synthtf.data.volume_writer import write_volume
    from synthtf.inference.applying import apply_transform

    if args.header_only:
        affine = transform.inverse().matrix @ scan.affine
        write_volume(path, scan.data, like=scan, affine=affine)
        return
    moved = apply_transform(scan, transform, like=like)
    write_volume(path, moved.data, like=moved)
