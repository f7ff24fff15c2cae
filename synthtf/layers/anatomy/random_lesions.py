"""Random lesions in label maps."""

import functools
from typing import Annotated, Any

import keras
from keras import ops

from synthtf import random
from synthtf.arguments import Limits, Millimetres, Offset, Probability, Proportion, Spacing
from synthtf.label_arguments import Label, Regions
from synthtf.layers.anatomy.lesion_bank import as_folder, placed, read_bank
from synthtf.layers.base import RandomLayer, Tensor, as_labels, expand, known_grid
from synthtf.layers.scene import Scene
from synthtf.ops.blobs import direction_noise, paint, pick_voxels, windows
from synthtf.ops.distance import distance_to
from synthtf.ranges import Range, WholeRange, per_axis

# Of the polynomials that make the borders irregular.
_DEGREE = 5


@keras.saving.register_keras_serializable(package="synthtf")
class RandomLesions(RandomLayer):
    """Grow lesions in given labels.

    Each lesion has its centre at a random voxel `c` of the labels `within`. It covers their voxels
    closer than a random radius, which varies smoothly with the direction `u`:

        |x - c| <= size / 2 · (1 + irregularity · clip(g(u) / 2, -1, 1)),

    where `g` is `N(0, 1)` in each direction (`synthtf.ops.blobs.direction_noise`). Lesions may
    merge. They never leave the labels `within`: where these do not occur, nothing changes.

    Real lesions are added from a `bank`, a folder of masks such as manual segmentations in which
    lesions are not 0. A sample gets one of them, whose centre (that of its file) goes to the
    centroid of the labels `within`, mirrored or not, moved, turned and scaled at random. Masks of
    whole heads, or of one box in a template, thus come to lie about where they were. A second
    input adds lesions from any other source: its mask.

    Args:
        within: label values that lesions grow in, or, in a recipe, names of regions of the label
            table. Default: cerebral white matter.
        lesion_label: label value of the lesions. Default: white-matter hypointensities.
        num_lesions: `(low, high)`, lesions per sample, whole numbers.
        size: `(low, high)`, mm, mean diameter; drawn per lesion.
        irregularity: `(low, high)`, largest relative deviation of the radius, in [0, 1]; drawn
            per lesion. 0: spheres.
        rim_label: label value of the rims of the lesions. None: no rims.
        rim: mm, thickness of the rims; at least a voxel.
        bank: folder of masks, or a .txt list of them; read when it is first used. A recipe file
            holds the path; a relative one starts where the program runs. None: no bank.
        bank_probability: chance that a sample that is changed gets lesions from the bank.
        bank_translation: `(low, high)`, mm, drawn per axis.
        bank_rotation: `(low, high)`, degrees, drawn per axis.
        bank_scaling: `(low, high)`, ratio; above one lesions are larger, and further apart.
        spacing: mm per voxel, a scalar or one per axis.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: labels, integer `(batch, *spatial, 1)`; or `[labels, mask]`, both of this shape,
        the mask non-zero in lesions.
    Output shape: that of the labels, int32.

    Raises:
        ValueError: if a label is negative, or a range reversed or out of bounds.

    Example:
    >>> import numpy as np
    >>> labels = np.full((1, 64, 64, 1), 2, "int32")
    >>> np.unique(RandomLesions(num_lesions=3, size=(4, 8))(labels)).tolist()
    [2, 77]

    Reference: Billot et al., Joint segmentation of multiple sclerosis lesions and brain anatomy
        in MRI scans of any contrast and resolution with CNNs, ISBI 2021, where lesions are a
        label like others, from manual segmentations. Here they are drawn.
    """

    takes, gives, from_table = ("labels",), ("labels",), ("within",)

    def __init__(
        self,
        within: Regions = (2, 41),
        lesion_label: Label = 77,
        num_lesions: Annotated[WholeRange, Limits(0, 1000)] = (1, 20),
        size: Millimetres = (2, 15),
        irregularity: Proportion = (0, 0.6),
        rim_label: Label | None = None,
        rim: Annotated[float, Limits(0, unit="mm")] = 1.0,
        bank: Annotated[str, as_folder] | None = None,
        bank_probability: Probability = 0.5,
        bank_translation: Offset = (-10, 10),
        bank_rotation: Annotated[Range, Limits(-360, 360, "degrees")] = (-10, 10),
        bank_scaling: Annotated[Range, Limits(1e-3)] = (0.8, 1.2),
        spacing: Spacing = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            within=within,
            lesion_label=lesion_label,
            num_lesions=num_lesions,
            size=size,
            irregularity=irregularity,
            rim_label=rim_label,
            rim=rim,
            bank=bank,
            bank_probability=bank_probability,
            bank_translation=bank_translation,
            bank_rotation=bank_rotation,
            bank_scaling=bank_scaling,
            spacing=spacing,
            **kwargs,
        )

    def bind(self, scene: Scene) -> dict[str, Any]:
        """Find where lesions grow, and see that the bank can be read."""
        if self.bank is not None:
            read_bank(self.bank, per_axis(scene.spacing, len(scene.shape)))
        return {**super().bind(scene), "within": scene.labels(self.within)}

    def after(self, scene: Scene) -> Scene:
        """Lesions and their rims are labels of the brain."""
        scene = scene.with_label(self.lesion_label, "lesion")
        return scene if self.rim_label is None else scene.with_label(self.rim_label, "lesion rim")

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw the number of lesions, the place, size and shape of each, and those of a bank."""
        ndim, most = len(shape) - 2, self.num_lesions[1]
        real = {} if self.bank is None else self._draw_bank(key, ndim)
        if not most:
            return real
        coefficients = (most, 2, *(_DEGREE + 1,) * ndim)
        number = random.fold_in(key, "num_lesions")
        return {
            "num_lesions": random.integers(number, (), *self.num_lesions),
            "place": self.uniform(key, "place", (0.0, 1.0), (most,)),
            "size": self.uniform(key, "size", self.size, (most,)),
            "irregularity": self.uniform(key, "irregularity", self.irregularity, (most,)),
            "shape": random.normal(random.fold_in(key, "shape"), coefficients),
            **real,
        }

    def _draw_bank(self, key: Tensor, ndim: int) -> dict[str, Tensor]:
        """Draw whether and where real lesions are."""
        turns = 1 if ndim == 2 else 3
        return {
            "real": self.uniform(key, "bank", (0.0, 1.0), (1,)) < self.bank_probability,
            "which": self.uniform(key, "which", (0.0, 1.0), (1,)),
            "mirrored": self.uniform(key, "mirrored", (0.0, 1.0), (1,)) < 0.5,
            "translation": self.uniform(key, "translation", self.bank_translation, (ndim,)),
            "rotation": self.uniform(key, "rotation", self.bank_rotation, (turns,)),
            "scaling": self.uniform(key, "scaling", self.bank_scaling, (1,)),
        }

    def transform(self, inputs: Any, draws: dict[str, Tensor]) -> Tensor:
        """Paint the lesions, then keep what lies within the labels."""
        labels = self.identity(inputs)
        spacing = per_axis(self.spacing, len(labels.shape) - 2)
        # One comparison per label: a look-up takes as long as a dozen comparisons.
        allowed = functools.reduce(ops.logical_or, (ops.equal(labels, v) for v in self.within))
        lesion = ops.zeros_like(allowed)
        if self.num_lesions[1]:
            lesion = self._grow(allowed, draws, spacing)
        if self.bank is not None:
            mask = placed(read_bank(self.bank, spacing), allowed, draws, spacing)
            mask = ops.logical_and(mask, expand(draws["real"], mask))
            lesion = ops.logical_or(lesion, mask)
        if isinstance(inputs, list | tuple):
            lesion = ops.logical_or(lesion, ops.not_equal(inputs[1], 0))
        lesion = ops.logical_and(lesion, allowed)
        out = ops.where(lesion, self.lesion_label, labels)
        if self.rim_label is None:
            return out
        # Slightly more, so that a distance of exactly the thickness counts as rim.
        rim = max(self.rim, min(spacing)) * (1 + 1e-4)
        outer = distance_to(ops.logical_not(lesion), spacing, 1.01 * rim) <= rim
        return ops.where(ops.logical_and(lesion, outer), self.rim_label, out)

    def _grow(self, allowed: Tensor, draws: dict[str, Tensor], spacing: tuple) -> Tensor:
        """Give where the lesions are, unless they are cut off."""
        shape, most = known_grid(self, allowed.shape)[0], self.num_lesions[1]
        index, centre = pick_voxels(allowed, draws["place"]), []
        for size in reversed(shape):
            centre.insert(0, ops.cast(index % size, "float32"))
            index = index // size
        largest = self.size[1] / 2 * (1 + self.irregularity[1])
        around = windows(centre, largest, spacing, shape)
        line = (-1, most, *(1,) * len(shape))
        deviation = ops.clip(direction_noise(draws["shape"], around) / 2, -1.0, 1.0)
        deviation = ops.reshape(draws["irregularity"], line) * deviation
        radius = ops.reshape(draws["size"] / 2, line) * (1.0 + deviation)
        exists = ops.arange(most, dtype="int32") < draws["num_lesions"][:, None]
        inside = ops.logical_and(around.squared <= ops.square(radius), ops.reshape(exists, line))
        return paint(ops.cast(inside, "int32"), around.index, shape) > 0

    def identity(self, inputs: Any) -> Tensor:
        """Give the label map."""
        return as_labels(inputs[0] if isinstance(inputs, list | tuple) else inputs)

    def output_spec(self, inputs: Any) -> Any:
        """One label map per sample."""
        labels = inputs[0] if isinstance(inputs, list | tuple) else inputs
        return keras.KerasTensor(labels.shape, "int32")
