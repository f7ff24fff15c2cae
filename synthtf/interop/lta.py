"""FreeSurfer's linear transform arrays (LTA): text with a matrix and the geometry of both images.

The matrix maps the *source*, the moving image, to the *destination*, the fixed image: from RAS mm
to RAS mm in type 1, from voxels to voxels in type 0. It is the inverse of a transform in synthtf.
Both types are read from files with one matrix; type 1 is written.

The geometry of an image consists of its size in voxels, its voxel size, the direction of each axis
in RAS, and the RAS coordinates of its centre, voxel `size / 2`.

Reference:
    FreeSurfer, utils/transform.cpp (`ltaReadFileEx`, `LTAwrite`, `LTAchangeType`).
"""

import os

import numpy as np

from synthtf.data.grid import Grid
from synthtf.data.text_files import encode, split_lines
from synthtf.data.transforms import Affine
from synthtf.data.volumes import Volume
from synthtf.data.whole_files import write_whole
from synthtf.interop.small_files import naming, parse_numbers, read_text
from synthtf.interop.transform_format import TransformFormat

_VOXEL_TO_VOXEL, _RAS_TO_RAS = 0, 1
_AXES = ("xras", "yras", "zras")


def read_lta(path: str | os.PathLike) -> Affine:
    """Read an LTA.

    Args:
        path: path of an .lta file.

    Returns:
        The transform, with the grids of both images if the file holds them.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is malformed, of another type, or holds several matrices.
    """
    text = read_text(path)
    with naming(path):
        return _parse(text)


def write_lta(
    path: str | os.PathLike,
    transform: Affine,
    *,
    fixed: Volume | Grid,
    moving: Volume | Grid,
) -> None:
    """Write an LTA of type 1 (RAS to RAS), from `moving` (source) to `fixed` (destination).

    Args:
        path: file to write.
        transform: transform from the fixed to the moving image.
        fixed: fixed image.
        moving: moving image.

    Raises:
        OSError: if the file cannot be written.
    """
    matrix = transform.inverse().matrix
    lines = [
        "# LTA written by synthtf",
        "type      = 1 # LINEAR_RAS_TO_RAS",
        "nxforms   = 1",
        "mean      = 0.0000 0.0000 0.0000",
        "sigma     = 1.0000",
        "1 4 4",
        *(_words(row) for row in matrix),
        "src volume info",
        *_geometry_lines(moving),
        "dst volume info",
        *_geometry_lines(fixed),
    ]
    write_whole(path, encode("\n".join(lines) + "\n"))


def _parse(text: str) -> Affine:
    lines = [line.strip() for line in split_lines(text)]
    starts = {name: _find(lines, f"{name} volume info") for name in ("src", "dst")}
    header = _fields(lines[: starts["src"]])
    if "type" not in header or "nxforms" not in header:
        raise ValueError("an LTA must have lines 'type = ' and 'nxforms = '")
    kind, num = (_integer(header[name], name) for name in ("type", "nxforms"))
    if kind not in (_VOXEL_TO_VOXEL, _RAS_TO_RAS):
        raise ValueError(
            f"unknown transform type {kind}; it must be 0 (LINEAR_VOX_TO_VOX) or 1 "
            "(LINEAR_RAS_TO_RAS)"
        )
    if num != 1:
        raise ValueError(f"the file must hold one transform. Received: nxforms = {num}")
    row = _find([" ".join(line.split()) for line in lines], "1 4 4")
    matrix = parse_numbers(" ".join(lines[row + 1 : row + 5]).split(), "its matrix", 16)
    matrix = matrix.reshape(4, 4)
    moving = _grid(_fields(lines[starts["src"] : starts["dst"]]))
    fixed = _grid(_fields(lines[starts["dst"] :]))
    if kind == _VOXEL_TO_VOXEL:
        if moving is None or fixed is None:
            raise ValueError("a transform between voxels needs the geometry of both images")
        matrix = fixed.affine @ matrix @ np.linalg.inv(moving.affine)
    return Affine(matrix, moving, fixed).inverse()


def _find(lines: list[str], start: str) -> int:
    found = next((i for i, line in enumerate(lines) if line.startswith(start)), None)
    if found is None:
        raise ValueError(f"an LTA must have a line '{start}'")
    return found


def _fields(lines: list[str]) -> dict[str, str]:
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {key.strip(): value.partition("#")[0].strip() for key, _, value in pairs}


def _integer(text: str, what: str) -> int:
    number = parse_numbers(text.split(), what, 1)[0]
    if number != int(number):
        raise ValueError(f"{what} must be a whole number. Received: {text}")
    return int(number)


def _grid(fields: dict[str, str]) -> Grid | None:
    keys = ("volume", "voxelsize", *_AXES, "cras")
    if "valid" in fields and _integer(fields["valid"], "valid") != 1:
        return None
    missing = [key for key in ("valid", *keys) if key not in fields]
    if missing:
        raise ValueError(f"the geometry of an image must have a line '{missing[0]} = '")
    shape, spacing, *axes, centre = (parse_numbers(fields[key].split(), key, 3) for key in keys)
    affine = np.eye(4)
    affine[:3, :3] = np.stack(axes, 1) * spacing
    affine[:3, 3] = centre - affine[:3, :3] @ shape / 2
    return Grid(tuple(shape.tolist()), affine)


def _geometry_lines(image: Volume | Grid) -> list[str]:
    grid = Grid.of(image)
    matrix = grid.affine[:3, :3]
    spacing = np.linalg.norm(matrix, axis=0)
    centre = grid.affine[:3, 3] + matrix @ np.array(grid.shape) / 2
    path = str(getattr(image, "path", None) or "unknown")
    if len(path.splitlines()) != 1:  # the format has a line for a name
        path = "unknown"
    return [
        "valid = 1  # volume info valid",
        f"filename = {path}",
        "volume = {} {} {}".format(*grid.shape),
        f"voxelsize = {_words(spacing)}",
        *(f"{name}   = {_words(matrix[:, i] / spacing[i])}" for i, name in enumerate(_AXES)),
        f"cras   = {_words(centre)}",
    ]


def _words(numbers: np.ndarray) -> str:
    return " ".join(f"{number:.15e}" for number in numbers)


LTA = TransformFormat(
    (".lta",),
    read=lambda path, fixed, moving: read_lta(path),
    write=lambda path, transform, fixed, moving: write_lta(
        path, transform, fixed=fixed, moving=moving
    ),
)
