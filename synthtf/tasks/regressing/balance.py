"""How the losses of several outputs are balanced, and the loss of labels among them."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from synthtf.losses import DiceCrossEntropy, SoftDice
from synthtf.ops.labels import one_hot

Tensor = Any

_LEAST = 1e-12


@keras.saving.register_keras_serializable(package="synthtf")
class LearnedScales(layers.Layer):
    """Divide each loss by a scale of its own, and pay for large scales.

    A loss L becomes `L / s + log(s)`: the likelihood of residuals of a Laplace distribution of
    scale s. The targets thus weigh alike, whatever their range.

    Input shape: `(batch, targets)`.
    Output shape: `(batch,)`.

    Reference: Kendall et al., Multi-task learning using uncertainty to weigh losses for scene
        geometry and semantics, CVPR 2018.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Begin with scales of one."""
        self.log_scale = self.add_weight(
            shape=(input_shape[-1],), initializer="zeros", name="log_scale"
        )

    def call(self, losses: Tensor) -> Tensor:
        """Weigh and add up."""
        return ops.sum(losses * ops.exp(-self.log_scale) + self.log_scale, axis=-1)


@keras.saving.register_keras_serializable(package="synthtf")
class WeighLosses(layers.Layer):
    """Multiply each loss by a weight.

    Args:
        factors: weight of each loss.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: `(batch, targets)`.
    Output shape: the same.
    """

    def __init__(self, factors: Sequence[float], **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.factors = tuple(float(factor) for factor in factors)

    def call(self, losses: Tensor) -> Tensor:
        """Multiply."""
        return losses * ops.convert_to_tensor(self.factors, "float32")

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {**super().get_config(), "factors": self.factors}


@keras.saving.register_keras_serializable(package="synthtf")
class EqualMagnitudes(layers.Layer):
    """Let each loss count as much as if it were as large as their mean.

    The sum stays what it is, `sum(L)`, and so does what a log shows; its gradient is that of
    `sum(L mean(L) / L)`, with the ratios held fixed. A loss a thousand times smaller than another
    is thus not overlooked.

    Input shape: `(batch, targets)`.
    Output shape: `(batch,)`.

    Reference: Hoffmann, Domain-randomized deep learning for neuroimage analysis, 2025, on losses of
        similar magnitude.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)

    def call(self, losses: Tensor) -> Tensor:
        """Scale and add up."""
        size = ops.abs(ops.mean(losses, axis=0, keepdims=True))
        ratio = ops.mean(size, axis=-1, keepdims=True) / (size + _LEAST)
        scaled = losses * ops.stop_gradient(ratio)
        # What is added and taken away has no gradient.
        return ops.sum(scaled + ops.stop_gradient(losses - scaled), axis=-1)


@keras.saving.register_keras_serializable(package="synthtf")
class EqualGradients(layers.Layer):
    """Hand the shared features to several heads, and let each pull at them equally hard.

    Forward, each head gets the features as they are. Backward, the gradient that comes from each
    head is scaled to the mean of their norms over the batch, before they add up. The heads
    themselves learn from their own gradients. This is what GradNorm aims at, at once and without
    weights that are learned.

    Args:
        heads: their number.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: `(batch, *spatial, channels)`.
    Output shape: a list of `heads` such tensors.

    Reference: Chen et al., GradNorm: gradient normalization for adaptive loss balancing in deep
        multitask networks, ICML 2018, which approaches equal norms by weights that are learned.
    """

    def __init__(self, heads: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads = heads

    def call(self, features: Tensor) -> list[Tensor]:
        """Copy the features."""
        stacked = _spread(ops.stack([features] * self.heads))
        return [stacked[index] for index in range(self.heads)]

    def compute_output_spec(self, features: Any) -> Any:
        """As many tensors as heads."""
        return [keras.KerasTensor(features.shape, features.dtype) for _ in range(self.heads)]

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {**super().get_config(), "heads": self.heads}


@ops.custom_gradient
def _spread(stacked: Tensor) -> Any:
    """Leave a stack as it is, and give the gradients along its first axis one norm."""

    def gradient(*args: Tensor, upstream: Tensor | None = None) -> Tensor:
        given = args[0] if upstream is None else upstream
        exact = ops.cast(given, "float32")
        axes = tuple(range(1, len(given.shape)))
        norms = ops.sqrt(ops.sum(ops.square(exact), axis=axes, keepdims=True))
        return ops.cast(exact / (norms + _LEAST) * ops.mean(norms), given.dtype)

    return stacked + 0, gradient


@keras.saving.register_keras_serializable(package="synthtf")
class LabelLoss(layers.Layer):
    """Compare posteriors with a label map, as a loss of each sample.

    Args:
        values: label value of each channel of the posteriors.
        only: values to compare by their soft Dice alone. None: all, by Dice and cross-entropy.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: a label map, int32 `(batch, *spatial, 1)`, and posteriors
        `(batch, *spatial, values)`.
    Output shape: `(batch,)`.
    """

    def __init__(
        self, values: Sequence[int], only: Sequence[int] | None = None, **kwargs: Any
    ) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.values = tuple(int(value) for value in values)
        self.only = None if only is None else tuple(int(value) for value in only)

    def call(self, labels: Tensor, posteriors: Tensor) -> Tensor:
        """Compare."""
        if self.only is None:
            return DiceCrossEntropy().call(one_hot(labels, self.values), posteriors)
        # Labels that are not listed count as the first, which is left out.
        wanted = one_hot(labels, [0, *self.only])[..., 1:]
        channels = [self.values.index(value) for value in self.only]
        found = ops.stack([posteriors[..., channel] for channel in channels], axis=-1)
        return SoftDice().call(wanted, found)

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {**super().get_config(), "values": self.values, "only": self.only}
