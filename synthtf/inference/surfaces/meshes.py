"""Meshes of regions, and the distance between two of them."""

import numpy as np
from nibabel.affines import apply_affine
from scipy.spatial import cKDTree

from synthtf.data.surfaces import Surface

_LEAST = 0.05  # share of the largest value that a changed voxel gets


def check_library() -> None:
    """Check that scikit-image is installed, which makes the meshes.

    Raises:
        ValueError: If it is not.
    """
    try:
        import skimage.measure  # noqa: F401
    except ImportError:
        raise ValueError('surfaces need scikit-image: pip install "synthtf[surfaces]"') from None


def mesh(
    values: np.ndarray, region: np.ndarray, affine: np.ndarray, side: str, kind: str
) -> Surface:
    """Make the surface where a map is 0, with the topology of a region.

    Args:
        values: `(x, y, z)`, positive inside.
        region: Boolean, of the same shape: what counts as inside. Not at the borders.
        affine: `(4, 4)`, from voxels to mm.
        side: Of the surface.
        kind: Of the surface.

    Returns:
        A closed surface. Its pieces and handles are those of the region, whose voxels are
        neighbours if they share a face.
    """
    from skimage.measure import marching_cubes

    least = _LEAST * max(float(abs(values).max()), 1e-6)
    signed = np.where(region, np.maximum(values, least), np.minimum(values, -least))
    # The other method joins voxels that share an edge or not, by their values.
    points, triangles, _, _ = marching_cubes(signed.astype(np.float32), 0, method="lorensen")
    points = apply_affine(affine, points)
    a, b, c = (points[triangles[:, i]] - points.mean(0) for i in range(3))
    if (np.cross(a, b) * c).sum() < 0:
        triangles = triangles[:, ::-1]
    return Surface(points.astype(np.float32), triangles.astype(np.int32), side, kind)


def thickness(white: Surface, pial: Surface) -> np.ndarray:
    """Measure how far a surface is from another at each of its vertices.

    It is the mean of two distances: from the vertex to the nearest vertex of the other surface,
    and from that one back to the nearest vertex of the first, as FreeSurfer has it.

    Args:
        white: Surface whose vertices get the thickness.
        pial: The other surface.

    Returns:
        `(vertices,)`, float32, in mm.

    Reference:
        Fischl and Dale, Measuring the thickness of the human cerebral cortex from magnetic
        resonance images, PNAS 2000.
    """
    out, nearest = cKDTree(pial.vertices).query(white.vertices)
    back, _ = cKDTree(white.vertices).query(pial.vertices)
    return ((out + back[nearest]) / 2).astype(np.float32)
