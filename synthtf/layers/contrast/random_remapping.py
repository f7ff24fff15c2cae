"""Random remapping of intensities."""

from typing import Any

import keras
from keras import ops

from synthtf import random
from synthtf.arguments import ControlPoints, Probability, Proportion
from synthtf.layers.base import RandomLayer, Tensor, as_image, expand
from synthtf.layers.noise_field import draw_noise
from synthtf.ops.intensity import remap
from synthtf.ops.noise import upsample_lattice

# Of the field that says where the curve holds.
_FIELD_POINTS = (2, 5)


@keras.saving.register_keras_serializable(package="synthtf")
class RandomRemapping(RandomLayer):
    """Map the intensities of each image by a random curve: a new contrast for real scans.

    The curve `c` is linear between n points, equally spaced over [0, 1], whose values are
    uniform in [0, 1]; sorted, it increases, and keeps the order of the tissues. The first
    may be zero, so that an empty background stays dark. The curve acts in part, and less in
    some places: with a lattice `F` of uniform random values in [0, 1], upsampled linearly,

        y(x) = x + strength (1 - locality F) (c(x) - x)

    Args:
        control_points: `(low, high)`, points of the curve, at least two; drawn per sample.
        increasing: probability that a sample's curves increase.
        keep_zero: probability that a sample's curves send zero to zero.
        strength: `(low, high)`, weight of the curve against the identity, in [0, 1].
        locality: `(low, high)`, share of the strength that is lost where `F` is one, in
            [0, 1].
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, channels)`, float in [0, 1]; what lies outside is clipped.
        Channels have a curve each, and share the field.
    Output shape: the same, float32 in [0, 1].

    Raises:
        ValueError: if a range is reversed or out of bounds.

    Example:
    >>> import numpy as np
    >>> image = np.linspace(0, 1, 5, dtype="float32").reshape(1, 5, 1, 1)
    >>> curve = np.asarray(RandomRemapping(increasing=1)(image)).ravel()
    >>> bool((np.diff(curve) >= 0).all())
    True

    Reference: Zhou et al., Models Genesis, Medical Image Analysis 2021, for non-linear
        intensity transforms of real scans; here without Bézier curves, and local.
    """

    def __init__(
        self,
        control_points: ControlPoints = (3, 8),
        increasing: Probability = 0.5,
        keep_zero: Probability = 0.5,
        strength: Proportion = (0.3, 1),
        locality: Proportion = (0, 0.5),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            control_points=control_points,
            increasing=increasing,
            keep_zero=keep_zero,
            strength=strength,
            locality=locality,
            **kwargs,
        )

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw "num_points", "values" `(batch, channels, most points)`, weights and a lattice."""
        most = self.control_points[1]
        points = random.integers(random.fold_in(key, "num_points"), (), *self.control_points)
        values = self.uniform(key, "values", (0.0, 1.0), (shape[-1], most))
        # Points that are not in use go to the end, beyond all others.
        used = ops.arange(most, dtype="int32")[None, None] < points[:, None, None]
        ordered = ops.sort(ops.where(used, values, 2.0), axis=-1)
        is_increasing = self.uniform(key, "increasing", (0.0, 1.0)) < self.increasing
        values = ops.where(expand(is_increasing, values), ordered, values)
        is_zero = self.uniform(key, "keep_zero", (0.0, 1.0)) < self.keep_zero
        is_zero = ops.logical_and(
            expand(is_zero, values), ops.arange(most, dtype="int32")[None, None] == 0
        )
        values = ops.where(is_zero, 0.0, values)
        return {
            **draw_noise(key, "value", _FIELD_POINTS, tuple(shape[1:-1]), 1),
            "num_points": points,
            "values": ops.minimum(values, 1.0),
            "strength": self.uniform(key, "strength", self.strength),
            "locality": self.uniform(key, "locality", self.locality),
        }

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Apply the curves."""
        image = self.identity(inputs)
        lattice = draws["noise"]
        strength, locality = (expand(draws[k], lattice) for k in ("strength", "locality"))
        # Interpolation keeps constants: they are added where there are few numbers.
        lattice = strength * (1.0 - locality * lattice)
        weight = upsample_lattice(lattice, draws["control_points"], tuple(image.shape[1:-1]))
        curve = remap(image, draws["values"], draws["num_points"])
        return image + weight * (curve - image)

    def identity(self, inputs: Tensor) -> Tensor:
        """Clip to [0, 1] only."""
        return ops.clip(as_image(inputs), 0.0, 1.0)
