"""Centre lines of tubes, with gradients."""

from typing import Any

from keras import ops

from synthtf.ops.arrays import takes_arrays

Tensor = Any


@takes_arrays
def soft_skeleton(x: Tensor, iterations: int) -> Tensor:
    """Keep what is left of a soft mask where it is worn off from its border, layer by layer.

    On a mask of zeros and ones it is Lantuéjoul's skeleton: what an opening removes from the mask,
    and from what is left of it after each erosion.

    Args:
        x: `(batch, *spatial, channels)`, float in [0, 1], 2D or 3D.
        iterations: erosions; tubes of a radius of more voxels keep their middle only.

    Returns:
        Tensor of the same shape.

    Example:
        >>> bar = ops.ones((1, 3, 7, 1))
        >>> padded = ops.pad(bar, ((0, 0), (2, 2), (2, 2), (0, 0)))
        >>> ops.convert_to_numpy(soft_skeleton(padded, 3))[0, 3, :, 0].tolist()
        [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0]

    Reference: Shit et al., clDice - a novel topology-preserving loss function for tubular
        structure segmentation, CVPR 2021, algorithm 1.
    """
    eroded = _erode(x)
    skeleton = ops.relu(x - _dilate(eroded))
    for _ in range(iterations):
        x, eroded = eroded, _erode(eroded)
        shell = ops.relu(x - _dilate(eroded))
        skeleton = skeleton + ops.relu(shell - skeleton * shell)
    return skeleton


def _erode(x: Tensor) -> Tensor:
    """Take the smallest value of a voxel and those that share a face with it."""
    ndim, smallest = len(x.shape) - 2, x
    for axis in range(ndim):
        size = tuple(3 if d == axis else 1 for d in range(ndim))
        pooled = -ops.max_pool(-x, size, 1, "same", data_format="channels_last")
        smallest = ops.minimum(smallest, pooled)
    return smallest


def _dilate(x: Tensor) -> Tensor:
    """Take the largest value of a voxel and all that touch it."""
    size = (3,) * (len(x.shape) - 2)
    return ops.max_pool(x, size, 1, "same", data_format="channels_last")
