"""Random left-right flips."""

from collections.abc import Sequence
from typing import Annotated, Any

import keras
from keras import ops, tree

from synthtf.arguments import Axis, Probability, as_whole_numbers
from synthtf.layers.base import RandomLayer, Tensor, as_image_or_labels
from synthtf.layers.scene import Scene
from synthtf.ops.labels import map_labels


def _as_pairs(values: Any, name: str) -> tuple[tuple[int, int], ...]:
    pairs = tuple((left, right) for left, right in (as_whole_numbers(x, name) for x in values))
    labels = [label for pair in pairs for label in pair]
    if len(set(labels)) != len(labels):
        raise ValueError(f"`{name}` must name each label once. Received: {name}={pairs}")
    return pairs


@keras.saving.register_keras_serializable(package="synthtf")
class RandomFlip(RandomLayer):
    """Flip volumes along an axis and swap paired labels.

    Args:
        axis: spatial axis to flip, 0 for left-right in RAS.
        pairs: `(left, right)` label values that change places, in label maps. None: those of the
            label table of a recipe; else there are none.
        probability: chance that a sample is flipped; drawn per sample.
        **kwargs: `seed`, `name`.

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

    takes, gives = ("labels",), ("transform",)

    def __init__(
        self,
        axis: Axis = 0,
        pairs: Annotated[Sequence[tuple[int, int]], _as_pairs] | None = None,
        probability: Probability = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(axis=axis, pairs=pairs, probability=probability, **kwargs)

    def bind(self, scene: Scene) -> dict[str, Any]:
        """Find the pairs."""
        return {"pairs": scene.table.flip_pairs} if self.pairs is None else {}

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw only whether a sample is flipped."""
        if self.axis >= len(shape) - 2:
            raise ValueError(f"{self.name}: axis {self.axis} is not spatial in shape {shape}")
        return {}

    def transform(self, inputs: Any, draws: dict[str, Tensor]) -> Any:
        """Flip, and swap labels."""

        def flip(x: Tensor) -> Tensor:
            x = ops.flip(as_image_or_labels(x), axis=self.axis + 1)
            if self.pairs and keras.backend.standardize_dtype(x.dtype) == "int32":
                x = x + map_labels(x, self.change)
            return x

        return tree.map_structure(flip, inputs)

    @property
    def change(self) -> dict[int, int]:
        """What to add to each label; labels without a partner keep their value."""
        return {a: b - a for pair in self.pairs or () for a, b in (pair, pair[::-1])}
