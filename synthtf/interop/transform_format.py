"""What a format of transform files is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthtf.data.grid import Grid
from synthtf.data.transforms import Transform
from synthtf.data.volumes import Volume

Image = Volume | Grid | None


def _always(_: Any) -> bool:
    return True


@dataclass(frozen=True)
class TransformFormat:
    """A format of transform files; a line of `transform_files.FORMATS` makes it known.

    Attributes:
        endings: endings of the files, in lower case.
        read: function of a path, the fixed and the moving image that gives the transform.
        write: function of a path, a transform, the fixed and the moving image.
        holds: function of a path that says whether the content of a file is of this format, where
            several formats have one ending.
        is_name: function of a file name without its ending, in lower case, that says whether a
            file of this name is written in this format.
        only_affine: whether it holds affine transforms alone.
        needs_images: whether a file means nothing without the images.
    """

    endings: tuple[str, ...]
    read: Callable[[Path, Image, Image], Transform]
    write: Callable[[Path, Any, Image, Image], None]
    holds: Callable[[Path], bool] = _always
    is_name: Callable[[str], bool] = _always
    only_affine: bool = True
    needs_images: bool = False
