"""Alignment of two images by all that a detector finds in them, not only by its centres of mass."""

import numpy as np

from synthtf.inference.registration.gauss_newton import Maps, fit_transform
from synthtf.inference.registration.matrices import pooled, rescaled

_VOXEL = 4.0  # mm: maps are compared on voxels of this size, or of their own if that is larger
_BLUR = 0.7  # voxels
_LEAST_PEAK = 0.2  # of a map's highest value anywhere: below, the structure was not found


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
