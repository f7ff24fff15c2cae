"""Dense alignment of two images of any contrast: demons on textures and structures."""

import functools
from typing import TYPE_CHECKING

import numpy as np

from synthtf.inference.registration.image_alignment import brain_region, self_similarity
from synthtf.inference.registration.matrices import pooled

if TYPE_CHECKING:
    import keras

_BLUR = 0.6  # voxels, before maps are sampled on voxels of twice the size
_EDGE = 1.0  # voxels: how soft the border of the region is that counts
_GROUPS = 8  # of structures far from each other
_FAR = 2  # voxels of the maps per voxel on which it is looked at what is far
_FOUND = 0.0025  # value of a map, of its highest: where a structure is found
_VOXELS = (2, 1)  # voxels of the images per voxel of each level
_ROUNDS = (10, 8)


def align_densely(
    moving: np.ndarray,
    fixed: np.ndarray,
    maps: np.ndarray | None,
    velocity: np.ndarray,
    smoothness: float = 0.5,
) -> np.ndarray:
    """Improve a velocity between images that are roughly aligned so that they look alike.

    Symmetric demons in the space in the middle (`synthtf.ops.demons_step`). Features are the
    self-similarity of each image and what a detector finds. Swapping the images negates the
    velocity.

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
    features = [self_similarity(image) for image in (moving, fixed)]
    if maps is not None:
        step = shape[0] // maps.shape[1]
        features = [
            np.concatenate(
                [
                    texture * _blurred(brain_region(found, step), _EDGE)[..., None],
                    _resized(np.sqrt(structures), shape),
                ],
                axis=-1,
            )
            for texture, found, structures in zip(features, maps, _grouped(maps), strict=True)
        ]
        del maps
    for voxel, rounds in zip(_VOXELS, _ROUNDS, strict=True):
        size = tuple(n // voxel for n in shape)
        seen = [_resized(x, size) for x in features]
        velocity = _resized(velocity, size) * (size[0] / velocity.shape[0])
        demons = _demons(size, seen[0].shape[-1], rounds)
        std = np.array([2 * smoothness], np.float32)
        velocity = demons.predict_on_batch([x[None] for x in (*seen, velocity)] + [std])[0]
    return velocity


def _grouped(maps: np.ndarray) -> np.ndarray:
    """Sums of maps of structures that are far from each other in both images.

    A round looks at the next voxels only, where at most one structure of a sum is.
    """
    from scipy import ndimage

    num_maps = maps.shape[-1]
    found = pooled(maps.max(axis=0), _FAR)
    near = ndimage.generate_binary_structure(3, 1)[..., None]
    found = ndimage.binary_dilation(found > _FOUND * found.max(), near).reshape(-1, num_maps)
    shared = found.T.astype(np.float32) @ found
    groups: list[list[int]] = [[] for _ in range(min(_GROUPS, num_maps))]
    for index in np.argsort(-shared.sum(axis=0), kind="stable"):
        min(groups, key=lambda group: shared[index, group].sum()).append(index)
    return np.stack([maps[..., group].sum(axis=-1) for group in groups], axis=-1)


@functools.lru_cache(maxsize=2 * len(_VOXELS))
def _demons(shape: tuple[int, ...], channels: int, rounds: int) -> "keras.Model":
    """Rounds of demons, compiled once for each size."""
    from keras import Input, Model, layers, ops

    from synthtf import xla
    from synthtf.ops import demons_step

    def improved(inputs: list) -> "keras.KerasTensor":
        moving, fixed, velocity, std = inputs
        step = functools.partial(demons_step, moving, fixed, smoothness=std)
        return ops.fori_loop(0, rounds, lambda _, velocity: step(velocity), velocity)

    sizes = [(*shape, channels), (*shape, channels), (*shape, 3), ()]
    inputs = [Input(size) for size in sizes]
    return xla.choose(Model(inputs, layers.Lambda(improved, output_shape=sizes[2])(inputs)))


def _blurred(maps: np.ndarray, std: float) -> np.ndarray:
    from scipy import ndimage

    return ndimage.gaussian_filter(maps, std, axes=(0, 1, 2))


def _resized(maps: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Maps on a grid of another size, corner voxels on corner voxels."""
    from scipy import ndimage

    if maps.shape[:3] == shape:
        return maps.astype(np.float32, copy=False)
    if shape[0] < maps.shape[0]:
        maps = _blurred(maps, _BLUR)
    factors = [n / m for n, m in zip(shape, maps.shape, strict=False)]
    return ndimage.zoom(maps.astype(np.float32), (*factors, 1), order=1)
