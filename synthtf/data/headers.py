"""Headers of NIfTI and MGH, read from the first bytes of a file and repaired as nibabel does."""

import math
from dataclasses import dataclass

import numpy as np
from nibabel.freesurfer.mghformat import MGHHeader
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header

_MGH_BYTES, _MGH_OFFSET = 90, 284
_WORTH_SAYING = 20  # level of a repair that can change what is read, by nibabel's count
_MGH_KINDS = {1: "a surface annotation", 2: "a surface overlay", 3: "a warp", 4: "a warp"}


@dataclass(frozen=True, eq=False)
class FileHeader:
    """Header of a volume file.

    Attributes:
        header: nibabel header, as stored but for repairs.
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


def is_nifti(data: bytes) -> bool:
    """Return whether bytes begin like a NIfTI file, perhaps a damaged one."""
    sizes = {int.from_bytes(data[:4], order) for order in ("little", "big")}
    return bool(sizes & {348, 540}) or data[344:347] in (b"n+1", b"ni1") or data[4:7] == b"n+2"


def is_mgh(data: bytes) -> bool:
    """Return whether bytes begin like an MGH file."""
    return len(data) >= _MGH_BYTES and data[:1] == b"\0" and data[2:4] == b"\0\1"


def parse_nifti(data: bytes) -> FileHeader:
    """Read the header of a NIfTI file.

    Args:
        data: its first 540 bytes.

    Returns:
        The header, with a doubt for each repair.

    Raises:
        ValueError: if it is not the header of a volume; nibabel's HeaderDataError is one.
        KeyError: if the data type is unknown.
    """
    kind, size = (Nifti2Header, 540) if _is_second(data) else (Nifti1Header, 348)
    if not is_nifti(data):
        raise ValueError("its header is not that of NIfTI")
    if len(data) < size:
        raise ValueError("it ends inside the header")
    header = kind(binaryblock=data[:size], check=False)
    single, magic = kind.single_magic[:3], bytes(header["magic"].item())[:3]
    offset = float(header["vox_offset"])
    # Four bytes between header and voxels tell whether extensions follow.
    is_offset = size + 4 <= offset < 2**31
    if magic not in (single, kind.pair_magic[:3]) or (magic != single and not is_offset):
        raise ValueError(
            "its header is that of Analyze or of a pair .hdr and .img, not of a single-file "
            "NIfTI; convert the pair"
        )
    if not is_offset:
        raise ValueError(f"its header claims that the voxels start at byte {offset:g}")
    if not 1 <= int(header["dim"][0]) <= 7:
        raise ValueError(f"its header claims {int(header['dim'][0])} axes")
    dtype = header.get_data_dtype()
    doubts = []
    if int(header["bitpix"]) not in (0, 8 * dtype.itemsize):
        doubts.append(
            f"its header claims {int(header['bitpix'])} bits per voxel, but {dtype} has "
            f"{8 * dtype.itemsize}; is its data type right?"
        )
    if magic != single:
        doubts.append("its header is that of a pair .hdr and .img, but the voxels follow it")
    doubts += _repaired(header)
    # nibabel knows how FreeSurfer stores surface overlays, whose axes are too long for NIfTI-1.
    shape = tuple(int(n) for n in header.get_data_shape())
    oriented = max(int(header["qform_code"]), int(header["sform_code"])) > 0
    return FileHeader(header, shape, dtype, int(offset), oriented, tuple(doubts))


def parse_mgh(data: bytes) -> FileHeader:
    """Read the header of an MGH file.

    Args:
        data: its first 540 bytes.

    Returns:
        The header.

    Raises:
        ValueError: if it is not the header of a volume.
        KeyError: if the data type is unknown.
    """
    if len(data) < _MGH_OFFSET:
        raise ValueError("it ends inside the header")
    header = MGHHeader(binaryblock=data[:_MGH_OFFSET], check=False)
    if is_mgh(data) and data[1]:
        what = _MGH_KINDS.get(data[1], f"of the kind {data[1]}")
        raise ValueError(f"its header says that it is {what}, not a volume")
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


def is_mgh_footer(footer: bytes) -> bool:
    """Return whether bytes are what may follow the voxels of MGH: parameters, then tags.

    Args:
        footer: all that follows the voxels, or its first part if it is long.

    Reference:
        FreeSurfer, utils/mghutils.cpp and utils/tags.cpp.
    """
    place = 20  # repetition time, flip angle, echo time, inversion time, field of view
    while place + 4 <= len(footer):
        tag = int.from_bytes(footer[place : place + 4], "big")
        if not 1 <= tag <= 100:
            return False
        if tag in (1, 2, 20):  # of an old form, without a length
            return True
        bits = 4 if tag == 30 else 8
        length = int.from_bytes(footer[place + 4 : place + 4 + bits], "big")
        place += 4 + bits + length
    return len(footer) % 4 == 0 if len(footer) <= 20 else place >= len(footer)


def _is_second(data: bytes) -> bool:
    sizes = {int.from_bytes(data[:4], order) for order in ("little", "big")}
    return data[4:7] == b"n+2" or (540 in sizes and data[344:347] not in (b"n+1", b"ni1"))


class _Messages(list):
    """What nibabel repairs, gathered instead of logged."""

    def log(self, level: int, message: str) -> None:
        """Keep a message that is worth it."""
        if level >= _WORTH_SAYING:
            self.append(message)


def _repaired(header: Nifti1Header) -> list[str]:
    """Repair a header as `nibabel.load` does, and say what was done."""
    axes = min(3, int(header["dim"][0]))
    # Sizes of axes that the image does not have say nothing.
    header["pixdim"][1 + axes : 4] = np.where(
        header["pixdim"][1 + axes : 4] == 0, 1, header["pixdim"][1 + axes : 4]
    )
    messages = _Messages()
    header.check_fix(logger=messages, error_level=40)
    return [f"a field of its header is odd and read as nibabel does: {text}" for text in messages]
