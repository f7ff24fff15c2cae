"""Dense alignment of two images of any contrast: demons on textures and structures."""

from dataclasses import dataclass

import numpy as np

from synthtf.inference.registration.image_alignment import brain_region, self_similarity

_BLUR = 0.6  # voxels, before maps are sampled on voxels of twice the size
_EDGE = 1.0  # voxels: how soft the border of the region is that counts
_FLUID = 1.0  # voxels: smoothness of each step
_LONGEST = 0.5  # voxels of each step
_DAMPING = 0.1  # of the mean curvature
_SQUARINGS = 5
_FLAT = 1e-8


@dataclass(frozen=True)
class _Level:
    step: int  # voxels of the images per voxel of the level
    rounds: int
    structures: bool  # whether what the detector finds counts, or texture alone


# Structures guide the first, coarse level; at the second they are no sharper, but many.
_LEVELS = (_Level(2, 10, True), _Level(1, 8, False))


def align_densely(
    moving: np.ndarray,
    fixed: np.ndarray,
    maps: np.ndarray | None,
    velocity: np.ndarray,
    smoothness: float = 0.5,
) -> np.ndarray:
    """Improve a velocity between images that are roughly aligned so that they look alike.

    Symmetric demons in the space in the middle: per voxel, a damped Gauss-Newton step for the
    squared difference of all features, from the mean of the gradients of both images; then
    Gaussian smoothing of the velocity. Features are the self-similarity of each image and, on
    voxels of twice the size, what a detector finds. Swapping the images negates the velocity.

    Args:
        moving: image `(x, y, z)`.
        fixed: likewise.
        maps: of a detector in the two images, `(2, x, y, z, features)`, of the same voxels or of
            larger ones; only what is found counts. None: texture counts everywhere.
        velocity: `(x, y, z, 3)` on a grid whose corners are those of the images, in its voxels.
        smoothness: in (0, 1): the velocity is smoothed by twice as many voxels in each round.

    Returns:
        `(x, y, z, 3)` on the grid of the images.

    Reference: Vercauteren et al., Symmetric log-domain diffeomorphic registration: a
        demons-based approach, MICCAI 2008; Heinrich et al., MIND, Medical Image Analysis 2012.
    """
    shape = moving.shape
    textures = [self_similarity(image) for image in (moving, fixed)]
    structures: list[np.ndarray] = []
    if maps is not None:
        step = shape[0] // maps.shape[1]
        region = [_blurred(brain_region(x, step), _EDGE)[..., None] for x in maps]
        textures = [x * seen for x, seen in zip(textures, region, strict=True)]
        structures = [np.sqrt(x) for x in maps]
    for level in _LEVELS:
        size = tuple(n // level.step for n in shape)
        features = [_resized(x, size) for x in textures]
        if level.structures and structures:
            found = (_resized(x, size) for x in structures)
            features = [np.concatenate(parts, -1) for parts in zip(features, found, strict=True)]
        velocity = _resized(velocity, size) * (size[0] / velocity.shape[0])
        for _ in range(level.rounds):
            velocity = _blurred(velocity + _force(*features, velocity), 2 * smoothness)
    return velocity


def _force(moving: np.ndarray, fixed: np.ndarray, velocity: np.ndarray) -> np.ndarray:
    """By how many voxels the velocity of each voxel shall change."""
    from keras import ops

    from synthtf.ops import integrate_velocity, resample

    both = []
    for maps, sign in ((moving, 0.5), (fixed, -0.5)):
        field = integrate_velocity((sign * velocity)[None].astype(np.float32), _SQUARINGS)
        both.append(ops.convert_to_numpy(resample(maps[None], field))[0])
    rest = both[1] - both[0]
    slopes = [np.gradient((both[0] + both[1]) / 2, axis=axis) for axis in range(3)]
    curvature = np.empty((*rest.shape[:3], 3, 3), np.float32)
    for i in range(3):
        for j in range(i + 1):
            product = np.einsum("...c,...c", slopes[i], slopes[j])
            curvature[..., i, j] = curvature[..., j, i] = _blurred(product[..., None], _FLUID)[
                ..., 0
            ]
    gradient = np.stack([np.einsum("...c,...c", slope, rest) for slope in slopes], axis=-1)
    gradient = _blurred(gradient, _FLUID)
    trace = np.trace(curvature, axis1=-2, axis2=-1)
    damping = _DAMPING * trace.mean() / 3 + _FLAT
    textured = trace > _FLAT
    step = np.zeros_like(gradient)
    step[textured] = np.linalg.solve(
        curvature[textured] + damping * np.eye(3, dtype=np.float32), gradient[textured][..., None]
    )[..., 0]
    length = np.linalg.norm(step, axis=-1, keepdims=True)
    return step / np.maximum(1, length / _LONGEST)


def _blurred(maps: np.ndarray, std: float) -> np.ndarray:
    from scipy import ndimage

    return ndimage.gaussian_filter(maps, std, axes=(0, 1, 2))


def _resized(maps: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Maps on a grid of another size, corner voxels on corner voxels."""
    from scipy import ndimage

    if maps.shape[:3] == shape:
        return maps.astype(np.float32)
    if shape[0] < maps.shape[0]:
        maps = _blurred(maps, _BLUR)
    factors = [n / m for n, m in zip(shape, maps.shape, strict=False)]
    return ndimage.zoom(maps.astype(np.float32), (*factors, 1), order=1)
