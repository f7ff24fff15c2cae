"""Networks as they were trained, as networks that any machine and backend can use."""

from typing import Any

import keras

_MIXED = ("mixed_bfloat16", "mixed_float16")


def in_float32(network: keras.Model) -> keras.Model:
    """Give a network that computes in float32 and on one device, with the same layers.

    Args:
        network: of any dtype policy; its batch normalisation may be shared by several devices.

    Returns:
        A copy, whose weights are yet to be set; the network itself if there is no need.
    """
    config = keras.saving.serialize_keras_object(network)
    plain = _plain(config)
    return network if plain == config else keras.saving.deserialize_keras_object(plain)


def _plain(value: Any) -> Any:
    """Replace the names of mixed policies in a config, and what only TensorFlow knows."""
    if isinstance(value, dict):
        return {
            name: False if name == "synchronized" else _plain(item) for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return type(value)(_plain(item) for item in value)
    return "float32" if value in _MIXED else value
