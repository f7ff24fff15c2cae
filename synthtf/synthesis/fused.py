"""Layers by which a recipe carries out several steps at once."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from synthtf.layers.base import RandomLayer, SynthesisLayer, Tensor, as_image, as_labels, expand
from synthtf.ops.fields import mirror_transform
from synthtf.ops.labels import map_labels
from synthtf.ops.linear import apply_along_axes, matrix_product


class _OfSteps(SynthesisLayer):
    """A layer that holds random layers as its steps; abstract."""

    def __init__(self, steps: Sequence[RandomLayer], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.steps = list(steps)

    def build(self, *shapes: Any) -> None:
        """Mark the steps as built: they have no weights."""
        for step in self.steps:
            step.built = True

    @classmethod
    def arguments(cls) -> dict[str, Any]:
        """None that have limits: the steps have theirs."""
        return {}

    def get_config(self) -> dict[str, Any]:
        """Give the steps."""
        steps = [keras.saving.serialize_keras_object(step) for step in self.steps]
        return {**super().get_config(), "steps": steps}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SynthesisLayer":
        """Make the steps."""
        steps = [keras.saving.deserialize_keras_object(step) for step in config["steps"]]
        return cls(**{**config, "steps": steps})


@keras.saving.register_keras_serializable(package="synthtf")
class LinearSteps(_OfSteps):
    """Carry out separable linear steps as one matrix per axis, their product.

    Args:
        steps: layers that have `matrices(shape, draws)`.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: `(batch, *spatial, channels)`, float, and the keys.
    Output shape: the same, float32.
    """

    def call(self, inputs: Tensor, key: Tensor) -> Tensor:
        """Multiply the matrices, then apply them."""
        image = as_image(inputs)
        shape = tuple(image.shape)
        ndim = len(shape) - 2
        product: list[Tensor | None] = [None] * ndim
        reach = [0] * ndim
        for step in self.steps:
            draws = step.sample(key, shape)
            matrices, reaches = step.matrices(shape, draws)
            for d, matrix in enumerate(matrices):
                if matrix is not None:
                    if "active" in draws:
                        still = ops.eye(matrix.shape[-1], dtype=matrix.dtype)[None]
                        matrix = ops.where(expand(draws["active"], matrix), matrix, still)
                    before = product[d]
                    product[d] = matrix if before is None else matrix_product(matrix, before)
                    reach[d] += reaches[d]
        return apply_along_axes(image, product, reach)


@keras.saving.register_keras_serializable(package="synthtf")
class MirrorTransform(_OfSteps):
    """Put a random flip in front of a transform: what it moves comes out mirrored.

    Args:
        steps: one `RandomFlip`.
        shape: spatial shape of the images.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: `(batch, ndim + 1, ndim + 1)` or `(batch, *grid, ndim)`, and the keys.
    Output shape: the same, and int32 `(batch, 1)`, 1 for samples that are mirrored.
    """

    def __init__(self, steps: Sequence[RandomLayer], shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(steps, **kwargs)
        self.shape = tuple(shape)

    def get_config(self) -> dict[str, Any]:
        """Give the shape, too."""
        return {**super().get_config(), "shape": self.shape}

    def call(self, inputs: Tensor, key: Tensor) -> list[Tensor]:
        """Mirror some of the transforms."""
        flip = self.steps[0]
        draws = flip.sample(key, (None, *self.shape, 1))
        active = draws.get("active", ops.ones_like(key[:, 0], "bool"))
        mirrored = mirror_transform(inputs, flip.axis, self.shape)
        transform = ops.where(expand(active, inputs), mirrored, inputs)
        return [transform, ops.cast(active, "int32")[:, None]]

    def output_spec(self, inputs: Any) -> Any:
        """The transform, and which are mirrored."""
        number = keras.KerasTensor((inputs.shape[0], 1), "int32")
        return [keras.KerasTensor(inputs.shape, "float32"), number]


@keras.saving.register_keras_serializable(package="synthtf")
class SwapSides(_OfSteps):
    """Swap paired labels in the samples that are mirrored.

    Args:
        steps: one `RandomFlip`, which has the pairs.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: label map, integer `(batch, *spatial, 1)`, and int32 `(batch, 1)`, which are.
    Output shape: that of the label map, int32.
    """

    def call(self, inputs: Tensor, mirrored: Tensor) -> Tensor:
        """Add the differences."""
        labels = as_labels(inputs)
        change = map_labels(labels, self.steps[0].change)
        return labels + change * expand(mirrored[:, 0], labels)


@keras.saving.register_keras_serializable(package="synthtf")
class DisplacementOf(_OfSteps):
    """Give the displacement field by which a step moves what it is given.

    Args:
        steps: one layer that has `displacement(shape, draws)`.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: `(batch, *spatial, channels)`, and the keys.
    Output shape: `(batch, *spatial, ndim)`, float32, in voxels.
    """

    def call(self, inputs: Tensor, key: Tensor) -> Tensor:
        """Draw the field; zero where the step leaves a sample alone."""
        step, shape = self.steps[0], tuple(inputs.shape)
        draws = step.sample(key, shape)
        field = step.displacement(shape, draws)
        return ops.where(expand(draws["active"], field), field, 0.0) if "active" in draws else field

    def output_spec(self, inputs: Any) -> Any:
        """A field."""
        return keras.KerasTensor((*inputs.shape[:-1], len(inputs.shape) - 2), "float32")


@keras.saving.register_keras_serializable(package="synthtf")
class DrawOf(_OfSteps):
    """Give what a step draws for an image.

    Args:
        steps: one random layer.
        draw: name of the draw, as `sample` of the layer has it.
        still: number for samples that the step leaves alone.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: `(batch, *spatial, channels)`, and the keys.
    Output shape: `(batch, draws)`, float32.
    """

    def __init__(
        self, steps: Sequence[RandomLayer], draw: str, still: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(steps, **kwargs)
        self.draw, self.still = draw, float(still)
        if not isinstance(self.steps[0], RandomLayer):
            raise ValueError(
                f"{self.name}: the step `{self.steps[0].name}` draws nothing, so its draw "
                f"{draw!r} cannot be kept"
            )

    def get_config(self) -> dict[str, Any]:
        """Give the draw, too."""
        return {**super().get_config(), "draw": self.draw, "still": self.still}

    def call(self, inputs: Tensor, key: Tensor) -> Tensor:
        """Draw, and pick one."""
        step = self.steps[0]
        draws = step.sample(key, tuple(inputs.shape))
        if self.draw not in draws:
            known = ", ".join(name for name in draws if name != "active")
            raise ValueError(f"the step `{step.name}` draws {known}. Received: draw={self.draw!r}")
        drawn = ops.cast(draws[self.draw], "float32")
        drawn = ops.reshape(drawn, (ops.shape(key)[0], -1))
        return (
            ops.where(draws["active"][:, None], drawn, self.still) if "active" in draws else drawn
        )

    def output_spec(self, inputs: Any) -> Any:
        """As many as the step draws for a sample."""
        return keras.KerasTensor((inputs.shape[0], None), "float32")
