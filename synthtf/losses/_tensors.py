"""Casts and checks of shapes that the losses share."""

from typing import Any

import keras
from keras import ops

Tensor = Any


def float32(x: Tensor) -> Tensor:
    """Return a tensor as float32."""
    x = ops.convert_to_tensor(x)
    # A cast to the same type would hide from Keras that posteriors come from a softmax.
    return x if keras.backend.standardize_dtype(x.dtype) == "float32" else ops.cast(x, "float32")


def float32_pair(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return two tensors of the same shape, with channels, as float32.

    Raises:
        ValueError: if the shapes differ, or have no spatial axis.
    """
    a, b = float32(a), float32(b)
    known = zip(a.shape, b.shape, strict=False)
    differ = any(m is not None and n is not None and m != n for m, n in known)
    if len(a.shape) != len(b.shape) or len(a.shape) < 3 or differ:
        raise ValueError(
            "the two tensors must have the same shape (batch, *spatial, channels); turn label "
            f"maps into one-hot first. Received: {tuple(a.shape)} and {tuple(b.shape)}"
        )
    return a, b


def spatial_axes(x: Tensor) -> tuple[int, ...]:
    """Return the axes between batch and channels."""
    return tuple(range(1, len(x.shape) - 1))
