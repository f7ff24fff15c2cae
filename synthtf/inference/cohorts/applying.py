"""Moving the files of images, label maps and points."""

import functools
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from synthtf.batch import Outcome, for_each_file
from synthtf.data.paths import EXTENSIONS, existing_file, extension
from synthtf.data.points import POINT_ENDINGS, read_points, write_points
from synthtf.data.transforms import Transform
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import Volume, read_volume
from synthtf.data.writable import check_writable
from synthtf.inference.applying import apply_transform
from synthtf.inference.defaults import FILL, INTERPOLATIONS
from synthtf.interop.transform_files import TransformFile, read_transforms
from synthtf.usage import usage_errors

Pair = tuple[Path, Path]


def apply_to_files(
    transform: str,
    files: Sequence[str | os.PathLike],
    *,
    like: str | os.PathLike | None = None,
    inverse: bool = False,
    interpolation: str = INTERPOLATIONS[0],
    fill: float = FILL,
    points: str | None = None,
) -> Outcome:
    """Move volumes and tables of points, each with one resampling.

    Args:
        transform: files of transforms, as `TransformFile.parse` reads them.
        files: input, its output, input, its output, and so on.
        like: image whose grid the results have.
        inverse: whether to move from the fixed to the moving image, which is then `like`.
        interpolation: as in `apply_transform`.
        fill: likewise.
        points: coordinates of tables of points that do not say, as in `read_points`.

    Returns:
        How many were moved, and which failed and why.

    Raises:
        ValueError: if files and transforms do not fit.
    """
    with usage_errors():
        if not math.isfinite(fill):
            raise ValueError(f"--fill: expected a finite number, received {fill}")
        transforms = TransformFile.parse(transform)
        references = [] if like is None else [like]
        pairs = _pairs(files, [*references, *(file.path for file in transforms)])
        if not any(source.is_file() for source, _ in pairs):
            existing_file(pairs[0][0], "IN")
        grid = None if like is None else read_volume(like, frames=True)
    # FSL's matrices depend on the image that is moved; all else is read, and inverted, once.
    shared = None if any(f.needs_images for f in transforms) else read_transforms(transforms)
    mover = _Mover(transforms, shared, grid, inverse, interpolation, fill, points)
    return for_each_file("apply", pairs, mover.move, name=lambda pair: pair[0])


@dataclass(frozen=True)
class _Mover:
    """Moves files by one chain of transforms."""

    files: Sequence[TransformFile]
    shared: Transform | None
    like: Volume | None
    inverse: bool
    interpolation: str
    fill: float
    points: str | None

    def move(self, pair: Pair) -> None:
        """Write what the first file becomes to the second."""
        (self._move_points if _kind(pair[0]) == "points" else self._move_volume)(*pair)

    @functools.cached_property
    def _shared_inverse(self) -> Transform:
        return self.shared.inverse()

    def _move_points(self, source: Path, output: Path) -> None:
        table = read_points(source, self.points)
        known = {"moving" if self.inverse else "fixed": self.like}
        transform = self.shared or read_transforms(self.files, **known)
        # Points go the opposite way to images: inverted twice, they need no inverse.
        move = transform if self.inverse else transform.inverse_at
        write_points(output, table.with_points(move(table.points)))

    def _move_volume(self, source: Path, output: Path) -> None:
        volume = _read(source, labels=self.interpolation == "nearest")
        if self.shared is not None:
            transform = self._shared_inverse if self.inverse else self.shared
        elif self.inverse:
            transform = read_transforms(self.files, moving=self.like, fixed=volume).inverse()
        else:
            transform = read_transforms(self.files, moving=volume, fixed=self.like)
        moved = apply_transform(
            volume, transform, like=self.like, interpolation=self.interpolation, fill=self.fill
        )
        # Frames of a 2D image are the fourth axis of a file.
        data = moved.data[:, :, None] if moved.data.ndim > moved.ndim == 2 else moved.data
        write_volume(output, data, like=moved)


def _pairs(files: Sequence[str | os.PathLike], others: Sequence[str | os.PathLike]) -> list[Pair]:
    """Inputs and outputs; refuses outputs that are inputs, or among the other files in use."""
    if len(files) % 2:
        raise ValueError(f"expected pairs of IN and OUT, received {len(files)} files")
    paths = [Path(file) for file in files]
    pairs = list(zip(paths[::2], paths[1::2], strict=True))
    used = {os.path.realpath(path) for path in (*paths[::2], *others)}
    for source, output in pairs:
        if source.suffix.lower() == ".json":
            raise ValueError(f"{source}: markups of Slicer are read as .fcsv; save them so")
        if not _kind(source) or _kind(source) != _kind(output):
            raise ValueError(
                f"{source} {output}: expected two volumes ({', '.join(EXTENSIONS)}), or two "
                f"tables of points ({', '.join(POINT_ENDINGS)})"
            )
        if len(pairs) == 1 and not source.exists():  # one of several does not stop the others
            raise FileNotFoundError(f"{source} does not exist; give a volume or a table of points")
        if os.path.realpath(output) in used:
            raise ValueError(f"output {output} is also an input or another output; rename it")
        check_writable(output)
        used.add(os.path.realpath(output))
    return pairs


def _kind(path: Path) -> str:
    if extension(path):
        return "volume"
    return "points" if path.suffix.lower() in POINT_ENDINGS else ""


def _read(path: Path, *, labels: bool) -> Volume:
    """Read an image with its frames, with whole numbers as labels where that is asked for."""
    try:
        return read_volume(path, labels=labels, frames=True)
    except ValueError:
        if not labels:
            raise
        # Images may be moved by nearest neighbour as well.
        return read_volume(path, frames=True)
