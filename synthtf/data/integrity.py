"""Voxels and headers of volume files, verified before they are used.

nibabel stops reading a compressed file after the last voxel, before the checksum, so that damaged
files load with wrong voxels. Here the stream is read to its end, where gzip compares checksum and
length. The size that the header claims is compared with the size of the file first, and no more
memory is taken than that.
"""

import gzip
import io
import math
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from nibabel.freesurfer.mghformat import MGHHeader
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError

from synthtf.data.paths import EXTENSIONS, extension

_HEADER_BYTES = 540  # the longest of the three headers (NIfTI-2)
_MGH_OFFSET = 284
_DEFLATE_RATIO = 1032  # largest compression ratio of deflate
_TRAILING_BYTES = 2**24  # largest footer or padding
_PADDING, _FOOTER_BYTES = 512, 2**16  # largest padding, and footer of MGH, without a warning
_CHUNK = 2**22


@dataclass(frozen=True, eq=False)
class FileHeader:
    """Header of a volume file.

    Attributes:
        header: nibabel header, as stored.
        shape: number of voxels per axis, as stored, all positive.
        dtype: type of a stored voxel, with its byte order.
        offset: position of the first voxel in the uncompressed file, in bytes.
        oriented: whether the file holds a voxel-to-world affine.
        doubts: contradictions in the file that leave it readable.
    """

    header: object
    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int
    oriented: bool
    doubts: tuple[str, ...] = ()

    @property
    def num_bytes(self) -> int:
        """Size of the uncompressed file according to the header."""
        return self.offset + math.prod(self.shape) * self.dtype.itemsize


def read_header(path: str | os.PathLike) -> FileHeader:
    """Read the header of a volume file, without its voxels.

    Args:
        path: a .nii, .nii.gz, .mgz or .mgh file.

    Returns:
        The header, checked against the size of the file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the ending is unknown, the header is damaged or not that of a volume, or it
            claims more voxels than the file or the memory can hold.
    """
    path = _existing(path)
    with _readable(path) as stream:
        return _parse_header(_read_up_to(stream, _HEADER_BYTES), path)


def read_verified(path: str | os.PathLike) -> tuple[FileHeader, np.ndarray]:
    """Read the header and the voxels of a volume file, and verify it to its end.

    Args:
        path: a .nii, .nii.gz, .mgz or .mgh file.

    Returns:
        The header, and an array of `header.shape` in the stored type, not scaled.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: as in `read_header`, and if the file is truncated or corrupt.
    """
    path = _existing(path)
    with _readable(path) as stream:
        data = bytearray(_read_up_to(stream, _HEADER_BYTES))
        found = _parse_header(bytes(data), path)
        data += _read_up_to(stream, found.num_bytes - len(data))
        if len(data) < found.num_bytes:
            raise ValueError(
                f"{path} is truncated: the header claims {found.num_bytes:,} bytes, "
                f"the file holds {len(data):,}; copy it again"
            )
        rest, blank = _drain(stream, path)
    footer = isinstance(found.header, MGHHeader)
    if rest > (_FOOTER_BYTES if footer else _PADDING) or not (blank or footer):
        doubt = f"{rest:,} bytes follow the voxels; is the shape in its header right?"
        found = replace(found, doubts=(*found.doubts, doubt))
    voxels = np.frombuffer(data, found.dtype, math.prod(found.shape), found.offset)
    return found, voxels.reshape(found.shape, order="F")


@contextmanager
def _readable(path: Path) -> Iterator[io.BufferedIOBase]:
    """Open a file, decompressed; errors in it raise a ValueError of one line."""
    try:
        with gzip.open(path) if _compressed(path) else path.open("rb") as stream:
            yield stream
    except EOFError as error:
        raise ValueError(
            f"{path} is truncated or corrupt: the compressed data end early; copy it again"
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is corrupt ({error}); copy it again") from error


def _compressed(path: Path) -> bool:
    return extension(path) in {".nii.gz", ".mgz"}


def _existing(path: str | os.PathLike) -> Path:
    path = Path(path)
    if not extension(path):
        raise ValueError(f"{path}: unknown ending; it must be one of {', '.join(EXTENSIONS)}")
    if not path.is_file():
        what = "is a folder, not a volume file" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"{path} {what}")
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


def _drain(stream: io.BufferedIOBase, path: Path) -> tuple[int, bool]:
    """Read to the end, which makes gzip compare checksum and length.

    Returns:
        Number of bytes read, and whether all were zero.
    """
    rest, blank = 0, True
    while chunk := stream.read(_CHUNK):
        rest += len(chunk)
        blank = blank and chunk.count(0) == len(chunk)
        if rest > _TRAILING_BYTES:
            raise ValueError(
                f"{path} is corrupt: more than {_TRAILING_BYTES:,} bytes follow the voxels"
            )
    return rest, blank


def _parse_header(data: bytes, path: Path) -> FileHeader:
    try:
        parse = _parse_mgh if extension(path) in {".mgz", ".mgh"} else _parse_nifti
        found = parse(data)
    except (HeaderDataError, KeyError, ValueError, OverflowError) as error:
        reason = "its data type is unknown" if isinstance(error, KeyError) else str(error)
        raise ValueError(
            f"{path} is corrupt or not a {extension(path)} volume: {reason}"
        ) from error
    if min(found.shape) < 1 or found.dtype.itemsize < 1:
        raise ValueError(
            f"{path} is corrupt: its header claims the shape {found.shape} of {found.dtype}"
        )
    _check_claim(found, path)
    return found


def _parse_nifti(data: bytes) -> FileHeader:
    sizes = {int.from_bytes(data[:4], order) for order in ("little", "big")}
    if sizes & {348}:
        kind, size, magic = Nifti1Header, 348, b"n+1"
    elif sizes & {540}:
        kind, size, magic = Nifti2Header, 540, b"n+2"
    else:
        raise ValueError("its header is not that of NIfTI")
    if len(data) < size:
        raise ValueError("it ends inside the header")
    header = kind(binaryblock=data[:size], check=False)
    if int(header["sizeof_hdr"]) != size or bytes(header["magic"].item())[:3] != magic:
        raise ValueError("its header is not that of a single-file NIfTI")
    offset = float(header["vox_offset"])
    # Four bytes between header and voxels tell whether extensions follow.
    if not size + 4 <= offset < 2**31 or offset != int(offset):
        raise ValueError(f"its header claims that the voxels start at byte {offset:g}")
    if not 1 <= int(header["dim"][0]) <= 7:
        raise ValueError(f"its header claims {int(header['dim'][0])} axes")
    shape = tuple(int(n) for n in header["dim"][1 : 1 + int(header["dim"][0])])
    codes = {name: int(header[name]) for name in ("qform_code", "sform_code")}
    dtype = header.get_data_dtype()
    doubts = [
        f"its header has the {name} {code}, not 0 to 5; is its orientation right?"
        for name, code in codes.items()
        if not 0 <= code <= 5
    ]
    if int(header["bitpix"]) not in (0, 8 * dtype.itemsize):
        doubts.append(
            f"its header claims {int(header['bitpix'])} bits per voxel, but {dtype} has "
            f"{8 * dtype.itemsize}; is its data type right?"
        )
    return FileHeader(header, shape, dtype, int(offset), max(codes.values()) > 0, tuple(doubts))


def _parse_mgh(data: bytes) -> FileHeader:
    if len(data) < _MGH_OFFSET:
        raise ValueError("it ends inside the header")
    header = MGHHeader(binaryblock=data[:_MGH_OFFSET], check=False)
    if int(header["version"]) != 1:
        raise ValueError("its header is not that of MGH")
    shape = tuple(int(n) for n in header["dims"])
    # FreeSurfer always stores four axes; a single frame does not count as an axis.
    shape = shape[:3] if shape[3] == 1 else shape
    # nibabel sets the flag when it fills in a default affine, so that only the bytes are reliable.
    oriented = int.from_bytes(data[28:30], "big") != 0
    dtype = np.dtype(header.get_data_dtype()).newbyteorder(">")
    lengths = np.linalg.norm(header["Mdc"].astype("float64"), axis=1)
    doubts = ()
    if oriented and not np.allclose(lengths, 1, atol=1e-3):
        found = ", ".join(f"{length:.3g}" for length in lengths)
        doubts = (f"its direction cosines have the lengths {found}, not 1; are they right?",)
    return FileHeader(header, shape, dtype, _MGH_OFFSET, oriented, doubts)


def _check_claim(found: FileHeader, path: Path) -> None:
    size = path.stat().st_size
    claim = " x ".join(map(str, found.shape))
    if found.num_bytes > (_DEFLATE_RATIO * size if _compressed(path) else size):
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
