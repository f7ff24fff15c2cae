"""Random zippers."""

from typing import Annotated, Any

import keras
from keras import ops

from synthtf import random
from synthtf.arguments import Axes, Limits, Millimetres, Spacing
from synthtf.layers.axes import draw_axis
from synthtf.layers.base import RandomLayer, Tensor, as_image
from synthtf.ops.kspace import magnitude
from synthtf.ranges import Range, per_axis


@keras.saving.register_keras_serializable(package="synthtf")
class RandomZipper(RandomLayer):
    """Add a zipper: a dotted line, from a radio transmitter that leaks into the scanner room.

    Its frequency corresponds to one position along the readout axis. Its phase is not locked to
    the sequence and differs between excitations, so that it is white along the other axes:
    complex Gaussian noise, added at that readout position before the magnitude is taken. In 3D
    this is a plane, which is a line in each slice that it crosses.

    Args:
        intensity: `(low, high)`, standard deviation of either part of the noise, relative to
            the mean intensity of the image; drawn per sample.
        width: `(low, high)`, mm along the readout axis, at least one voxel; drawn per sample.
        axes: spatial axes that may be the readout axis. Default: all.
        spacing: mm per voxel, a scalar or one per axis.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, channels)`, float; the result is a magnitude, and negative
        values lose their sign. The channels share the zipper, relative to their own means.
    Output shape: the same, float32.

    Raises:
        ValueError: if a range is reversed or negative, or an axis does not exist.

    Example:
    >>> import numpy as np
    >>> image = np.ones((1, 8, 8, 1), "float32")
    >>> changed = np.asarray(RandomZipper(intensity=1, width=1, axes=[0])(image)) != 1
    >>> changed.any(axis=(0, 2, 3)).sum().item()
    1

    Reference: Heiland, From A as in aliasing to Z as in zipper, Clinical Neuroradiology 2008.
    """

    def __init__(
        self,
        intensity: Annotated[Range, Limits(0)] = (0, 2),
        width: Millimetres = (1, 4),
        axes: Axes | None = None,
        spacing: Spacing = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(intensity=intensity, width=width, axes=axes, spacing=spacing, **kwargs)

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw the axis, the position in [0, 1) along it, width, intensity and the noise.

        "noise_0" is the noise for readout axis 0, `(batch, 2, ...)` without that axis; and so on.
        """
        ndim = len(shape) - 2
        draws = {
            "axis": draw_axis(key, self.axes, shape),
            "position": random.uniform(random.fold_in(key, "position"), ()),
            "width": self.uniform(key, "width", self.width),
            "intensity": self.uniform(key, "intensity", self.intensity),
        }
        for d in range(ndim) if self.axes is None else self.axes:
            others = tuple(n for axis, n in enumerate(shape[1:-1]) if axis != d)
            noise = random.normal(random.fold_in(key, f"noise_{d}"), (2, *others))
            draws[f"noise_{d}"] = noise
        return draws

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Add the line along the drawn axis."""
        image = as_image(inputs)
        ndim = len(image.shape) - 2
        spacing = per_axis(self.spacing, ndim)
        mean = ops.mean(image, axis=tuple(range(1, ndim + 1)), keepdims=True)
        parts = (image, ops.zeros_like(image))
        for d in range(ndim) if self.axes is None else self.axes:
            size = image.shape[d + 1]
            chosen = ops.equal(draws["axis"], d)
            profile = self._profile(draws, size, spacing[d])
            profile = profile * ops.cast(chosen, "float32")[:, None]
            line = ops.reshape(profile, (-1, *(size if a == d else 1 for a in range(ndim)), 1))
            parts = self._add(parts, mean * line, draws[f"noise_{d}"], chosen, d)
        return magnitude(*parts)

    @staticmethod
    def _profile(draws: dict[str, Tensor], size: int, mm: float) -> Tensor:
        """Amplitude along the readout axis; voxels at its edge are covered in part."""
        centre = ops.minimum(ops.floor(draws["position"] * size), size - 1.0)[:, None]
        distance = ops.abs(ops.arange(size, dtype="float32")[None] - centre)
        width = ops.maximum(draws["width"] / mm, 1.0)[:, None]
        covered = ops.clip((width + 1.0) / 2 - distance, 0.0, 1.0)
        return draws["intensity"][:, None] * covered

    @staticmethod
    def _add(parts: tuple, line: Tensor, noise: Tensor, chosen: Tensor, axis: int) -> tuple:
        """Add the noise to both parts; this costs nothing if no sample has chosen this axis."""
        noise = ops.expand_dims(ops.expand_dims(noise, axis + 2), -1)
        added = ops.cond(
            ops.any(chosen),
            lambda: tuple(part + line * noise[:, k] for k, part in enumerate(parts)),
            lambda: parts,
        )
        return tuple(added)
