"""Random transmit fields."""

from typing import Annotated, Any

import keras
from keras import ops

from synthtf import random
from synthtf.arguments import ControlPoints, Limits, Spacing
from synthtf.layers.base import RandomLayer, Tensor, as_image, expand
from synthtf.layers.noise_field import draw_noise
from synthtf.ops.elementwise import in_whole_vectors
from synthtf.ops.noise import upsample_lattice
from synthtf.ranges import Range, per_axis

_MAPS = 4
# Of the field of view, on either side of its centre.
_OFFSET = 0.1


@keras.saving.register_keras_serializable(package="synthtf")
class RandomTransmitField(RandomLayer):
    """Append a transmit field (B1⁺) to tissue maps: the ratio of actual to nominal flip angle.

    In a head at 3 T and above, the field is strong in the centre, where partial waves add
    up, and weak at the surface. With a Gaussian `C` in (0, 1] about a point near the centre
    of the volume, and a lattice `F` of uniform random values in [0, 1], upsampled linearly:

        b(x) = 1 + brightening (2 C(x) - 1) + variation (2 F(x) - 1)

    Args:
        brightening: `(low, high)`, in [0, 0.5]; about 0.1 at 1.5 T, 0.3 at 3 T, 0.5 at 7 T.
        width: `(low, high)`, standard deviation of the Gaussian, in mm. Half-way between the
            centre and the value far away the distance from the centre is 1.2 times that.
        variation: `(low, high)`, in [0, 0.5].
        control_points: `(low, high)`, of the lattice, drawn per sample and axis.
        spacing: mm per voxel, a scalar or one per axis.
        **kwargs: `probability`, `seed`, `name`. A sample that is left alone gets a field of
            one.

    Input shape: `(batch, *spatial, 4 or 5)`, float, of `RandomTissueMaps`. A fifth map is a
        transmit field that is there already, and is multiplied.
    Output shape: `(batch, *spatial, 5)`, float32.

    Raises:
        ValueError: if a range is reversed or out of bounds.

    Example:
    >>> import numpy as np
    >>> maps = np.ones((1, 32, 32, 4), "float32")
    >>> field = RandomTransmitField(brightening=0.3, variation=0.1, spacing=8)(maps)[..., 4]
    >>> bool(np.min(field) >= 0.6), bool(np.max(field) <= 1.4)
    (True, True)

    Reference: Collins et al., Central brightening due to constructive interference, JMRI
        2005; Van de Moortele et al., B1 destructive interferences, MRM 2005.
    """

    takes, gives = ("maps",), ("maps",)

    def __init__(
        self,
        brightening: Annotated[Range, Limits(0, 0.5)] = (0, 0.3),
        width: Annotated[Range, Limits(1, unit="mm")] = (50, 90),
        variation: Annotated[Range, Limits(0, 0.5)] = (0, 0.05),
        control_points: ControlPoints = (2, 4),
        spacing: Spacing = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            brightening=brightening,
            width=width,
            variation=variation,
            control_points=control_points,
            spacing=spacing,
            **kwargs,
        )

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw the strengths, "width", the centre's "offset" as a share, and the lattice."""
        spatial = tuple(shape[1:-1])
        offset = random.uniform(random.fold_in(key, "offset"), (len(spatial),), -_OFFSET, _OFFSET)
        return {
            **draw_noise(key, "value", self.control_points, spatial, 1),
            "brightening": self.uniform(key, "brightening", self.brightening),
            "width": self.uniform(key, "width", self.width),
            "offset": offset,
            "variation": self.uniform(key, "variation", self.variation),
        }

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Append the field."""
        maps = as_image(inputs)
        shape = tuple(maps.shape[1:-1])
        lattice = draws["noise"]
        brightening, variation = (expand(draws[k], lattice) for k in ("brightening", "variation"))
        # Interpolation keeps constants: they are added where there are few numbers.
        lattice = 1.0 - brightening + variation * (2.0 * lattice - 1.0)
        field = upsample_lattice(lattice, draws["control_points"], shape)
        field = field + self._centre(draws, shape)
        if maps.shape[-1] > _MAPS:
            maps, field = maps[..., :_MAPS], field * maps[..., _MAPS:]
        return ops.concatenate([maps, field], axis=-1)

    def _centre(self, draws: dict[str, Tensor], shape: tuple[int, ...]) -> Tensor:
        """`2 brightening C(x)`, `(batch, *shape, 1)`, as a product over the axes."""
        product = ops.reshape(2.0 * draws["brightening"], (-1, *[1] * len(shape), 1))
        for d, mm in enumerate(per_axis(self.spacing, len(shape))):
            n = shape[d]
            middle = 0.5 * (n - 1) + n * draws["offset"][:, d : d + 1]
            distance = (ops.arange(n, dtype="float32")[None] - middle) * mm
            factor = in_whole_vectors(
                ops.exp, -0.5 * ops.square(distance / draws["width"][:, None])
            )
            along = [1] * len(shape)
            along[d] = n
            product = product * ops.reshape(factor, (-1, *along, 1))
        return product

    def identity(self, inputs: Tensor) -> Tensor:
        """Append a field of one, unless there is one."""
        maps = as_image(inputs)
        if maps.shape[-1] > _MAPS:
            return maps
        return ops.concatenate([maps, ops.ones_like(maps[..., :1])], axis=-1)

    def output_spec(self, inputs: Any) -> Any:
        """Five maps."""
        if inputs.shape[-1] not in (_MAPS, _MAPS + 1):
            raise ValueError(
                "RandomTransmitField takes four maps, or five with a transmit field. "
                f"Received: {inputs.shape[-1]} channels"
            )
        return keras.KerasTensor((*inputs.shape[:-1], _MAPS + 1), "float32")
