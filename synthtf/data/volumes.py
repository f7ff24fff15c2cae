"""Volumes: voxels with a voxel-to-world affine, checked when they are read.

Rules:
    - An image is read as float32, unless float64 is asked for, a label map as int32, all in
      memory order C.
    - A file with two axes, or with a third axis of length one, is a 2D image: an array of two
      axes. An axis of length one before the third is kept, as a volume one voxel thick.
    - A picture is a 2D image with voxels of 1 mm, whose first axis goes to the right and whose
      second one goes down. Colours are averaged, with a warning.
    - A fourth axis of length one is dropped, with a warning. A longer one is refused, unless
      frames are accepted.
    - Voxels that are NaN or infinite become 0 in images, with a warning, and are refused in
      label maps.
    - If both qform and sform are set and differ, the sform is used, with a warning.
"""

import itertools
import math
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from synthtf.data.headers import FileHeader
from synthtf.data.integrity import read_header, read_verified
from synthtf.messages import describe

_SPACING_RANGE = (0.25, 8.0)  # mm; usual for scans of a head
_FORM_TOLERANCE = 0.01  # mm, at the corners of the volume
_FARTHEST = 1e6  # mm; one kilometre, beyond any scanner
_CLOSEST = 1e-6  # mm; a nanometre, below any microscope
_SIZE_TOLERANCE = 0.01  # relative, between the two places where a header has the voxel size
_SLOPES = (1e-12, 1e12)  # factors of intensities that are likely
_UNITS = {1: "metres", 3: "micrometres"}
_MAX_LABEL = 2**31 - 1
_SURFACES = (1009, 2002, 2005)  # NIfTI's intents: triangle, node index, shape
# Vector, displacement and points; FSL's warps and fields of topup.
_FIELDS = (1006, 1007, 1008, *range(2006, 2010), *range(2016, 2019))
_VERTICES = [10 * 4**order + 2 for order in range(4, 8)]  # of FreeSurfer's icosahedra


@dataclass(frozen=True, eq=False)
class Volume:
    """An array of voxels and its voxel-to-world affine.

    Attributes:
        data: array of shape `(*spatial)`, with two or three axes, or `(*spatial, frames)`.
        affine: voxel-to-world affine, `(4, 4)` float64, to RAS in mm. A 2D image lies in the
            plane of the first two columns.
        header: nibabel header of the file, or None.
        path: path of the file, or None.
        ndim: number of spatial axes, 2 or 3. Default: the number of axes of `data`.
    """

    data: np.ndarray
    affine: np.ndarray
    header: object | None = None
    path: Path | None = None
    ndim: int = 0

    def __post_init__(self) -> None:
        """Check the shapes."""
        affine = np.asarray(self.affine, "float64")
        ndim = self.ndim or np.ndim(self.data)
        if ndim not in (2, 3) or np.ndim(self.data) - ndim not in (0, 1):
            raise ValueError(
                "`data` must have 2 or 3 spatial axes. "
                f"Received: data with shape {np.shape(self.data)}"
            )
        if affine.shape != (4, 4):
            raise ValueError(
                f"`affine` must have the shape (4, 4). Received: affine with shape {affine.shape}"
            )
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "ndim", ndim)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of voxels per spatial axis."""
        return self.data.shape[: self.ndim]

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distance between voxel centres per spatial axis, in mm."""
        columns = self.affine[:3, : self.ndim]
        return tuple(float(length) for length in np.sqrt((columns**2).sum(0)))

    @property
    def name(self) -> str:
        """File name for messages, or "array"."""
        return str(self.path) if self.path else "array"


def read_volume(
    path: str | os.PathLike, labels: bool = False, frames: bool = False, dtype: str = "float32"
) -> Volume:
    """Read a .nii, .nii.gz, .mgz or .mgh file, or a picture (.png, .tif or .tiff).

    The module's docstring states the rules.

    The file is verified to its end: checksum, length, and a header that the file can hold. A
    header that nibabel repairs is read as it does, with a warning. Files without a checksum (.nii,
    .mgh) may have wrong voxels that nothing shows: compress what is stored or copied.

    Args:
        path: file to read.
        labels: read a label map: whole numbers in [0, 2^31), as int32. Default False.
        frames: accept several frames, as the last axis of `data`; a single one has no axis.
            Default False.
        dtype: type of an image, "float32" or "float64". Default "float32".

    Returns:
        The volume, of that type; int32 for a label map.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is truncated, corrupt or not a volume; if its voxels are colours or
            complex; if it has too many axes or no usable affine; or if its values are not labels
            where a label map is read.

    Warns:
        UserWarning: if something is doubtful, one line each, with the name of the file.
    """
    volume, notes = read_with_notes(path, labels, frames, dtype)
    for note in notes:
        warnings.warn(note, UserWarning, stacklevel=2)
    return volume


@np.errstate(all="ignore")  # Damaged numbers are refused or reported below.
def read_with_notes(
    path: str | os.PathLike, labels: bool = False, frames: bool = False, dtype: str = "float32"
) -> tuple[Volume, list[str]]:
    """Read a volume as `read_volume` does, and return its warnings instead of issuing them.

    Args:
        path: file to read.
        labels: read a label map. Default False.
        frames: accept several frames. Default False.
        dtype: type of an image. Default "float32".

    Returns:
        The volume, and one line per warning.

    Raises:
        FileNotFoundError: as in `read_volume`.
        ValueError: as in `read_volume`.
    """
    path = Path(path)
    notes: list[str] = []
    # Verified first, so that a flipped bit in the header does not look like a colour image.
    found, voxels = read_verified(path)
    notes += [f"{path}: {doubt}" for doubt in found.doubts]
    shape, ndim = _spatial_shape(found, path, frames, notes)
    affine = _affine(found, path, ndim, notes)
    voxels = _scaled(voxels.reshape(shape, order="F"), _scaling(found, path, notes))
    data = as_labels(voxels, str(path)) if labels else _to_image(voxels, dtype, str(path), notes)
    volume = Volume(data, affine, found.header, path, ndim)
    _note_spacing(volume, notes)
    return volume, notes


@np.errstate(all="ignore")
def read_geometry(path: str | os.PathLike) -> tuple[tuple[int, ...], np.ndarray]:
    """Read the spatial shape and the affine of a volume file from its header alone.

    Args:
        path: file to read.

    Returns:
        Number of voxels per axis (two or three), and the `(4, 4)` affine.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the header is damaged, or is not that of one 2D or 3D volume.
    """
    path = Path(path)
    found = read_header(path)
    shape, ndim = _spatial_shape(found, path, False, [])
    return shape, _affine(found, path, ndim, [])


def as_labels(data: np.ndarray, name: str) -> np.ndarray:
    """Return an array of whole numbers in [0, 2^31) as int32.

    Args:
        data: array of any shape and type.
        name: name of the file or argument, for the message.

    Returns:
        int32 array in memory order C.

    Raises:
        ValueError: if a value is negative, too large, or not whole.
    """
    data = np.asarray(data)
    if data.dtype.kind not in "biuf":
        raise ValueError(f"{name}: labels must be whole numbers. Received: {data.dtype}")
    if data.dtype.kind == "f":
        # NaN and infinite values are wrong too.
        wrong = ~(np.isfinite(data) & (data == np.rint(data)))
        if wrong.any():
            raise ValueError(
                f"{name}: labels must be whole numbers; is this an image? "
                f"Received: {data[wrong][0]:g} ({np.count_nonzero(wrong):,} voxels)"
            )
    if data.size and (data.min() < 0 or data.max() > _MAX_LABEL):
        wrong = (data < 0) | (data > _MAX_LABEL)
        raise ValueError(
            f"{name}: labels must lie in [0, 2^31); relabel it. "
            f"Received: {int(data[wrong][0])} ({np.count_nonzero(wrong):,} voxels)"
        )
    return np.ascontiguousarray(data, "int32")


def _spatial_shape(
    found: FileHeader, path: Path, frames: bool, notes: list[str]
) -> tuple[tuple[int, ...], int]:
    """Return the shape of the array, with frames if accepted, and the number of spatial axes."""
    if found.dtype.names or found.dtype.kind not in "biuf":
        kind = "complex" if found.dtype.kind == "c" else "colour"
        raise ValueError(f"{path}: voxels must be real numbers. Received: {kind} voxels")
    shape = found.shape
    if what := _no_image(found):
        raise ValueError(f"{path} must be an image. Received: {what}, of shape {shape}")
    if len(shape) < 2:
        raise ValueError(f"{path}: there must be two or three axes. Received: shape {shape}")
    spatial = shape[:2] if len(shape) == 2 or shape[2] == 1 else shape[:3]
    rest = shape[3:]
    if frames and math.prod(rest) > 1:
        return (*spatial, math.prod(rest)), len(spatial)
    if math.prod(rest) > 1:
        raise ValueError(
            f"{path} must be one volume; extract a frame first. Received: {len(shape)} axes "
            f"({math.prod(rest)} frames of {' x '.join(map(str, spatial))})"
        )
    if rest:
        notes.append(f"{path}: the fourth axis, of length one, was dropped")
    return spatial, len(spatial)


def _no_image(found: FileHeader) -> str:
    """Say what a file is that has numbers on no grid, or vectors; empty for an image."""
    intent = 0
    if isinstance(found.header, nib.Nifti1Header):
        intent = int(found.header["intent_code"])
    if intent in range(3000, 3100):
        return "CIFTI, which holds surfaces"
    if intent in _SURFACES or _is_overlay(found.shape):
        return "a surface overlay, or another list of numbers without a grid"
    if intent in _FIELDS and math.prod(found.shape[3:]) > 1:
        return "a field of vectors, such as a transform, which has no intensities"
    return ""


def _is_overlay(shape: tuple[int, ...]) -> bool:
    """Return whether values lie on a line, one for each vertex, perhaps folded."""
    spatial = shape[:3]
    flat = [n for n in spatial if n > 1]
    on_a_line = len(spatial) > 2 and len(flat) == 1
    return on_a_line or (1 in spatial[:2] and math.prod(spatial) in _VERTICES)


def _scaling(found: FileHeader, path: Path, notes: list[str]) -> tuple[float, float]:
    """Return slope and intercept of the voxels; NaN, which nibabel writes, and 0 mean none."""
    if isinstance(found.header, nib.freesurfer.mghformat.MGHHeader):
        return 1.0, 0.0
    try:
        slope, inter = found.header.get_slope_inter()
    except nib.spatialimages.HeaderDataError as error:
        raise ValueError(f"{path} is corrupt: {describe(error)}") from error
    if slope is None:
        if math.isinf(found.header["scl_slope"]):
            notes.append(f"{path}: its header scales voxels by infinity; they are not scaled")
        return 1.0, 0.0
    if not _SLOPES[0] <= abs(slope) <= _SLOPES[1]:
        notes.append(f"{path}: its header scales voxels by {slope:g}; is that right?")
    return float(slope), float(inter)


def _scaled(voxels: np.ndarray, scaling: tuple[float, float]) -> np.ndarray:
    return voxels if scaling == (1.0, 0.0) else voxels.astype("float64") * scaling[0] + scaling[1]


def _to_image(voxels: np.ndarray, dtype: str, name: str, notes: list[str]) -> np.ndarray:
    data = voxels.astype(dtype, order="C")
    # The sum is finite if all voxels are, and costs far less than a mask.
    if not np.isfinite(data.sum(dtype="float64")):
        wrong = ~np.isfinite(data)
        data[wrong] = 0
        notes.append(f"{name}: {np.count_nonzero(wrong):,} NaN or infinite voxels were set to 0")
    if data.min() == data.max():
        notes.append(f"{name} is constant: every voxel is {data.flat[0]:g}")
    return data


def _affine(found: FileHeader, path: Path, ndim: int, notes: list[str]) -> np.ndarray:
    header = found.header
    try:
        affine = np.asarray(header.get_best_affine(), "float64")
    except (ValueError, nib.spatialimages.HeaderDataError) as error:
        reason = describe(error)
        raise ValueError(
            f"{path}: its header has no usable affine ({reason}); repair it"
        ) from error
    columns = affine[:3, :ndim]
    lengths = np.sqrt((columns**2).sum(0))
    usable = np.isfinite(affine).all() and (lengths > _CLOSEST).all()
    # Unit columns make the test independent of the voxel size.
    if not usable or np.linalg.svd(columns / lengths, compute_uv=False)[-1] < 1e-4:
        raise ValueError(
            f"{path}: its affine is singular: {affine[:3].tolist()}; repair the header"
        )
    if np.abs(affine[:3]).max() > _FARTHEST:
        raise ValueError(
            f"{path}: its affine places voxels {np.abs(affine[:3]).max() / 1e6:.3g} km away: "
            f"{affine[:3].tolist()}; repair the header"
        )
    if not found.oriented:
        notes.append(
            f"{path}: its header sets no orientation; left and right are unknown, and "
            f"{''.join(nib.aff2axcodes(affine))} is assumed"
        )
    elif isinstance(header, nib.Nifti1Header):
        _note_forms(header, found.shape, path, notes)
        _note_sizes(header, lengths, path, notes)
    return affine


def _note_forms(header: object, shape: tuple[int, ...], path: Path, notes: list[str]) -> None:
    if int(header["qform_code"]) <= 0 or int(header["sform_code"]) <= 0:
        return
    try:
        qform = header.get_qform()
    except (ValueError, nib.spatialimages.HeaderDataError):
        notes.append(f"{path}: its qform is not valid; the sform is used")
        return
    size = (*shape, 1)[:3]
    corners = np.array([(*c, 1) for c in itertools.product(*[(0, n - 1) for n in size])])
    apart = np.linalg.norm((corners @ (qform - header.get_sform()).T)[:, :3], axis=1).max()
    if not apart <= _FORM_TOLERANCE:
        notes.append(
            f"{path}: its qform and sform differ, by up to {apart:.3g} mm; the sform is used"
        )


def _note_sizes(
    header: nib.Nifti1Header, lengths: np.ndarray, path: Path, notes: list[str]
) -> None:
    sizes = np.asarray(header["pixdim"][1 : 1 + len(lengths)], "float64")
    if not (np.abs(sizes - lengths) <= _SIZE_TOLERANCE * lengths).all():
        sizes, used = (" x ".join(f"{mm:.4g}" for mm in found) for found in (sizes, lengths))
        notes.append(f"{path}: its pixdim says voxels of {sizes} mm, its affine {used}, as used")
    if unit := _UNITS.get(int(header["xyzt_units"]) & 7):
        notes.append(f"{path}: its header is in {unit}; its numbers are read as mm")


def _note_spacing(volume: Volume, notes: list[str]) -> None:
    low, high = _SPACING_RANGE
    if all(low <= s <= high for s in volume.spacing):
        return
    extent = [n * s for n, s in zip(volume.shape, volume.spacing, strict=True)]
    notes.append(
        f"{volume.path}: unusual voxels of {' x '.join(f'{s:.3g}' for s in volume.spacing)} mm; "
        f"{volume.data.size * 4 / 1e6:.3g} MB in memory, "
        f"{math.prod(extent) * 4 / 1e6:.3g} MB at 1 mm: are the units right?"
    )
