"""Voxels and headers of volume files, verified before they are used.

nibabel stops reading a compressed file after the last voxel, before the checksum, so that damaged
files load with wrong voxels. Here the stream is read to its end, where gzip compares checksum and
length. The size that the header claims is compared with the size of the file first, and no more
memory is taken than that. What nibabel repairs in a header is repaired likewise, and said.

Only a checksum would tell of a flipped bit among the voxels of an uncompressed file, or of a field
of the header that another file could well have, such as another slope, origin or order of axes.
"""

import gzip
import io
import math
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from nibabel.spatialimages import HeaderDataError

from synthtf.data.contents import HEAD_BYTES, is_picture, no_file, peek, unlike_its_name
from synthtf.data.headers import (
    FileHeader,
    is_mgh,
    is_mgh_footer,
    is_nifti,
    parse_mgh,
    parse_nifti,
)
from synthtf.data.paths import INPUTS, extension
from synthtf.data.pictures import read_picture
from synthtf.messages import describe

_DEFLATE_RATIO = 1032  # largest compression ratio of deflate
_TRAILING_BYTES = 2**24  # largest footer or padding
_PADDING, _FOOTER_BYTES = 512, 2**16  # largest padding, and footer, without a doubt
_CHUNK = 2**22
_GZIP = b"\x1f\x8b"


def read_header(path: str | os.PathLike) -> FileHeader:
    """Read the header of a volume file, without its voxels.

    Args:
        path: a .nii, .nii.gz, .mgz or .mgh file, or a picture.

    Returns:
        The header, checked against the size of the file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the ending is unknown, the header is damaged or not that of a volume, or it
            claims more voxels than the file or the memory can hold.
    """
    if is_picture(path):
        return read_picture(path)[0]
    path = _existing(path)
    with _readable(path) as stream:
        return _parse_header(_read_up_to(stream, HEAD_BYTES), path)


def read_verified(path: str | os.PathLike) -> tuple[FileHeader, np.ndarray]:
    """Read the header and the voxels of a volume file, and verify it to its end.

    Args:
        path: a .nii, .nii.gz, .mgz or .mgh file, or a picture.

    Returns:
        The header, and an array of `header.shape` in the stored type, not scaled.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: as in `read_header`, and if the file is truncated or corrupt.
    """
    if is_picture(path):
        return read_picture(path)
    path = _existing(path)
    with _readable(path) as stream:
        data = bytearray(_read_up_to(stream, HEAD_BYTES))
        found = _parse_header(bytes(data), path)
        data += _read_up_to(stream, found.num_bytes - len(data))
        if len(data) < found.num_bytes:
            raise ValueError(
                f"{path} is truncated: the header claims {found.num_bytes:,} bytes, "
                f"the file holds {len(data):,}; copy it again"
            )
        start = bytes(data[found.num_bytes :] + _read_up_to(stream, _FOOTER_BYTES))
        rest = len(start) + _drain(stream, path)
    fits = is_mgh_footer(start) if _is_mgh(path) else len(start) <= _PADDING and not any(start)
    if rest > _FOOTER_BYTES or not fits:
        doubt = f"{rest:,} bytes follow the voxels; is the shape in its header right?"
        found = _doubted(found, doubt)
    voxels = np.frombuffer(data, found.dtype, math.prod(found.shape), found.offset)
    return found, voxels.reshape(found.shape, order="F")


@contextmanager
def _readable(path: Path) -> Iterator[io.BufferedIOBase]:
    """Open a file, decompressed; errors in it raise a ValueError of one line."""
    try:
        with gzip.open(path) if _is_gzip(path) else path.open("rb") as stream:
            yield stream
    except EOFError as error:
        raise ValueError(
            f"{path} is truncated or corrupt: the compressed data end early; copy it again"
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is corrupt ({describe(error)}); copy it again") from error


def _is_gzip(path: Path) -> bool:
    """Return whether a file is compressed; its content decides, not its name."""
    return peek(path).startswith(_GZIP)


def _is_mgh(path: Path) -> bool:
    return extension(path) in {".mgz", ".mgh"}


def _existing(path: str | os.PathLike) -> Path:
    path = Path(path)
    if not extension(path):
        raise ValueError(f"{path}: unknown ending; it must be one of {', '.join(INPUTS)}")
    if not path.is_file():
        raise FileNotFoundError(no_file(path))
    return path


def _read_up_to(stream: io.BufferedIOBase, size: int) -> bytearray:
    """Read up to `size` bytes, in chunks, so that memory follows the data."""
    data = bytearray()
    while len(data) < size:
        chunk = stream.read(min(_CHUNK, size - len(data)))
        if not chunk:
            break
        data += chunk
    return data


def _drain(stream: io.BufferedIOBase, path: Path) -> int:
    """Read to the end, which makes gzip compare checksum and length; return the bytes read."""
    rest = 0
    while chunk := stream.read(_CHUNK):
        rest += len(chunk)
        if rest > _TRAILING_BYTES:
            raise ValueError(
                f"{path} is corrupt: more than {_TRAILING_BYTES:,} bytes follow the voxels"
            )
    return rest


def _parse_header(data: bytes, path: Path) -> FileHeader:
    try:
        mgh = _is_mgh(path)
        if (mgh and is_nifti(data)) or (not mgh and is_mgh(data)):
            kind, ending = ("NIfTI", ".nii") if mgh else ("MGH", ".mgh")
            raise ValueError(f"it is a file of {kind}; give it a name that ends in {ending}")
        found = (parse_mgh if mgh else parse_nifti)(data)
    except (HeaderDataError, KeyError, ValueError, OverflowError) as error:
        if not (is_nifti(data) or is_mgh(data)) and (what := unlike_its_name(data)):
            raise ValueError(f"{path} {what}") from None
        reason = "its data type is unknown" if isinstance(error, KeyError) else str(error)
        raise ValueError(
            f"{path} is corrupt or not a {extension(path)} volume: {reason}"
        ) from error
    if min(found.shape) < 1 or found.dtype.itemsize < 1:
        raise ValueError(
            f"{path} is corrupt: its header claims the shape {found.shape} of {found.dtype}"
        )
    _check_claim(found, path)
    if _is_gzip(path) != (extension(path) in {".nii.gz", ".mgz"}):
        is_not = "is" if _is_gzip(path) else "is not"
        found = _doubted(found, f"it {is_not} compressed, as its name does not say; rename it")
    return found


def _doubted(found: FileHeader, doubt: str) -> FileHeader:
    return replace(found, doubts=(*found.doubts, doubt))


def _check_claim(found: FileHeader, path: Path) -> None:
    size = path.stat().st_size
    claim = " x ".join(map(str, found.shape))
    if found.num_bytes > (_DEFLATE_RATIO * size if _is_gzip(path) else size):
        raise ValueError(
            f"{path} is truncated or corrupt: its header claims {claim} voxels "
            f"({found.num_bytes:,} bytes), more than its {size:,} bytes can hold"
        )
    memory = _memory_bytes()
    needed = math.prod(found.shape) * max(4, found.dtype.itemsize)
    if needed > memory:
        raise ValueError(
            f"{path}: its header claims {claim} voxels. They need {needed / 1e9:.1f} GB, and the "
            f"machine has {memory / 1e9:.1f} GB of memory; crop or downsample the volume"
        )


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on this system
        return 2**40
