"""Networks of any precision as networks of float32, which any machine can use."""

from typing import Any

import keras

_MIXED = ("mixed_bfloat16", "mixed_float16")


def in_float32(network: keras.Model) -> keras.Model:
    """Give a network that computes in float32, with the same layers.

    Args:
        network: of any dtype policy.

    Returns:
        A copy, whose weights are yet to be set; the network itself if there is no need.
    """
    config = keras.saving.serialize_keras_object(network)
    plain = _without_mixed(config)
    return network if plain == config else keras.saving.deserialize_keras_object(plain)


def _without_mixed(value: Any) -> Any:
    """Replace the names of mixed policies in a config."""
    if isinstance(value, dict):
        return {name: _without_mixed(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_without_mixed(item) for item in value)
    return "float32" if value in _MIXED else value
