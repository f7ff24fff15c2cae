"""Label look-ups as a layer."""

from collections.abc import Mapping
from typing import Annotated, Any

import keras

from synthtf.arguments import as_whole_numbers
from synthtf.layers.base import SynthesisLayer, Tensor, as_labels
from synthtf.ops.labels import map_labels


def _as_mapping(value: Any, name: str) -> dict[int, int]:
    # JSON turns the keys of a config into text.
    mapping = {int(old): int(new) for old, new in dict(value).items()}
    as_whole_numbers([*mapping, *mapping.values()], name)
    if any(v < 0 for pair in mapping.items() for v in pair):
        raise ValueError(f"`{name}` must not be negative. Received: {name}={mapping}")
    return mapping


@keras.saving.register_keras_serializable(package="synthtf")
class MapLabels(SynthesisLayer):
    """Replace label values; those that are not listed become 0.

    Args:
        mapping: from each label value to its new value, all non-negative.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape: `(batch, *spatial, 1)`, integer.
    Output shape: the same, int32.

    Raises:
        ValueError: if a value is negative.

    Example:
    >>> import numpy as np
    >>> labels = np.array([0, 25, 77], "int32").reshape(1, 3, 1, 1)
    >>> np.asarray(MapLabels({25: 2})(labels)).ravel().tolist()
    [0, 2, 0]
    """

    takes, gives = ("labels",), ("labels",)

    def __init__(self, mapping: Annotated[Mapping[int, int], _as_mapping], **kwargs: Any) -> None:
        super().__init__(mapping=mapping, **kwargs)

    def call(self, inputs: Tensor) -> Tensor:
        """Look up."""
        return map_labels(as_labels(inputs), self.mapping)

    def output_spec(self, inputs: Any) -> Any:
        """A label map."""
        return keras.KerasTensor(inputs.shape, "int32")
