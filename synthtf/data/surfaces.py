"""Surfaces of triangles in the space of a scan, as GIFTI files."""

import functools
import os
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from nibabel import gifti
from scipy import sparse

from synthtf.data.whole_files import written_aside

SURFACE, SHAPE = ".surf.gii", ".shape.gii"
"""Endings of the files of surfaces, and of a value at each of their vertices."""

_STRUCTURES = {"left": "CortexLeft", "right": "CortexRight"}
_KINDS = {"white": "GrayWhite", "pial": "Pial"}


@dataclass(frozen=True, eq=False)
class Surface:
    """A surface of the cortex.

    Attributes:
        vertices: `(vertices, 3)`, float32, in mm of the scan's world, RAS.
        triangles: `(triangles, 3)`, int32, numbers of vertices, counter-clockwise from outside.
        side: "left" or "right".
        kind: "white" or "pial".
    """

    vertices: np.ndarray
    triangles: np.ndarray
    side: str
    kind: str

    @functools.cached_property
    def euler_characteristic(self) -> int:
        """Vertices less edges plus triangles: 2 for a sphere."""
        return len(self.vertices) - self._edges.nnz + len(self.triangles)

    @functools.cached_property
    def pieces(self) -> int:
        """Number of pieces that do not touch."""
        return int(sparse.csgraph.connected_components(self._edges, directed=False)[0])

    @property
    def handles(self) -> int:
        """Number of handles of a closed surface: 0 for a sphere, 1 for a doughnut."""
        return self.pieces - self.euler_characteristic // 2

    @property
    def area(self) -> float:
        """Area in mm²."""
        a, b, c = (self.vertices[self.triangles[:, i]].astype(np.float64) for i in range(3))
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)

    @functools.cached_property
    def _edges(self) -> sparse.csr_matrix:
        """Each edge once, from the lower to the higher vertex."""
        pairs = np.sort(np.concatenate([self.triangles[:, [i, (i + 1) % 3]] for i in range(3)]))
        ones = np.ones(len(pairs), np.int8)
        return sparse.csr_matrix((ones, pairs.T), shape=(len(self.vertices),) * 2)


def write_surface(path: str | os.PathLike, surface: Surface) -> None:
    """Write a surface as GIFTI, whole or not at all.

    Args:
        path: file to write.
        surface: the surface.

    Raises:
        OSError: if the file cannot be written.
    """
    about = {
        "AnatomicalStructurePrimary": _STRUCTURES[surface.side],
        "AnatomicalStructureSecondary": _KINDS[surface.kind],
        "GeometricType": "Anatomical",
    }
    space = gifti.GiftiCoordSystem("NIFTI_XFORM_SCANNER_ANAT", "NIFTI_XFORM_SCANNER_ANAT")
    points = gifti.GiftiDataArray(
        surface.vertices.astype(np.float32),
        "NIFTI_INTENT_POINTSET",
        "NIFTI_TYPE_FLOAT32",
        coordsys=space,
        meta=about,
    )
    triangles = gifti.GiftiDataArray(
        surface.triangles.astype(np.int32), "NIFTI_INTENT_TRIANGLE", "NIFTI_TYPE_INT32"
    )
    _write(path, [points, triangles], surface.side)


def write_shape(path: str | os.PathLike, values: np.ndarray, name: str, side: str) -> None:
    """Write a value at each vertex of a surface as GIFTI, whole or not at all.

    Args:
        path: file to write.
        values: `(vertices,)`.
        name: what the values are, such as "thickness".
        side: "left" or "right".

    Raises:
        OSError: if the file cannot be written.
    """
    shape = gifti.GiftiDataArray(
        values.astype(np.float32),
        "NIFTI_INTENT_SHAPE",
        "NIFTI_TYPE_FLOAT32",
        meta={"Name": name},
    )
    _write(path, [shape], side)


def read_surface(path: str | os.PathLike) -> tuple[np.ndarray, np.ndarray]:
    """Read the vertices and the triangles of a GIFTI file.

    Args:
        path: file of a surface.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it holds no surface.
    """
    image = nib.load(path)
    found = [
        image.agg_data(intent) if isinstance(image, gifti.GiftiImage) else ()
        for intent in ("NIFTI_INTENT_POINTSET", "NIFTI_INTENT_TRIANGLE")
    ]
    if any(np.shape(part)[1:] != (3,) for part in found):
        raise ValueError(f"{path}: holds no points and triangles; it must be a surface")
    return found[0], found[1]


def _write(path: str | os.PathLike, arrays: list[gifti.GiftiDataArray], side: str) -> None:
    meta = {"AnatomicalStructurePrimary": _STRUCTURES[side]}
    with written_aside(path) as aside:
        nib.save(gifti.GiftiImage(darrays=arrays, meta=gifti.GiftiMetaData(meta)), aside)
