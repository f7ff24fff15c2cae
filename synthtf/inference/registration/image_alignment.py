"""Alignment of two images of any contrast by the texture of the brain, to a part of a voxel."""

import numpy as np

from synthtf.inference.registration.gauss_newton import Maps, fit_transform
from synthtf.inference.registration.matrices import pooled, rescaled

_SIZES = (2, 1)  # voxels of the images per voxel of each level
_STEPS = (8, 4)
_BLUR = 0.7  # voxels of the level
_PATCH = 0.8  # voxels: radius of the surroundings that are compared
_FOUND = 0.3  # posterior, of its highest: where something of the brain is found
_MARGIN = 1  # voxels about what is found


def align_images(
    moving: np.ndarray,
    fixed: np.ndarray,
    maps: np.ndarray,
    matrix: np.ndarray,
    rigid: bool = False,
) -> np.ndarray:
    """Improve a transform between images so that they look alike in what a detector found.

    What is alike is not the intensity but its self-similarity, which different contrasts of the
    same tissue share. A transform that already aligns structures to some voxels is needed.

    Args:
        moving: image `(x, y, z)`.
        fixed: likewise.
        maps: of a detector in the two images, `(2, x, y, z, features)`, of the same voxels or of
            larger ones.
        matrix: `(4, 4)` from fixed to moving voxels about the centre, where to start.
        rigid: whether the transform shall be a rotation and a translation.

    Returns:
        `(4, 4)`; `matrix` where nothing is found.
    """
    step = moving.shape[0] // maps.shape[1]
    seen = [brain_region(x, step) for x in maps]
    if not all(x.any() for x in seen):
        return matrix
    for size, steps in zip(_SIZES, _STEPS, strict=True):
        textures = [self_similarity(pooled(x[..., None], size)[..., 0]) for x in (moving, fixed)]
        masks = [pooled(x[..., None], size)[..., 0] for x in seen]
        both = Maps(*textures, np.ones(textures[0].shape[-1]), *masks)
        matrix = rescaled(fit_transform(both, rescaled(matrix, size), rigid, steps), 1 / size)
    return matrix


def self_similarity(image: np.ndarray) -> np.ndarray:
    """How alike the surroundings of each voxel are to those of its neighbours.

    The descriptor MIND with the six nearest neighbours, blurred for a smooth gradient.

    Args:
        image: `(x, y, z)`.

    Returns:
        `(x, y, z, 6)`, in [0, 1].

    Reference: Heinrich et al., MIND: Modality independent neighbourhood descriptor for
        multi-modal deformable registration, Medical Image Analysis 2012.
    """
    from scipy import ndimage

    image = image.astype("float32")
    distances = np.stack(
        [
            ndimage.gaussian_filter(np.square(image - np.roll(image, shift, axis)), _PATCH)
            for axis in range(3)
            for shift in (-1, 1)
        ],
        axis=-1,
    )
    distances -= distances.min(axis=-1, keepdims=True)
    noise = distances.mean(axis=-1, keepdims=True)
    noise = np.maximum(noise, max(1e-3 * noise.mean(), 1e-12))
    return ndimage.gaussian_filter(np.exp(-distances / noise), _BLUR, axes=(0, 1, 2))


def brain_region(maps: np.ndarray, step: int) -> np.ndarray:
    """Where a detector finds anything, and a little about it.

    Args:
        maps: of one image, `(x, y, z, features)`, non-negative.
        step: voxels of the image per voxel of the maps.

    Returns:
        1 there and 0 elsewhere, `(step · x, step · y, step · z)`; 0 if nothing is found.
    """
    from scipy import ndimage

    found = np.sqrt(maps.sum(axis=-1))
    found = ndimage.binary_dilation(found > _FOUND * found.max(), iterations=_MARGIN)
    for axis in range(3):
        found = np.repeat(found, step, axis)
    return found.astype("float32")
