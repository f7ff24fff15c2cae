"""Random spikes in k-space."""

from typing import Annotated, Any

import keras
from keras import ops

from synthtf import random
from synthtf.arguments import Limits
from synthtf.layers.base import RandomLayer, Tensor, as_image
from synthtf.ops.kspace import magnitude, plane_waves
from synthtf.ranges import Range, WholeRange


@keras.saving.register_keras_serializable(package="synthtf")
class RandomSpikes(RandomLayer):
    """Add spurious points of k-space: stripes across the image, a herringbone where they cross.

    `|x + Σ_s a_s x̄ exp(i φ_s + 2πi Σ_d f_sd r_d / n_d)|`, with voxel numbers `r` and the mean
    intensity `x̄`. The positions `f` of the spikes are uniform over k-space, their phases over
    the circle. Since the largest value of k-space, at its centre, is the sum over the image,
    `a` is also the amplitude of the spike relative to that value.

    Args:
        num_spikes: `(low, high)`, whole numbers, both included; drawn per sample.
        intensity: `(low, high)`, amplitude relative to the centre of k-space, or of the stripes
            relative to the mean intensity; drawn per spike.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, channels)`, float; the result is a magnitude, and negative
        values lose their sign. All channels have the same spikes, relative to their own means.
    Output shape: the same, float32.

    Raises:
        ValueError: if a range is reversed, negative, or not whole.

    Example:
    >>> import numpy as np
    >>> image = np.ones((1, 32, 32, 1), "float32")
    >>> stripes = np.asarray(RandomSpikes(num_spikes=1, intensity=0.5, seed=1)(image))
    >>> round(float(np.ptp(stripes)), 1)
    1.0

    Reference: Pérez-García et al., TorchIO, Computer Methods and Programs in Biomedicine 2021;
        Heiland, From A as in aliasing to Z as in zipper, Clinical Neuroradiology 2008.
    """

    def __init__(
        self,
        num_spikes: Annotated[WholeRange, Limits(0, 100)] = (1, 3),
        intensity: Annotated[Range, Limits(0)] = (0, 0.5),
        **kwargs: Any,
    ) -> None:
        super().__init__(num_spikes=num_spikes, intensity=intensity, **kwargs)

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw per spike the position in [0, 1) of each axis, amplitude, and phase in turns."""
        most = max(self.num_spikes[1], 1)
        return {
            "num_spikes": random.integers(random.fold_in(key, "num_spikes"), (), *self.num_spikes),
            "position": random.uniform(random.fold_in(key, "position"), (most, len(shape) - 2)),
            "intensity": self.uniform(key, "intensity", self.intensity, (most,)),
            "phase": random.uniform(random.fold_in(key, "phase"), (most,)),
        }

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Add the waves."""
        image = as_image(inputs)
        shape = image.shape[1:-1]
        frequency = ops.stack(
            [self._frequency(draws["position"][..., d], n) for d, n in enumerate(shape)], axis=-1
        )
        number = ops.arange(draws["phase"].shape[1], dtype="int32")[None]
        used = ops.cast(number < draws["num_spikes"][:, None], "float32")
        amplitude = draws["intensity"] * used
        real, imaginary = plane_waves(frequency, amplitude, draws["phase"], shape)
        mean = ops.mean(image, axis=tuple(range(1, len(shape) + 1)), keepdims=True)
        return magnitude(image + mean * real[..., None], mean * imaginary[..., None])

    @staticmethod
    def _frequency(position: Tensor, size: int) -> Tensor:
        line = ops.minimum(ops.floor(position * size), size - 1.0)
        return ops.cast(line, "int32") - size // 2
