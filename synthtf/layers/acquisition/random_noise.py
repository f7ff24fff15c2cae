"""Random noise."""

import math
from typing import Annotated, Any, Literal

import keras
from keras import ops

from synthtf import random
from synthtf.arguments import Limits, Millimetres, Spacing
from synthtf.layers.base import RandomLayer, Tensor, as_image, expand
from synthtf.layers.noise_field import draw_noise, make_noise
from synthtf.ops.elementwise import in_whole_vectors
from synthtf.ops.linear import apply_along_axes, blur_matrix
from synthtf.ranges import Range, per_axis
from synthtf.xla import fused

# The gain varies as slowly as the coils' sensitivities that cause it.
_CONTROL_POINTS = (2, 4)

# The product of the uniform numbers of more coils would leave the range of float32.
_MOST_COILS = 32


@keras.saving.register_keras_serializable(package="synthtf")
class RandomNoise(RandomLayer):
    """Add noise, white by default.

    "gaussian": `x + n`. "rician": `sqrt((x + n₁)² + n₂²)`, the magnitude of a
    complex image with Gaussian noise in both parts. "chi": non-central chi, the root
    sum of squares of `num_coils` complex images that share the power of the signal,

        m² = Σ_c |x / √N + n_c|² = (x + n₁)² + n₂² + χ²  with 2 (N - 1) degrees of freedom.

    Parallel imaging raises the noise where coils have similar sensitivities: with `gain`, the
    standard deviation is multiplied by a smooth field from one to the drawn gain.
    Interpolation and filters in k-space correlate neighbours: with `correlation`, each
    Gaussian volume is blurred, and keeps its variance.

    Args:
        std: `(low, high)`, in units of intensity; drawn per sample.
        distribution: "gaussian", "rician" or "chi".
        num_coils: number of receive coils of "chi", from 1 (Rician) to 32.
        gain: `(low, high)`, the largest g-factor, at least one; drawn per sample.
        correlation: `(low, high)`, standard deviation of the Gaussian that blurs the
            noise, in mm; drawn per sample.
        spacing: mm per voxel, a scalar or one per axis.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, channels)`, float. Channels share the gain.
    Output shape: the same, float32.

    Raises:
        ValueError: if a range is reversed or out of bounds, the number of coils is not
            a whole number from 1 to 32, or the distribution is unknown.

    Example:
    >>> import numpy as np
    >>> image = RandomNoise(std=0.1, seed=1)(np.zeros((1, 64, 64, 1), "float32"))
    >>> round(float(np.std(image)), 1)
    0.1

    Reference: Hoffmann, Domain-randomized deep learning for neuroimage analysis, 2025;
        Gudbjartsson and Patz, The Rician distribution of noisy MRI data, MRM 1995;
        "chi": Constantinides et al., Signal-to-noise measurements in magnitude images from
        NMR phased arrays, MRM 1997; gain: Pruessmann et al., SENSE, MRM 1999.
    """

    def __init__(
        self,
        std: Annotated[Range, Limits(0)] = (0, 0.1),
        distribution: Literal["gaussian", "rician", "chi"] = "gaussian",
        num_coils: Annotated[int, Limits(1, _MOST_COILS)] = 4,
        gain: Annotated[Range, Limits(1)] = 1.0,
        correlation: Millimetres = 0.0,
        spacing: Spacing = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            std=std,
            distribution=distribution,
            num_coils=num_coils,
            gain=gain,
            correlation=correlation,
            spacing=spacing,
            **kwargs,
        )

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw "std", the standard-normal volumes, the rest of "chi" and the gain."""
        blur = self._blur(key, shape)
        draws = {
            "std": self.uniform(key, "std", self.std),
            "real": self._normal(key, "real", shape, blur),
        }
        if self.distribution != "gaussian":
            draws["imaginary"] = self._normal(key, "imaginary", shape, blur)
        if self.distribution == "chi" and self.num_coils > 1:
            draws["chi_square"] = self._chi_square(random.fold_in(key, "coils"), shape, blur)
        if self.gain[1] > 1:
            field = random.fold_in(key, "gain field")
            draws.update(draw_noise(field, "value", _CONTROL_POINTS, tuple(shape[1:-1]), 1))
            draws["gain"] = self.uniform(key, "gain", self.gain)
        return draws

    def _blur(self, key: Tensor, shape: tuple[int | None, ...]) -> list[Tensor] | None:
        """One matrix per axis, whose rows have unit norm: they keep unit variance."""
        if self.correlation[1] == 0:
            return None
        std = self.uniform(key, "correlation", self.correlation)
        matrices = [
            blur_matrix(std / mm, size)
            for size, mm in zip(shape[1:-1], self._voxel(shape), strict=True)
        ]
        norm = [ops.sqrt(ops.sum(ops.square(m), axis=-1, keepdims=True)) for m in matrices]
        return [m / n for m, n in zip(matrices, norm, strict=True)]

    def _voxel(self, shape: tuple[int | None, ...]) -> tuple[float, ...]:
        return per_axis(self.spacing, len(shape) - 2)

    def _normal(
        self, key: Tensor, name: str, shape: tuple[int | None, ...], blur: list[Tensor] | None
    ) -> Tensor:
        """Draw a volume of unit variance, correlated if it is to be blurred."""
        white = random.normal(random.fold_in(key, name), tuple(shape[1:]))
        if blur is None:
            return white
        reach = [math.ceil(4 * self.correlation[1] / mm) for mm in self._voxel(shape)]
        return apply_along_axes(white, blur, reach)

    def _chi_square(
        self, key: Tensor, shape: tuple[int | None, ...], blur: list[Tensor] | None
    ) -> Tensor:
        """Draw the power of all coils but one, whose phases carry no signal."""
        coils = range(1, self.num_coils)
        if blur is not None:
            parts = [f"{part} {c}" for c in coils for part in ("real", "imaginary")]
            return sum(ops.square(self._normal(key, part, shape, blur)) for part in parts)
        # The squared magnitude of a complex normal number is exponentially distributed.
        product = 1.0
        for c in coils:
            chance = random.uniform(random.fold_in(key, f"power {c}"), tuple(shape[1:]))
            product = product * (1.0 - chance)
        return -2.0 * in_whole_vectors(ops.log, product)

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Add the noise."""
        image = as_image(inputs)
        std = expand(draws["std"], image)
        if "gain" in draws:
            field = make_noise(draws, "value", tuple(image.shape[1:-1]))
            std = std * (1.0 + (expand(draws["gain"], image) - 1.0) * field)
        noisy = fused(lambda image, std, real: image + std * real, image, std, draws["real"])
        if self.distribution == "gaussian":
            return noisy
        power = ops.square(noisy) + ops.square(std * draws["imaginary"])
        if "chi_square" in draws:
            power = power + ops.square(std) * draws["chi_square"]
        return ops.sqrt(power)
