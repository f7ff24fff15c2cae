"""Alignment of two images by all that a detector finds in them, not only by its centres of mass."""

import numpy as np

from synthtf.inference.registration.gauss_newton import Maps, fit_transform
from synthtf.inference.registration.matrices import pooled, rescaled, square_root

_VOXEL = 4.0  # mm: maps are compared on voxels of this size, or of their own if that is larger
_BLUR = 0.7  # voxels
_LEAST_PEAK = 0.2  # of a map's highest value anywhere: below, the structure was not found
_STRIDE = 2  # voxels of the maps: every second one tells as much about an overlap
_FOUND = 0.25  # value of a map, a squared posterior, that a structure has somewhere if it is there


def align_maps(
    moving: np.ndarray,
    fixed: np.ndarray,
    matrix: np.ndarray,
    spacing: float,
    map_spacing: float,
    rigid: bool = False,
) -> np.ndarray:
    """Improve a transform between images so that their feature maps overlap.

    Args:
        moving: maps of the moving image, `(x, y, z, features)`, non-negative.
        fixed: likewise, of the fixed image.
        matrix: `(4, 4)` from fixed to moving voxels of the images about the centre.
        spacing: voxel size of the images in mm.
        map_spacing: that of the maps.
        rigid: whether the transform shall be a rotation and a translation.

    Returns:
        `(4, 4)`, as `matrix`.
    """
    size = max(1, round(_VOXEL / map_spacing))
    coarse = (pooled(maps, size) for maps in (moving, fixed))
    voxels = size * map_spacing / spacing
    return rescaled(align_features(*coarse, rescaled(matrix, voxels), rigid), 1 / voxels)


def align_features(
    moving: np.ndarray, fixed: np.ndarray, matrix: np.ndarray, rigid: bool = False
) -> np.ndarray:
    """Improve a transform so that feature maps of two images overlap.

    Each map is weighted so that small structures count as much as large ones.

    Args:
        moving: maps of the moving image, `(x, y, z, features)`, non-negative.
        fixed: likewise, of the fixed image, of the same shape.
        matrix: `(4, 4)` from fixed to moving voxels about the centre, where to start.
        rigid: whether the transform shall be a rotation and a translation.

    Returns:
        `(4, 4)`; `matrix` where no feature is found in both images.
    """
    from scipy import ndimage

    axes = (0, 1, 2)
    peak = np.minimum(moving.max(axes), fixed.max(axes))
    found = peak > _LEAST_PEAK * peak.max()
    if not peak.max() > 0:
        return matrix
    both = [
        ndimage.gaussian_filter(x[..., found].astype("float32"), _BLUR, axes=axes)
        for x in (moving, fixed)
    ]
    power = np.sqrt(np.prod([np.square(x).sum(axes) for x in both], axis=0))
    return fit_transform(Maps(*both, 1 / power), matrix, rigid)


def overlap_of_maps(moving: np.ndarray, fixed: np.ndarray, matrix: np.ndarray) -> float:
    """How well a transform brings the structures that a detector finds upon each other.

    Args:
        moving: maps of the moving image, `(x, y, z, features)`, non-negative.
        fixed: likewise, of the fixed image.
        matrix: `(4, 4)` from fixed to moving voxels of the maps about the centre.

    Returns:
        Mean soft Dice of the structures found in both, 0 if there is none.
    """
    from keras import ops

    from synthtf.ops import resample

    half = square_root(matrix)
    shape = tuple(n // _STRIDE for n in moving.shape[:3])
    spread = np.diag([_STRIDE] * 3 + [1.0])
    moved = []
    for maps, way in ((moving, half), (fixed, np.linalg.inv(half))):
        posteriors = np.sqrt(maps, dtype="float32")[None]
        there = resample(posteriors, (way @ spread)[None].astype("float32"), fill=0.0, shape=shape)
        moved.append(ops.convert_to_numpy(there)[0])
    a, b = moved
    axes = (0, 1, 2)
    found = np.minimum(moving.max(axes), fixed.max(axes)) > _FOUND
    both = 2 * (a * b).sum(axes) / np.maximum((a * a + b * b).sum(axes), 1e-6)
    return float(both[found].mean()) if found.any() else 0.0
