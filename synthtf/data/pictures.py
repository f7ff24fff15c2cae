"""2D pictures, as microscopes and cameras store them: PNG and TIFF, read as slices of 1 mm."""

import os
from pathlib import Path

import numpy as np
from nibabel.nifti1 import Nifti1Header

from synthtf.data.contents import HEAD_BYTES, no_file, not_the_content, peek
from synthtf.data.headers import FileHeader
from synthtf.messages import describe

_GREY = ("1", "L", "LA", "I", "F", "I;16", "I;16B", "I;16L", "I;16N")


def read_picture(path: str | os.PathLike) -> tuple[FileHeader, np.ndarray]:
    """Read a picture as a 2D image: the first axis goes to the right, the second one down.

    Colours are averaged, with a doubt unless the picture is grey; transparency is dropped.

    Args:
        path: a .png, .tif or .tiff file.

    Returns:
        A NIfTI header for it, with voxels of 1 mm, and the array, in the stored type if it is grey.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no picture, is damaged, or holds several.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(no_file(path))
    if what := not_the_content(peek(path)[:HEAD_BYTES]):
        raise ValueError(f"{path} {what}")
    pixels, pages = _pixels(path)
    if pages > 1:
        raise ValueError(
            f"{path} must be one picture; save one page, or convert the stack to .nii.gz. "
            f"Received: {pages} pages"
        )
    doubts = ()
    if pixels.ndim == 3:
        grey = (pixels == pixels[..., :1]).all()
        doubts = () if grey else ("its colours were averaged",)
        pixels = pixels[..., 0] if grey else pixels.mean(-1, dtype="float32")
    pixels = np.ascontiguousarray(pixels.T.astype(pixels.dtype.newbyteorder("=")))
    pixels = pixels.astype("uint8") if pixels.dtype == bool else pixels
    header = Nifti1Header()
    header.set_data_shape(pixels.shape)
    header.set_data_dtype(pixels.dtype)
    header.set_xyzt_units("mm")
    for place in (header.set_qform, header.set_sform):
        place(np.eye(4), code=1)
    return FileHeader(header, pixels.shape, pixels.dtype, 0, True, doubts), pixels


def _pixels(path: Path) -> tuple[np.ndarray, int]:
    """Read rows of pixels, grey or of three colours, and the number of pages."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            pages = getattr(picture, "n_frames", 1)
            if picture.mode in _GREY:
                pixels = np.array(picture)
                return pixels[..., 0] if picture.mode == "LA" else pixels, pages
            return np.array(picture.convert("RGB")), pages
    except Exception as error:  # Pillow's readers raise errors of many kinds
        raise ValueError(
            f"{path} is damaged, or no picture that can be read: {describe(error)}"
        ) from error
