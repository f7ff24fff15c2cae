"""Random left-right flips."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops, tree

from synthtf.layers.base import RandomLayer, Tensor, as_image_or_labels
from synthtf.ops.labels import map_labels


@keras.saving.register_keras_serializable(package="synthtf")
class RandomFlip(RandomLayer):
    """Flip volumes along an axis and swap paired labels.

    Args:
        axis: spatial axis to flip, 0 for left-right in RAS.
        pairs: `(left, right)` label values that change places, in label maps.
        **kwargs: `probability` (default 0.5), `seed`, `name`.

    Input shape: a tensor or a structure of tensors `(batch, *spatial, channels)`;
        integer ones are label maps.
    Output shape: the same, float32 or int32.

    Raises:
        ValueError: if the axis does not exist or a label is in two pairs.

    Example:
    >>> import numpy as np
    >>> labels = np.array([2, 0, 41], "int32").reshape(1, 3, 1, 1)
    >>> np.asarray(RandomFlip(pairs=[(2, 41)], probability=1)(labels)).ravel().tolist()
    [2, 0, 41]
    """

    def __init__(
        self,
        axis: int = 0,
        pairs: Sequence[tuple[int, int]] = (),
        probability: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(probability=probability, **kwargs)
        if axis not in (0, 1, 2):
            raise ValueError(f"`axis` must be a spatial axis, 0, 1 or 2. Received: axis={axis!r}")
        self.axis = int(axis)
        self.pairs = tuple((int(a), int(b)) for a, b in pairs)
        paired = [label for pair in self.pairs for label in pair]
        if len(set(paired)) != len(paired):
            raise ValueError(f"`pairs` must name each label once. Received: pairs={self.pairs}")

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw nothing but whether a sample is flipped."""
        if self.axis >= len(shape) - 2:
            raise ValueError(f"{self.name}: axis {self.axis} is not spatial in shape {shape}")
        return {}

    def transform(self, inputs: Any, draws: dict[str, Tensor]) -> Any:
        """Flip, and swap labels."""

        def flip(x: Tensor) -> Tensor:
            x = ops.flip(as_image_or_labels(x), axis=self.axis + 1)
            if self.pairs and keras.backend.standardize_dtype(x.dtype) == "int32":
                x = x + map_labels(x, self._change)
            return x

        return tree.map_structure(flip, inputs)

    @property
    def _change(self) -> dict[int, int]:
        """What to add to each label; labels without a partner keep their value."""
        return {a: b - a for pair in self.pairs for a, b in (pair, pair[::-1])}

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        return {**super().get_config(), "axis": self.axis, "pairs": self.pairs}
