"""Random bias fields."""

from typing import Annotated, Any, Literal

import keras
from keras import ops

from synthtf import random
from synthtf.arguments import Limits, NoisePoints, Octaves, Proportion
from synthtf.layers.base import RandomLayer, Tensor, as_image, expand
from synthtf.layers.noise_field import KINDS, draw_noise, make_noise
from synthtf.ops.elementwise import in_whole_vectors
from synthtf.ops.noise import upsample_lattice
from synthtf.ranges import Range
from synthtf.xla import fused


@keras.saving.register_keras_serializable(package="synthtf")
class RandomBiasField(RandomLayer):
    """Multiply each image by a smooth random field, as uneven coils do.

    "linear": `1 - drop F(x)` with a noise field `F` in [0, 1]. "exponential": `exp(G(x))`
    with `G` upsampled linearly from a lattice of `N(0, std²)`. The lattice is upsampled first
    and the exponential taken at every voxel: the logarithm of the field, not the field, is
    linear between control points.

    Args:
        drop: `(low, high)`, the largest relative intensity drop, in [0, 1] ("linear").
        control_points: `(low, high)`, control points, drawn per sample and axis. Along an axis
            with one, the field is constant.
        noise: "perlin" (gradient noise), "value", "gaussian" or "fractal" ("linear").
        octaves: `(low, high)`, number of octaves of fractal noise, drawn per sample. An octave
            with more control points than voxels is left out.
        form: "linear" or "exponential".
        std: `(low, high)`, standard deviation of the logarithm of the field ("exponential").
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, channels)`, float. Channels share the field.
    Output shape: the same, float32.

    Raises:
        ValueError: if a range is reversed or out of bounds, or the form or noise is unknown.

    Example:
    >>> import numpy as np
    >>> image = RandomBiasField(drop=0.5)(np.ones((1, 16, 16, 1), "float32"))
    >>> float(np.min(image)), float(np.max(image))
    (0.5, 1.0)

    Reference: "linear": Hoffmann, Domain-randomized deep learning for neuroimage
        analysis, 2025. "exponential": Billot et al., SynthSeg, Medical Image Analysis 2023.
    """

    step_name = "bias"

    def __init__(
        self,
        drop: Proportion = (0, 0.5),
        control_points: NoisePoints = (2, 4),
        noise: Literal[KINDS] = "perlin",
        octaves: Octaves = (1, 5),
        form: Literal["linear", "exponential"] = "linear",
        std: Annotated[Range, Limits(0)] = (0, 0.7),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            drop=drop,
            control_points=control_points,
            noise=noise,
            octaves=octaves,
            form=form,
            std=std,
            **kwargs,
        )

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw the lattice and the drop or standard deviation."""
        spatial = tuple(shape[1:-1])
        if self.form == "linear":
            draws = draw_noise(key, self.noise, self.control_points, spatial, 1, self.octaves)
            return {**draws, "drop": self.uniform(key, "drop", self.drop)}
        lattice = (*(self.control_points[1],) * len(spatial), 1)
        draws = draw_noise(key, "value", self.control_points, spatial, 1)
        draws["noise"] = random.normal(random.fold_in(key, "normal"), lattice)
        return {**draws, "std": self.uniform(key, "std", self.std)}

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Multiply by the field."""
        image = as_image(inputs)
        shape = tuple(image.shape[1:-1])
        if self.form == "linear":
            field = make_noise(draws, self.noise, shape)
            drop = expand(draws["drop"], field)
            return fused(
                lambda image, field, drop: image * (1.0 - field * drop), image, field, drop
            )
        coarse = draws["noise"] * expand(draws["std"], draws["noise"])
        field = upsample_lattice(coarse, draws["control_points"], shape)
        return image * in_whole_vectors(ops.exp, field)
