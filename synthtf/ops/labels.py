"""Label maps: look-ups, one-hot maps, centres of mass."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from synthtf.ops.indexing import gather, take_per_sample
from synthtf.xla import fused

Tensor = Any

_LARGEST_TABLE = 2**16


def label_index(labels: Tensor, values: Sequence[int]) -> Tensor:
    """Return the position of each label in a sorted list of label values.

    Args:
        labels: integer tensor of any shape.
        values: sorted, distinct, non-negative label values; gaps are allowed.

    Returns:
        int32 tensor of the same shape. A label that is not listed gives 0.

    Example:
        >>> from keras import ops
        >>> ops.convert_to_numpy(label_index(ops.array([0, 41, 2]), [0, 2, 41])).tolist()
        [0, 2, 1]
    """
    values = np.asarray(values, "int64")
    labels = ops.cast(labels, "int32")
    if values[-1] < _LARGEST_TABLE:
        table = np.zeros(values[-1] + 2, "int32")
        table[values] = np.arange(len(values))
        last = int(values[-1]) + 1
        return fused(
            lambda index: gather(ops.convert_to_tensor(table), ops.clip(index, 0, last)), labels
        )
    values = ops.convert_to_tensor(values.astype("int32"))
    index = ops.cast(ops.searchsorted(values, ops.reshape(labels, (-1,))), "int32")
    index = ops.reshape(ops.minimum(index, values.shape[0] - 1), ops.shape(labels))
    return ops.where(ops.equal(gather(values, index), labels), index, 0)


def look_up(table: Tensor, labels: Tensor, values: Sequence[int]) -> Tensor:
    """Look labels up in each sample's own table.

    Args:
        table: `(batch, n)` or `(batch, n, channels)`, a number or row per label value.
        labels: integer tensor of shape `(batch, *spatial, 1)`.
        values: the n label values: sorted, distinct, non-negative; gaps are allowed.

    Returns:
        Tensor of shape `(batch, *spatial, channels)`, with one channel if the table has none. A
        label that is not listed gets the entry of the first.

    Example:
        >>> from keras import ops
        >>> labels = ops.array([0, 41, 2])[None, :, None]
        >>> means = ops.array([[0.0, 0.5, 1.0]])
        >>> ops.convert_to_numpy(look_up(means, labels, [0, 2, 41]))[0, :, 0].tolist()
        [0.0, 1.0, 0.5]
    """
    values = np.asarray(values, "int64")
    labels = ops.cast(labels, "int32")
    if len(table.shape) == 3:
        labels = labels[..., 0]
    if values[-1] >= _LARGEST_TABLE:
        return take_per_sample(table, label_index(labels, values))
    # One gather over the volume, from a table with gaps.
    position = np.zeros(values[-1] + 2, "int32")
    position[values] = np.arange(len(values))
    wide = ops.take(table, position, axis=1)
    last = int(values[-1]) + 1
    return fused(lambda w, index: take_per_sample(w, ops.clip(index, 0, last)), wide, labels)


def map_labels(labels: Tensor, mapping: dict[int, int]) -> Tensor:
    """Replace label values; labels that are not listed become 0.

    Args:
        labels: integer tensor of any shape.
        mapping: from each label value to its new value.

    Returns:
        int32 tensor of the same shape.

    Example:
        >>> from keras import ops
        >>> ops.convert_to_numpy(map_labels(ops.array([2, 41, 77]), {2: 1, 41: 1})).tolist()
        [1, 1, 0]
    """
    mapping = {0: 0, **mapping}
    values = sorted(mapping)
    new = np.array([mapping[v] for v in values], "int32")
    if values[-1] < _LARGEST_TABLE:
        table = np.zeros(values[-1] + 2, "int32")
        table[values] = new
        last = values[-1] + 1
        return fused(
            lambda index: gather(ops.convert_to_tensor(table), ops.clip(index, 0, last)),
            ops.cast(labels, "int32"),
        )
    # Labels that are not listed take the place of -1.
    new = np.concatenate([[0], new]).astype("int32")
    return gather(ops.convert_to_tensor(new), label_index(labels, [-1, *values]))


def one_hot(labels: Tensor, values: Sequence[int], dtype: str = "float32") -> Tensor:
    """Turn a label map into one channel per label value.

    Args:
        labels: integer tensor of shape `(batch, *spatial, 1)`.
        values: sorted label values. A label that is not listed counts as the first.
        dtype: data type of the result.

    Returns:
        Tensor of shape `(batch, *spatial, len(values))`.

    Example:
        >>> from keras import ops
        >>> labels = ops.array([0, 41])[None, :, None]
        >>> ops.convert_to_numpy(one_hot(labels, [0, 2, 41]))[0].tolist()
        [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    index = labels[..., 0]
    if list(values) != list(range(len(values))):
        index = label_index(index, values)
    return ops.one_hot(index, len(values), dtype=dtype)


def label_shares(index: Tensor, number: int, factor: int) -> Tensor:
    """Return the share that each label has of a block of voxels.

    Args:
        index: int32 tensor `(batch, *spatial)`, labels 0 to `number` - 1; the spatial sizes are
            known, and multiples of the factor.
        number: how many labels there are.
        factor: voxels of a block along each axis.

    Returns:
        float32 tensor `(batch, *spatial / factor, number)`, whose last axis sums to one.

    Example:
        >>> from keras import ops
        >>> index = ops.array([[0, 1, 1, 1]])
        >>> ops.convert_to_numpy(label_shares(index, 2, factor=2))[0].tolist()
        [[0.5, 0.5], [0.0, 1.0]]
    """
    spatial = tuple(index.shape[1:])
    blocks = [n // factor for n in spatial]
    batch = ops.shape(index)[0]
    # Each voxel counts for one place of the result, which is flat.
    place, stride = index, number
    for axis in reversed(range(len(spatial))):
        along = np.arange(spatial[axis], dtype="int32") // factor * stride
        place = place + along.reshape([-1 if d == axis + 1 else 1 for d in range(len(index.shape))])
        stride *= blocks[axis]
    place = place + ops.reshape(
        ops.arange(batch, dtype="int32") * stride, (-1, *[1] * len(spatial))
    )
    place = ops.reshape(place, (-1,))
    count = ops.segment_sum(
        ops.ones_like(place, dtype="float32"), place, num_segments=batch * stride
    )
    return ops.reshape(count, (-1, *blocks, number)) / factor ** len(spatial)


def barycenter(x: Tensor) -> Tensor:
    """Return the centre of mass of each channel, from the centre of the volume.

    Args:
        x: `(batch, *spatial, channels)`, non-negative.

    Returns:
        Tensor of shape `(batch, channels, ndim)`; each coordinate is a share of the size of the
        volume, `(c - (n - 1) / 2) / n`. 0 for an empty channel.

    Example:
        >>> from keras import ops
        >>> image = ops.array([0.0, 0.0, 0.0, 1.0])[None, :, None]
        >>> float(barycenter(image)[0, 0, 0])  # 1.5 of 4 voxels from the centre
        0.375
    """
    ndim = len(x.shape) - 2
    axes = tuple(range(1, ndim + 1))
    total = ops.maximum(ops.sum(x, axis=axes), 1e-7)
    out = []
    for axis in axes:
        others = tuple(a for a in axes if a != axis)
        profile = ops.sum(x, axis=others)
        size = ops.shape(x)[axis]
        count = ops.cast(size, "float32")
        offset = (ops.arange(size, dtype="float32") - (count - 1) / 2) / count
        out.append(ops.sum(profile * ops.reshape(offset, (1, -1, 1)), axis=1) / total)
    return ops.stack(out, axis=-1)
