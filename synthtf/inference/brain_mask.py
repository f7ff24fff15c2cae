"""The brain as one region, from the labels of a segmentation."""

from collections.abc import Sequence

import numpy as np


def brain_mask(
    labels: np.ndarray,
    spacing: Sequence[float],
    closing_mm: float = 5.0,
    exclude: Sequence[int] = (24,),
) -> np.ndarray:
    """Merge the labels of a segmentation into a mask of the brain.

    The union of the labels, without the CSF around the brain, which has no outer border of
    its own, is closed with a ball, which takes in sulci and fissures, and cavities are
    filled.

    Args:
        labels: Label map, integers `(*spatial,)`, 2D or 3D; 0 is the background.
        spacing: Size of the voxels per axis, in mm.
        closing_mm: Radius of the ball in mm. At 0, cavities are filled and nothing else.
        exclude: Labels that count as background; 24 is FreeSurfer's CSF.

    Returns:
        Boolean array of the shape of `labels`.

    Raises:
        ValueError: If the radius is negative or there is not one spacing per axis.

    Example:
        >>> shell = np.ones((5, 5), int)
        >>> shell[2, 2] = 24
        >>> bool(brain_mask(shell, (1, 1), closing_mm=0).all())
        True
    """
    if len(spacing) != labels.ndim or not min(spacing) > 0:
        raise ValueError(
            f"expected spacing as {labels.ndim} positive mm, one per axis, "
            f"received {tuple(spacing)}"
        )
    if not closing_mm >= 0:
        raise ValueError(f"expected closing_mm to be 0 or more, received {closing_mm}")
    # Loaded late: it takes a fifth of a second.
    from scipy import ndimage

    tissue = (labels != 0) & ~np.isin(labels, list(exclude))
    found = ndimage.find_objects(tissue.astype(np.uint8))
    mask = np.zeros(labels.shape, bool)
    if not found:
        return mask
    # Room for the ball on all sides: beyond the edges of the scan, nothing is assumed.
    room = [(int(np.ceil(closing_mm / size)) + 1,) * 2 for size in spacing]
    padded = np.pad(tissue[found[0]], room)
    if closing_mm > 0:
        near = ndimage.distance_transform_edt(~padded, sampling=spacing) <= closing_mm
        padded |= ndimage.distance_transform_edt(near, sampling=spacing) > closing_mm
    filled = ndimage.binary_fill_holes(padded)
    mask[found[0]] = filled[tuple(slice(low, -high) for low, high in room)]
    return mask
