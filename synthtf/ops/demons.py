"""Registration of two images by demons, one round at a time."""

from typing import Any

from keras import ops

from synthtf.ops.arrays import takes_arrays
from synthtf.ops.fields import central_difference, integrate_velocity
from synthtf.ops.linear import apply_along_axes, blur_matrix
from synthtf.ops.resampling import resample
from synthtf.xla import fused

Tensor = Any

_FLUID = 1.0  # standard deviation of the smoothing of each step, in voxels
_LONGEST = 0.5  # largest length of a step, in voxels
_DAMPING = 0.1  # as a share of the mean curvature
_SQUARINGS = 5
_FLAT = 1e-8


@takes_arrays
def demons_step(moving: Tensor, fixed: Tensor, velocity: Tensor, smoothness: Tensor) -> Tensor:
    """Improve a velocity field so that two images come closer in the halfway space.

    Per voxel, a damped Gauss-Newton step for the squared difference of all maps, from the mean of
    the gradients of both images; then Gaussian smoothing of the velocity. Swapping the images
    negates the velocity.

    Args:
        moving: maps of the moving image, such as posteriors, `(batch, *spatial, channels)`.
        fixed: maps of the fixed image, of the same shape.
        velocity: `(batch, *spatial, ndim)`, in voxels.
        smoothness: `(batch,)`, standard deviation of the smoothing, in voxels.

    Returns:
        float32 tensor of the shape of `velocity`.

    Example:
        >>> from keras import ops
        >>> x = ops.arange(16, dtype="float32")
        >>> def bump(centre):
        ...     line = ops.exp(-ops.square(x - centre) / 8)
        ...     return (line[:, None] * line)[None, ..., None]
        >>> velocity = demons_step(bump(9.0), bump(7.0), ops.zeros((1, 16, 16, 2)), ops.ones((1,)))
        >>> bool(velocity[0, 8, 8, 0] > 0.1)
        True

    Reference:
        Vercauteren et al., Symmetric log-domain diffeomorphic registration: a demons-based
        approach, MICCAI 2008.
    """
    ndim = velocity.shape[-1]
    # Both ways are a batch.
    halves = ops.concatenate([velocity, -velocity], axis=0) / 2
    field = integrate_velocity(halves, _SQUARINGS, fuse=True)
    moved = fused(resample, ops.concatenate([moving, fixed], axis=0), field)
    pairs = [(i, j) for i in range(ndim) for j in range(i + 1)]
    sums = _blurred(fused(_normal_equations, *ops.split(moved, 2, axis=0)), _FLUID)
    curvature = {pair: sums[..., index] for index, pair in enumerate(pairs)}
    trace = sum(curvature[i, i] for i in range(ndim))
    axes = tuple(range(1, ndim + 1))
    damping = _DAMPING * ops.mean(trace, axis=axes, keepdims=True) / ndim + _FLAT
    rows = [[curvature[max(i, j), min(i, j)] for j in range(ndim)] for i in range(ndim)]
    for i in range(ndim):
        rows[i][i] = rows[i][i] + damping
    step = _solve(rows, [sums[..., len(pairs) + i] for i in range(ndim)])
    length = ops.sqrt(sum(ops.square(x) for x in step) + _FLAT)
    shorter = 1 / ops.maximum(1.0, length / _LONGEST)
    step = ops.stack([x * shorter for x in step], axis=-1)
    return _blurred(velocity + step, smoothness)


def _normal_equations(moving: Tensor, fixed: Tensor) -> Tensor:
    """Sums over all maps of the products of slopes, then of slopes and differences."""
    rest, mean = fixed - moving, (moving + fixed) / 2
    ndim = len(mean.shape) - 2
    slopes = [central_difference(mean, axis + 1) for axis in range(ndim)]
    products = [slopes[i] * slopes[j] for i in range(ndim) for j in range(i + 1)]
    products += [slope * rest for slope in slopes]
    return ops.stack([ops.sum(x, axis=-1) for x in products], axis=-1)


def _blurred(x: Tensor, std: Tensor) -> Tensor:
    std = ops.reshape(ops.cast(std, "float32"), (-1,))
    return apply_along_axes(x, [blur_matrix(std, n) for n in x.shape[1:-1]])


def _solve(rows: list[list[Tensor]], values: list[Tensor]) -> list[Tensor]:
    """Solve small positive definite systems, one per voxel, by elimination."""
    size = len(values)
    rows, values = [list(row) for row in rows], list(values)
    for i in range(size):
        for k in range(i + 1, size):
            factor = rows[k][i] / rows[i][i]
            rows[k] = [a - factor * b for a, b in zip(rows[k], rows[i], strict=True)]
            values[k] = values[k] - factor * values[i]
    out: list[Tensor] = []
    for i in reversed(range(size)):
        known = sum(rows[i][size - 1 - n] * x for n, x in enumerate(out))
        out.append((values[i] - known) / rows[i][i])
    return out[::-1]
