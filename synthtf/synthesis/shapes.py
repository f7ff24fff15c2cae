"""Label maps without anatomy, for networks that need no data at all."""

from collections.abc import Sequence

import keras

from synthtf import xla
from synthtf.layers import RandomShapes, RandomSpheres, RandomVessels
from synthtf.layers.anatomy.label_source import LabelSource
from synthtf.ranges import Range, per_axis
from synthtf.synthesis.recipes import check_shape
from synthtf.synthesis.sources import labels_of_keys


def shapes_to_labels(
    shape: Sequence[int],
    num_labels: Range = 26,
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
        num_labels: number of labels, or `(low, high)`; drawn per sample.
        size: `(low, high)`, mm, about the width of a shape; see `RandomShapes`.
        warp_strength: `(low, high)`, mm, of the warp of each label.
        spacing: mm per voxel, a scalar or one per axis.

    Returns:
        Model from `{"key": int32 (batch, 2)}` to `{"labels": int32 (batch, *shape, 1)}`, with
        labels from 1 to (the largest) `num_labels`.

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
    layer = RandomShapes(num_labels, size, warp_strength, spacing=spacing, name="shapes")
    return _keys_to_labels(shape, layer)


def spheres_to_labels(
    shape: Sequence[int],
    radius: Range = (4, 10),
    distance: Range = (20, 32),
    dropped: Range = (0, 0.33),
    irregularity: Range = (0, 0.4),
    spacing: Range = 1.0,
) -> keras.Model:
    """Build the model that turns keys into label maps of many objects, one label each.

    The image of nuclei and the like is `labels_to_image` with `labels=range(n + 1)`, where `n` is
    the `largest_label` of the model's layer "spheres". `MapLabels` makes one class of them.

    Args:
        shape: spatial shape, two or three axes.
        radius: `(low, high)`, mm; drawn per sphere.
        distance: `(low, high)`, mm between the points of the lattice that spheres lie about.
        dropped: `(low, high)`, share of the spheres that is left out.
        irregularity: `(low, high)`, largest relative deviation from a sphere.
        spacing: mm per voxel, a scalar or one per axis.

    Returns:
        Model from `{"key": int32 (batch, 2)}` to `{"labels": int32 (batch, *shape, 1)}`, 0 between
        the objects.

    Raises:
        ValueError: if the shape or a range does not fit.

    Example:
    >>> model = spheres_to_labels((48, 48))
    >>> key = keras.ops.convert_to_tensor([[0, 7]], "int32")
    >>> largest = model.get_layer("spheres").largest_label((1, 48, 48, 1))
    >>> int(keras.ops.max(model({"key": key})["labels"])) <= largest
    True

    Reference: Dey et al., AnyStar, WACV 2024.
    """
    layer = RandomSpheres(
        radius,
        distance,
        dropped=dropped,
        irregularity=irregularity,
        spacing=spacing,
        name="spheres",
    )
    return _keys_to_labels(shape, layer)


def vessels_to_labels(
    shape: Sequence[int],
    num_trees: Range = (1, 5),
    radius: Range = (1, 3),
    length: Range = (20, 60),
    tortuosity: Range = (0, 1),
    label_by: str = "vessel",
    spacing: Range = 1.0,
) -> keras.Model:
    """Build the model that turns keys into label maps of trees of vessels.

    Args:
        shape: spatial shape, two or three axes.
        num_trees: `(low, high)`, trees per sample.
        radius: `(low, high)`, mm, of the first branch; drawn per tree.
        length: `(low, high)`, mm, of the first branch.
        tortuosity: `(low, high)`, how far the direction of a branch wanders.
        label_by: "vessel", "tree" or "level"; see `RandomVessels`.
        spacing: mm per voxel, a scalar or one per axis.

    Returns:
        Model from `{"key": int32 (batch, 2)}` to `{"labels": int32 (batch, *shape, 1)}`, 0 outside
        of vessels.

    Raises:
        ValueError: if the shape or a range does not fit.

    Example:
    >>> key = keras.ops.convert_to_tensor([[0, 7]], "int32")
    >>> model = vessels_to_labels((48, 48), num_trees=3, length=20)
    >>> int(keras.ops.max(model({"key": key})["labels"]))
    1

    Reference: Chollet et al., Neurovascular segmentation in sOCT with deep learning and synthetic
        training data, 2024.
    """
    layer = RandomVessels(
        num_trees,
        radius,
        length,
        tortuosity=tortuosity,
        label_by=label_by,
        spacing=spacing,
        name="vessels",
    )
    return _keys_to_labels(shape, layer)


def _keys_to_labels(shape: Sequence[int], layer: LabelSource) -> keras.Model:
    """Build the model of a layer that replaces label maps; it has the layer's name."""
    shape = check_shape(shape)
    per_axis(layer.spacing, len(shape))
    key = keras.Input((2,), dtype="int32", name="key")
    outputs = {"labels": labels_of_keys(key, layer, shape)}
    return xla.choose(keras.Model({"key": key}, outputs, name=layer.name))
