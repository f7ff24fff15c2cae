"""Writing of volumes: whole or not at all, with the geometry of the input."""

import gzip
import os
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.freesurfer.mghformat import MGHHeader

from synthtf.data.paths import EXTENSIONS, extension
from synthtf.data.volumes import Volume
from synthtf.data.whole_files import written_aside

_GEOMETRY = (
    "qform_code",
    "sform_code",
    "quatern_b",
    "quatern_c",
    "quatern_d",
    "qoffset_x",
    "qoffset_y",
    "qoffset_z",
    "srow_x",
    "srow_y",
    "srow_z",
    "xyzt_units",
    "dim_info",
)
_MGH_TYPES = ("u1", "i2", "i4", "f4")
_SAME_AFFINE = 1e-5  # mm; the precision of float32 headers


def write_volume(
    path: str | os.PathLike,
    data: np.ndarray,
    like: Volume | None = None,
    affine: np.ndarray | None = None,
    dtype: str | np.dtype | None = None,
) -> None:
    """Write a .nii, .nii.gz, .mgz or .mgh file, replacing an existing one.

    The file is written aside in the same folder and then moved: `path` never holds a partial
    file, and an existing file survives a failure. Folders are made. Whole numbers and booleans
    are stored in the smallest of uint8, int16 and int32 that holds them, other numbers as
    float32. Equal arguments give equal bytes.

    Args:
        path: file to write; the ending decides on the format.
        data: array of shape `(*spatial)` or `(*spatial, frames)`. `(x, y)` is written with two
            axes, or with a third of length one if the header of `like` has it.
        like: volume whose geometry is kept to the bit within its format: affine, qform, sform and
            their codes, units.
        affine: voxel-to-world affine, `(4, 4)`, to RAS in mm. Default: the affine of `like`.
        dtype: type of the stored voxels. Whole numbers must fit it. Other numbers in a type of
            whole numbers are scaled where the format can say so (NIfTI), and float32 where it
            cannot. A type that the format lacks is not used. Default: as said above.

    Raises:
        ValueError: if the ending is unknown, neither `like` nor `affine` is given, the affine is
            not `(4, 4)` and finite, the array is not that of a volume, or its grid is not that of
            `like` and no affine is given.
        OSError: if the file cannot be written; `path` is then unchanged.
    """
    path = Path(path)
    if not extension(path):
        raise ValueError(f"{path}: unknown ending; it must be one of {', '.join(EXTENSIONS)}")
    if dtype is not None and _is_mgh(path) and np.dtype(dtype).str[1:] not in _MGH_TYPES:
        dtype = None
    data = _stored(np.asarray(data), path, dtype)
    affine = _checked_affine(data, like, affine, path)
    # nibabel never drops a third axis of length one: whether to write it is decided here.
    if data.ndim == 2 and like is not None and _stored_axes(like) > 2:
        data = data[..., None]
    image = _mgh(data, affine, like) if _is_mgh(path) else _nifti(data, affine, like)
    if dtype is not None and not _is_mgh(path):
        image.header.set_data_dtype(dtype)  # nibabel scales the numbers if it must
    _write_image(path, image)


def smallest_integers(data: np.ndarray) -> np.ndarray:
    """Return whole numbers in the smallest of uint8, int16 and int32 that holds them.

    Args:
        data: integer or boolean array.

    Returns:
        The array in its new type; the same one if the type fits.

    Raises:
        ValueError: if a value does not fit int32.
    """
    low, high = (int(data.min()), int(data.max())) if data.size else (0, 0)
    for kind in ("uint8", "int16", "int32"):
        limits = np.iinfo(kind)
        if limits.min <= low and high <= limits.max:
            return data.astype(kind, copy=False)
    raise ValueError(f"`data` must fit int32. Received: data in [{low}, {high}]")


def _stored(data: np.ndarray, path: Path, dtype: str | np.dtype | None) -> np.ndarray:
    if data.dtype.kind not in "biuf" or not 2 <= data.ndim <= 4 or not data.size:
        raise ValueError(
            f"{path}: `data` must be a real array of two to four axes. "
            f"Received: {data.dtype} of shape {data.shape}"
        )
    if dtype is not None and (data.dtype.kind != "f" or np.dtype(dtype).kind == "f"):
        return data.astype(dtype, copy=False)
    return data.astype("float32", copy=False) if data.dtype.kind == "f" else smallest_integers(data)


def _checked_affine(
    data: np.ndarray, like: Volume | None, affine: np.ndarray | None, path: Path
) -> np.ndarray:
    if affine is None:
        if like is None:
            raise ValueError(f"{path}: give `like` or `affine` for the place of the voxels")
        if data.shape[: like.ndim] != like.shape:
            raise ValueError(
                f"{path}: the array of shape {data.shape} is not on the grid {like.shape} of "
                f"{like.name}; give the affine of its grid"
            )
        return like.affine
    affine = np.asarray(affine, "float64")
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise ValueError(
            f"{path}: `affine` must be finite, of shape (4, 4). Received: affine={affine}"
        )
    return affine


def _is_mgh(path: Path) -> bool:
    return extension(path) in {".mgz", ".mgh"}


def _stored_axes(like: Volume) -> int:
    if like.header is None or isinstance(like.header, MGHHeader):
        return 2
    return int(like.header["dim"][0])


def _nifti(data: np.ndarray, affine: np.ndarray, like: Volume | None) -> nib.Nifti1Image:
    source = None if like is None else like.header
    large = max(data.shape) > np.iinfo("int16").max
    kind = nib.Nifti2Image if large or isinstance(source, nib.Nifti2Header) else nib.Nifti1Image
    header = kind.header_class()
    header.set_data_dtype(data.dtype)
    header.set_data_shape(data.shape)
    header.set_xyzt_units("mm")
    if not isinstance(source, (nib.Nifti1Header, nib.Nifti2Header)):
        header.set_sform(affine, code="scanner")
        header["pixdim"][1:4] = _lengths(affine)
        return kind(data, header.get_best_affine(), header)
    for field in _GEOMETRY:
        header[field] = source[field]
    header["pixdim"][:4] = source["pixdim"][:4]
    # The volume may have been moved since its header was read.
    if not np.allclose(affine, source.get_best_affine(), rtol=0, atol=_SAME_AFFINE):
        # A quaternion cannot hold shear. One correct form is better than two that differ.
        header.set_qform(None, code=0)
        header.set_sform(affine, code=int(source["sform_code"]) or int(source["qform_code"]) or 2)
        header["pixdim"][1:4] = _lengths(affine)
    # nibabel keeps both forms if the affine is that of the header.
    return kind(data, header.get_best_affine(), header)


def _lengths(affine: np.ndarray) -> np.ndarray:
    return np.sqrt((affine[:3, :3] ** 2).sum(0))


def _mgh(data: np.ndarray, affine: np.ndarray, like: Volume | None) -> nib.MGHImage:
    source = None if like is None else like.header
    data = data[..., None] if data.ndim == 2 else data
    same = isinstance(source, MGHHeader) and tuple(source["dims"][:3]) == data.shape[:3]
    if same and np.allclose(affine, source.get_best_affine(), rtol=0, atol=_SAME_AFFINE):
        header = source.copy()
        header["dims"][3] = data.shape[3] if data.ndim == 4 else 1
        header.set_data_dtype(data.dtype)
        return nib.MGHImage(data, header.get_best_affine(), header)
    image = nib.MGHImage(data, affine)
    image.header.set_data_dtype(data.dtype)
    return image


def _write_image(path: Path, image: nib.Nifti1Image | nib.MGHImage) -> None:
    try:
        with written_aside(path) as aside, aside.open("xb") as file:
            if extension(path) in {".nii.gz", ".mgz"}:
                # No name and no time in the stream: equal volumes give equal files.
                with gzip.GzipFile("", "wb", 4, file, mtime=0) as stream:
                    image.to_stream(stream)
            else:
                image.to_stream(file)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        reason = error.strerror or error
        raise OSError(f"cannot write {path} ({reason}); an existing file is unchanged") from error
