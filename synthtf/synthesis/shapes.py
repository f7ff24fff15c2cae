"""Label maps without anatomy, for networks that need no data at all."""

from collections.abc import Sequence

import keras
from keras import ops

from synthtf import xla
from synthtf.layers.anatomy.random_shapes import RandomShapes
from synthtf.ranges import Range, as_spacing, per_axis
from synthtf.synthesis.recipes import check_shape


def shapes_to_labels(
    shape: Sequence[int],
    num_labels: int = 26,
    size: Range = (32, 64),
    warp_strength: Range = (0, 16),
    spacing: Range = 1.0,
) -> keras.Model:
    """Build the model that turns keys into label maps of random shapes.

    Call `labels_to_image` or `labels_to_pairs` with the same keys on its output, with
    `labels=range(num_labels + 1)` and the preset "synthmorph-shapes". A warp draws in what lies
    beyond the border: label 0, unless the shapes are made larger than the images.

    Args:
        shape: spatial shape, two or three axes.
        num_labels: number of labels.
        size: `(low, high)`, mm, about the width of a shape; see `RandomShapes`.
        warp_strength: `(low, high)`, mm, of the warp of each label.
        spacing: mm per voxel, a scalar or one per axis.

    Returns:
        Model from `{"key": int32 (batch, 2)}` to `{"labels": int32 (batch, *shape, 1)}`, with
        labels from 1 to `num_labels`.

    Raises:
        ValueError: if the shape or a range does not fit.

    Example:
    >>> from synthtf.synthesis import SynthesisConfig, labels_to_image
    >>> key = keras.ops.convert_to_tensor([[0, 7]], "int32")
    >>> shapes = shapes_to_labels((48, 48), num_labels=5, spacing=4)({"key": key})["labels"]
    >>> config = SynthesisConfig.preset("synthmorph-shapes")
    >>> synthesis = labels_to_image((32, 32), range(6), config, spacing=4)
    >>> tuple(synthesis({"labels": shapes, "key": key})["image"].shape)
    (1, 32, 32, 1)

    Reference: Hoffmann et al., SynthMorph, IEEE TMI 2022.
    """
    shape = check_shape(shape)
    per_axis(as_spacing(spacing), len(shape))
    key = keras.Input((2,), dtype="int32", name="key")
    # The layer wants label maps to replace: of their values it uses nothing.
    canvas = ops.reshape(ops.zeros_like(key[:, :1]), (-1, *(1,) * len(shape), 1))
    canvas = ops.tile(canvas, (1, *shape, 1))
    layer = RandomShapes(num_labels, size, warp_strength, spacing=spacing, name="shapes")
    outputs = {"labels": layer(canvas, key=key)}
    return xla.choose(keras.Model({"key": key}, outputs, name="shapes"))
