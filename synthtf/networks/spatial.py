"""Keras' layers for images of any rank, whose channels come last whatever keras.json says."""

import functools
from collections.abc import Callable

from keras import layers


def spatial_layer(kind: str, ndim: int) -> Callable[..., layers.Layer]:
    """Give the constructor of a layer, such as "Conv", for a number of spatial axes."""
    return functools.partial(getattr(layers, f"{kind}{ndim}D"), data_format="channels_last")
