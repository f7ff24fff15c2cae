"""What a file is that is not what its name says, by its first bytes, and what to do about it."""

import os
from pathlib import Path

PICTURES = (".png", ".tif", ".tiff")
"""Endings of pictures, which are read but not written."""

HEAD_BYTES = 540
"""How much of a file tells what it is: the length of the longest header of a volume."""

_WORTH_A_LOOK = 50  # files of a folder

_CONVERT = "convert it to .nii.gz"
_UNPACK = "unpack it"
_OVERLAY = "a surface overlay has no voxels"
_TRACTS = "streamlines have no voxels"

# Where its first bytes are, what they are, what the file is, and the way out.
_MAGIC = (
    (128, b"DICM", "a DICOM file", f"{_CONVERT} (dcm2niix)"),
    (0, b"\x1f\x8b", "compressed by gzip twice", "uncompress it once (gunzip)"),
    (0, b"BZh", "compressed by bzip2", f"{_UNPACK} (bunzip2)"),
    (0, b"\xfd7zXZ", "compressed by xz", f"{_UNPACK} (unxz)"),
    (0, b"\x28\xb5\x2f\xfd", "compressed by zstd", f"{_UNPACK} (unzstd)"),
    (0, b"PK\x03\x04", "a zip archive", _UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (0, b"Rar!", "a rar archive", _UNPACK),
    (257, b"ustar", "a tar archive", _UNPACK),
    (0, b"\xff\xff\xff", "a surface overlay of FreeSurfer (curv)", _OVERLAY),
    (0, b"\xff\xff\xfe", "a surface of FreeSurfer", "a surface has no voxels"),
    (0, b"TRACK", "streamlines of TrackVis", _TRACTS),
    (0, b"mrtrix tracks", "streamlines of MRtrix", _TRACTS),
    (0, b"mrtrix image", "an image of MRtrix", f"{_CONVERT} (mrconvert)"),
    (0, b"NRRD", "an NRRD file", _CONVERT),
    (0, b"ObjectType", "a header of MetaImage", _CONVERT),
    (0, b"CDF", "a netCDF file, as those of MINC 1", f"{_CONVERT} (mnc2nii)"),
    (0, b"\x89HDF", "an HDF5 file, as those of MINC 2 and of ANTs' composites", _CONVERT),
    (0, b"\x93NUMPY", "an array of NumPy", "save it with nibabel, which keeps its place in space"),
    (0, b"MATLAB 5.0", "a file of MATLAB", _CONVERT),
    (0, b"\x89PNG", "a PNG picture", _CONVERT),
    (0, b"\xff\xd8\xff", "a JPEG picture", _CONVERT),
    (0, b"II*\0", "a TIFF file", _CONVERT),
    (0, b"MM\0*", "a TIFF file", _CONVERT),
    (0, b"%PDF", "a PDF file", "give a volume"),
)
_ANNEX = ("/annex/objects/", ".git/annex", "\\annex\\objects\\")


def unlike_its_name(head: bytes) -> str | None:
    """Say what a file is that is no volume, and the way out.

    Args:
        head: its first 540 bytes, or all if it has fewer.

    Returns:
        Words to follow the name of the file; None if nothing is known about such bytes.

    Example:
        >>> unlike_its_name(b"")
        'is empty, it has 0 bytes; make or fetch it anew'
        >>> unlike_its_name(b"PK" + bytes([3, 4]))
        'is a zip archive; unpack it'
    """
    if what := not_the_content(head):
        return what
    for start, magic, what, way_out in _MAGIC:
        if head[start:].startswith(magic):
            return f"is {what}; {way_out}"
    return _of_text(head)


def not_the_content(head: bytes) -> str | None:
    """Say what is there where the content of a file of any kind is not: a pointer, or a page.

    Args:
        head: its first 540 bytes, or all if it has fewer.

    Returns:
        Words to follow the name of the file; None if it may well be the content.
    """
    if not head:
        return "is empty, it has 0 bytes; make or fetch it anew"
    if not any(head):
        return "holds zeros alone, as after an interrupted transfer; make or fetch it anew"
    if head.startswith(b"version https://git-lfs"):
        return "is a pointer of Git LFS; fetch its content (git lfs pull)"
    text = head.decode("latin-1").lower()
    if any(place in text[:300] for place in _ANNEX) and "\0" not in text:
        return (
            "is a pointer of git-annex, as DataLad makes them; fetch its content (datalad get, "
            "git annex get)"
        )
    if "<html" in text or text.lstrip("ï»¿ \t\r\n").startswith("<!doctype html"):
        return "is an HTML page, such as a login or an error; fetch the file itself anew"
    return None


def peek(path: str | os.PathLike) -> bytes:
    """Return the first bytes of a file; none if it cannot be read.

    Args:
        path: any path.
    """
    try:
        with Path(path).open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b""


def known_file(path: str | os.PathLike) -> str:
    """Say what a file with an unknown ending is; empty if that is not known.

    Args:
        path: any path.

    Returns:
        Words to end a message with.
    """
    head = peek(path) if Path(path).is_file() else b""
    what = unlike_its_name(head) if head else None
    return f"; {Path(path).name} {what}" if what else ""


def first_known(folder: Path) -> str:
    """Say what the first file of a folder is that is known, such as a DICOM file.

    Args:
        folder: existing folder.

    Returns:
        Words to end a message with; empty if there is no such file.
    """
    for path in sorted(folder.iterdir())[:_WORTH_A_LOOK]:
        if path.name[0] != "." and (what := known_file(path)) and " text " not in what:
            return what
    return ""


def no_file(path: str | os.PathLike) -> str:
    """Say why there is no file at a path.

    Args:
        path: path at which there is no file.

    Returns:
        Words that start with the path.
    """
    path = Path(path)
    if path.is_symlink() and not path.exists():
        return (
            f"{path} is a link to nothing, {os.readlink(path)}; fetch its content (datalad get, "
            "git annex get), or mend the link"
        )
    if path.is_dir():
        return f"{path} is a folder, not a file"
    return f"{path} is no regular file" if path.exists() else f"{path} does not exist"


def _of_text(head: bytes) -> str | None:
    text = head.decode("utf-8", "ignore").lstrip("\ufeff \t\r\n")
    start = text[:200].lower()
    # A character that is cut at the end is three bytes at most.
    if len(head) - len(head.decode("utf-8", "ignore").encode()) > 3:
        return None
    if not all(letter.isprintable() or letter in "\t\r\n" for letter in text):
        return None
    if "<gifti" in text.lower():
        return f"is a GIFTI file; {_OVERLAY}"
    if start.startswith("<?xml"):
        return "is an XML file; give a volume"
    if start.startswith(("{", "[")):
        return "is a JSON file, such as the answer of a server; give a volume"
    return f"is a text file that begins {text[:30]!r}; give a volume"


def is_picture(path: str | os.PathLike) -> bool:
    """Return whether a path ends as that of a picture.

    Example:
        >>> is_picture("cells/A01.TIF"), is_picture("scan.nii.gz")
        (True, False)
    """
    return os.fspath(path).lower().endswith(PICTURES)
