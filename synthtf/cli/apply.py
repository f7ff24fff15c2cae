"""`synthtf apply`: move images, label maps and points by a transform."""

import argparse
import functools
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from synthtf.batch import for_each_file
from synthtf.usage import UsageError, usage_errors

if TYPE_CHECKING:
    from synthtf.data.transforms import Transform
    from synthtf.data.volumes import Volume

_DESCRIPTION = """\
Move images, label maps and points by one transform or several, with a single resampling.

TRANS  a transform: .lta (FreeSurfer), .txt or .tfm (ITK), .mat (FSL's FLIRT, or ANTs),
       .nii.gz or .nii (displacement field: RAS, or LPS of ITK and ANTs). Several are
       separated by commas, the one that the image passes first in front. With ":inverse"
       after its name, a transform is inverted: a.lta,b.nii.gz:inverse
IN     an image or a label map (.nii.gz, .nii, .mgz, .mgh), or a table of points (.csv,
       .tsv, .txt: x, y, z in RAS mm first; all else of the table is kept)
OUT    its result. Existing files are overwritten.

A transform takes the moving image, IN, to the fixed image, whose grid OUT has: that of
--like; without it, that of the fixed image as the file of the transform has it (.lta and
displacement fields do); else that of IN. Points move with the image: they are given in the
moving image and end in the fixed image."""


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "apply",
        help="move images, label maps and points by a transform",
        usage="%(prog)s [options] TRANS IN OUT [IN OUT ...]",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("transform", metavar="TRANS", help="transforms, separated by commas")
    parser.add_argument("files", nargs="+", metavar="IN OUT", help="what to move, and the result")
    parser.add_argument(
        "-m",
        "--method",
        choices=("linear", "nearest"),
        default="linear",
        help="interpolation: linear for images (default), nearest for label maps, whose values "
        "it keeps; nothing is guessed from the files",
    )
    parser.add_argument("--like", metavar="REF", help="image whose grid the results have")
    parser.add_argument(
        "--inverse",
        action="store_true",
        help="invert the whole: move from the fixed to the moving image, which is then --like",
    )
    parser.add_argument(
        "--fill", type=float, default=0.0, metavar="X", help="value outside of IN (default 0)"
    )


def run(args: argparse.Namespace) -> int:
    """Move all inputs; 1 if some failed."""
    from synthtf.data.points import read_points, write_points
    from synthtf.data.volume_writer import write_volume
    from synthtf.data.volumes import read_volume
    from synthtf.inference.applying import apply_to_points, apply_transform
    from synthtf.interop.transform_files import TransformFile, read_transforms

    with usage_errors():
        if not math.isfinite(args.fill):
            raise UsageError(f"--fill: expected a finite number, received {args.fill}")
        files = TransformFile.parse(args.transform)
        references = [args.like] if args.like else []
        pairs = _pairs(args.files, [*references, *(file.path for file in files)])
        like = None if args.like is None else read_volume(args.like, frames=True)

    # FSL's matrices depend on the image that is moved; all else is read, and inverted, once.
    shared = None if any(file.needs_images for file in files) else read_transforms(files)

    @functools.cache
    def shared_inverse() -> "Transform":
        return shared.inverse()

    def move_points(source: Path, output: Path) -> None:
        table = read_points(source)
        known = {"moving" if args.inverse else "fixed": like}
        transform = shared or read_transforms(files, **known)
        # Points go the opposite way to images: inverted twice, they need no inverse.
        if args.inverse:
            moved = transform(table.points)
        else:
            moved = apply_to_points(table.points, transform)
        write_points(output, table.with_points(moved))

    def move_volume(source: Path, output: Path) -> None:
        volume = _read(source, labels=args.method == "nearest")
        if shared is not None:
            transform = shared_inverse() if args.inverse else shared
        elif args.inverse:
            transform = read_transforms(files, moving=like, fixed=volume).inverse()
        else:
            transform = read_transforms(files, moving=volume, fixed=like)
        moved = apply_transform(
            volume, transform, like=like, interpolation=args.method, fill=args.fill
        )
        # Frames of a 2D image are the fourth axis of a file.
        data = moved.data[:, :, None] if moved.data.ndim > moved.ndim == 2 else moved.data
        write_volume(output, data, like=moved)

    def move_one(pair: tuple[Path, Path]) -> None:
        (move_points if _kind(pair[0]) == "points" else move_volume)(*pair)

    failed = for_each_file("apply", pairs, move_one, path=lambda pair: pair[0], debug=args.debug)
    return 1 if failed else 0


def _pairs(files: Sequence[str], others: Sequence[str | Path]) -> list[tuple[Path, Path]]:
    """Inputs and outputs; refuses outputs that are inputs, or among the other files in use."""
    if len(files) % 2:
        raise UsageError(f"expected pairs of IN and OUT, received {len(files)} files")
    paths = [Path(file) for file in files]
    pairs = list(zip(paths[::2], paths[1::2], strict=True))
    used = {os.path.realpath(path) for path in (*paths[::2], *others)}
    for source, output in pairs:
        if not _kind(source) or _kind(source) != _kind(output):
            raise UsageError(
                f"{source} {output}: expected two volumes (.nii.gz, .nii, .mgz, .mgh), or two "
                "tables of points (.csv, .tsv, .txt)"
            )
        if os.path.realpath(output) in used:
            raise UsageError(f"output {output} is also an input or another output; rename it")
        used.add(os.path.realpath(output))
    return pairs


def _kind(path: Path) -> str:
    from synthtf.data.paths import extension
    from synthtf.data.points import POINT_ENDINGS

    if extension(path):
        return "volume"
    return "points" if path.suffix.lower() in POINT_ENDINGS else ""


def _read(path: Path, *, labels: bool) -> "Volume":
    """Read an image with its frames, with whole numbers as labels where that is asked for."""
    from dataclasses import replace

    from synthtf.data.volumes import read_volume

    try:
        volume = read_volume(path, labels=labels, frames=True)
    except ValueError:
        if not labels:
            raise
        # Images may be moved by nearest neighbour as well.
        volume = read_volume(path, frames=True)
    single = volume.data.shape[-1] == 1 and volume.data.ndim > volume.ndim
    return replace(volume, data=volume.data[..., 0]) if single else volume
