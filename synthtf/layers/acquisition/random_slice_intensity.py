"""Random gain per slice."""

from typing import Annotated, Any

import keras
from keras import ops

from synthtf import random
from synthtf.arguments import Axes, Limits, PositiveMillimetres, Proportion, Spacing
from synthtf.layers.axes import as_line, axes_of, draw_axis, is_axis
from synthtf.layers.base import RandomLayer, Tensor, as_image
from synthtf.ops.slices import slice_index
from synthtf.ranges import Range, per_axis

# Interleaves of a scan: odd and even slices, or every third or fourth.
_INTERLEAVES = (2, 4)


@keras.saving.register_keras_serializable(package="synthtf")
class RandomSliceIntensity(RandomLayer):
    """Make some slices darker or brighter, and interleaves unequal.

    A subject who moves between slices excites tissue twice, or too late: its magnetisation has
    not recovered (spin history), and slices lose part of their signal, or gain. Cross-talk
    leaves odd and even slices unequal. Slice `s` across a random axis is multiplied by
    `g_s h_i`. Here `g_s` is drawn per slice for a random proportion of them, and is 1 for the
    others; `h_i` is drawn for each of the 2 to 4 interleaves `i = s mod N`.

    `RandomClearedSlices` is for slices without any signal.

    Args:
        proportion: `(low, high)`, average share of slices that are changed, in [0, 1]; drawn
            per sample.
        gain: `(low, high)`, gain of a changed slice, below 1 for a loss; drawn per slice.
        interleave_gain: `(low, high)`, gain of an interleave; drawn per interleave.
        thickness: `(low, high)`, mm, thickness of a slice; drawn per sample.
        axes: spatial axes that slices may lie across, one is drawn per sample. Default: all.
        spacing: mm per voxel, a scalar or one per axis.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, channels)`, float.
    Output shape: the same, float32.

    Raises:
        ValueError: if a range is reversed or out of bounds, or an axis does not exist.

    Example:
    >>> import numpy as np
    >>> image = np.ones((1, 8, 8, 1), "float32")
    >>> dark = RandomSliceIntensity(proportion=1, gain=0.5, interleave_gain=1)(image)
    >>> float(np.mean(dark))
    0.5

    Reference: Kuklisova-Murgasova et al., Reconstruction of fetal brain MRI with intensity
        matching and complete outlier removal, Medical Image Analysis 2012, which estimates one
        factor per slice.
    """

    def __init__(
        self,
        proportion: Proportion = (0, 0.2),
        gain: Annotated[Range, Limits(0)] = (0.2, 1.3),
        interleave_gain: Annotated[Range, Limits(0)] = (0.9, 1.1),
        thickness: PositiveMillimetres = (2, 4),
        axes: Axes | None = None,
        spacing: Spacing = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            proportion=proportion,
            gain=gain,
            interleave_gain=interleave_gain,
            thickness=thickness,
            axes=axes,
            spacing=spacing,
            **kwargs,
        )

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw the stack, and a chance and a gain for each slice that it can have."""
        slices = (max(shape[1:-1]) + 1,)
        interleaves = random.fold_in(key, "num_interleaves")
        return {
            "axis": draw_axis(key, self.axes, shape),
            "thickness": self.uniform(key, "thickness", self.thickness),
            "phase": random.uniform(random.fold_in(key, "phase"), ()),
            "proportion": self.uniform(key, "proportion", self.proportion),
            "chance": random.uniform(random.fold_in(key, "chance"), slices),
            "gain": self.uniform(key, "gain", self.gain, slices),
            "num_interleaves": random.integers(interleaves, (), *_INTERLEAVES),
            "interleave_gain": self.uniform(
                key, "interleave_gain", self.interleave_gain, (_INTERLEAVES[1],)
            ),
        }

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Multiply by the gains."""
        image = as_image(inputs)
        ndim = len(image.shape) - 2
        spacing = per_axis(self.spacing, ndim)
        for axis in axes_of(self.axes, image.shape):
            gain = self._gain(draws, image.shape[axis + 1], spacing[axis])
            gain = ops.where(is_axis(draws["axis"], axis)[:, None], gain, 1.0)
            image = image * as_line(gain, axis, ndim)[..., None]
        return image

    def _gain(self, draws: dict[str, Tensor], size: int, mm: float) -> Tensor:
        """Gain of each position along an axis, `(batch, size)`."""
        # More slices thinner than voxels would be needed than were drawn, and they would not show.
        thickness = ops.maximum(draws["thickness"] / mm, 1.0)
        index = slice_index(thickness, draws["phase"], size)
        changed = draws["chance"] < draws["proportion"][:, None]
        per_slice = ops.where(changed, draws["gain"], 1.0)
        interleaves = ops.cast(draws["num_interleaves"], "float32")[:, None]
        interleave = index - interleaves * ops.floor(index / interleaves)
        return _look_up(per_slice, index) * _look_up(draws["interleave_gain"], interleave)


def _look_up(table: Tensor, index: Tensor) -> Tensor:
    """Take entries of each sample's table, by whole numbers as floats."""
    return ops.take_along_axis(table, ops.cast(index, "int32"), axis=1)
