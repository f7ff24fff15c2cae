"""Losses of registration: overlap of warped labels, and regularity of the warp."""

from keras import ops

from synthtf.losses._tensors import Tensor, float32, float32_pair, spatial_axes
from synthtf.ops import barycenter

_PENALTIES = ("l1", "l2")


def dice_loss(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return VoxelMorph's Dice loss, between -1 and 0.

    The denominator sums the values, not their squares as in `SoftDice`, and a class that is absent
    from both has an overlap of 0.

    Args:
        y_true: `(batch, *spatial, classes)`, in [0, 1].
        y_pred: tensor of the same shape.

    Returns:
        Minus the overlap averaged over classes, `(batch,)`.

    Raises:
        ValueError: if the shapes differ.

    Example:
        >>> import numpy as np
        >>> labels = np.eye(2)[np.array([[0, 1, 1]])]
        >>> float(dice_loss(labels, labels)[0])
        -1.0

    Reference:
        Balakrishnan et al., VoxelMorph, IEEE TMI 2019, and its loss `Dice`.
    """
    y_true, y_pred = float32_pair(y_true, y_pred)
    axes = spatial_axes(y_pred)
    overlap = 2 * ops.sum(y_true * y_pred, axes)
    size = ops.sum(y_true, axes) + ops.sum(y_pred, axes)
    return -ops.mean(overlap / ops.maximum(size, 1e-5), axis=-1)


def gradient_loss(displacement: Tensor, penalty: str = "l2") -> Tensor:
    """Return the roughness of a field: the mean size of its forward differences.

    Args:
        displacement: displacement or velocity field of shape `(batch, *spatial, ndim)`.
        penalty: "l1" for absolute differences, "l2" for squared ones.

    Returns:
        Mean over voxels and components, then over axes, `(batch,)`.

    Raises:
        ValueError: if the penalty is unknown.

    Example:
        >>> import numpy as np
        >>> field = np.zeros((1, 4, 4, 2))
        >>> field[..., 0] = 2 * np.arange(4)[:, None]
        >>> float(gradient_loss(field)[0])
        1.0

    Reference:
        Balakrishnan et al., VoxelMorph, IEEE TMI 2019, and its loss `Grad`.
    """
    if penalty not in _PENALTIES:
        raise ValueError(f"`penalty` must be one of {_PENALTIES}. Received: penalty={penalty!r}")
    field = float32(displacement)
    size = ops.abs if penalty == "l1" else ops.square
    spatial = spatial_axes(field)
    means = []
    for axis in spatial:
        after = tuple(slice(1, None) if a == axis else slice(None) for a in range(axis + 1))
        before = tuple(slice(None, -1) if a == axis else slice(None) for a in range(axis + 1))
        means.append(ops.mean(size(field[after] - field[before]), axis=(*spatial, -1)))
    return sum(means) / len(means)


def landmark_loss(structures: Tensor, features: Tensor) -> Tensor:
    """Return how far feature maps are from locating one structure each.

    The sum of two terms, averaged over the structures that are present: one minus the cosine of
    the angle between the two maps as vectors, which depends on the place of a feature and not on
    its strength; and the distance between their centres of mass, in voxels.

    Args:
        structures: `(batch, *spatial, structures)`, in [0, 1].
        features: non-negative tensor of the same shape.

    Returns:
        Tensor of shape `(batch,)`; 0 for a sample without any structure.

    Raises:
        ValueError: if the shapes differ.

    Example:
        >>> import numpy as np
        >>> structure = np.array([0.0, 1.0, 0.0, 0.0]).reshape(1, 4, 1)
        >>> moved = np.roll(structure, 1, axis=1)
        >>> round(float(landmark_loss(structure, moved)[0]), 2)  # right angle, one voxel
        2.0
    """
    structures, features = float32_pair(structures, features)
    axes = spatial_axes(features)
    size = ops.sum(ops.square(structures), axes)
    present = ops.cast(size > 0, "float32")
    product = ops.sum(structures * features, axes)
    lengths = ops.sqrt(size * ops.sum(ops.square(features), axes) + 1e-6)
    sizes = ops.cast(ops.stack(ops.shape(features)[1:-1]), "float32")
    offset = (barycenter(structures) - barycenter(features)) * sizes
    distance = ops.sqrt(ops.sum(ops.square(offset), axis=-1) + 1e-6)
    missing = present * (1 - product / lengths + distance)
    return ops.sum(missing, axis=-1) / ops.maximum(ops.sum(present, axis=-1), 1.0)


def bending_energy(displacement: Tensor) -> Tensor:
    """Return the curvature of a field: the mean of its squared second derivatives.

    It is 0 for every affine displacement, unlike `gradient_loss`. The mean is over inner voxels,
    components, and the entries of the Hessian, where each mixed derivative occurs twice.
    Rueckert's sum over components and entries is `ndim³` times as large.

    Args:
        displacement: displacement or velocity field of shape `(batch, *spatial, ndim)`.

    Returns:
        Tensor of shape `(batch,)`, in voxels⁻² for a field in voxels.

    Raises:
        ValueError: if there are fewer than three voxels along an axis.

    Example:
        >>> import numpy as np
        >>> x = np.arange(6.0)
        >>> field = np.broadcast_to(x[:, None, None] ** 2, (1, 6, 5, 2))
        >>> float(bending_energy(field)[0])  # one of four entries, 2 per voxel²
        1.0

    Reference:
        Rueckert et al., Nonrigid registration using free-form deformations, IEEE TMI 1999.
    """
    field = float32(displacement)
    axes = spatial_axes(field)
    sizes = tuple(field.shape[axis] for axis in axes)
    if any(n is not None and n < 3 for n in sizes):
        raise ValueError(
            "`displacement` must have at least three voxels along each axis. "
            f"Received: displacement with spatial shape {sizes}"
        )
    ndim = len(axes)
    energy = 0.0
    for i in range(ndim):
        for j in range(i, ndim):
            entry = ops.mean(ops.square(_second_derivative(field, i, j)), (*axes, -1))
            energy = energy + (1.0 if i == j else 2.0) * entry
    return energy / ndim**2


def _second_derivative(x: Tensor, i: int, j: int) -> Tensor:
    """Return second differences along two spatial axes, for all voxels except the border."""

    def shifted(*steps: tuple[int, int]) -> Tensor:
        index = [slice(1, -1)] * (len(x.shape) - 2)
        for axis, step in steps:
            index[axis] = slice(1 + step, -1 + step or None)
        return x[(slice(None), *index)]

    if i == j:
        return shifted((i, 1)) - 2.0 * shifted() + shifted((i, -1))
    same = shifted((i, 1), (j, 1)) + shifted((i, -1), (j, -1))
    return (same - shifted((i, 1), (j, -1)) - shifted((i, -1), (j, 1))) / 4.0
