"""Random intensity windows of computed tomography."""

from typing import Annotated, Any

import keras
from keras import ops

from synthtf.arguments import Limits
from synthtf.layers.base import RandomLayer, Tensor, as_image, expand
from synthtf.ranges import Range


@keras.saving.register_keras_serializable(package="synthtf")
class RandomWindow(RandomLayer):
    """Clip each image to a random window and rescale it to [0, 1].

    Readers see computed tomography through a window: a small range of Hounsfield units, the
    width about a level, spans black to white.

        out = clip((image - level) / width + 1/2, 0, 1).

    The defaults suit intensities in [0, 1]; a window for the brain has a level of 40 and a width of
    80 Hounsfield units. A sample that is left alone keeps its units.

    Args:
        level: `(low, high)`, centre of the window, in units of the image; drawn per sample.
        width: `(low, high)`, width of the window, positive; drawn per sample.
        **kwargs: `probability`, `seed`, `name`.

    Input shape: `(batch, *spatial, channels)`, float.
    Output shape: the same, float32 in [0, 1].

    Raises:
        ValueError: if a range is reversed or a width is not positive.

    Example:
    >>> import numpy as np
    >>> image = np.array([-1000, 0, 20, 40, 80, 1000], "float32").reshape(1, 6, 1, 1)
    >>> np.asarray(RandomWindow(level=40, width=80)(image)).ravel().tolist()
    [0.0, 0.0, 0.25, 0.5, 1.0, 1.0]

    Reference: Muschelli et al., Validated automatic brain extraction of head CT images,
        NeuroImage 2015, which keeps 0 to 100 Hounsfield units.
    """

    def __init__(
        self,
        level: Annotated[Range, Limits()] = (0.3, 0.7),
        width: Annotated[Range, Limits(1e-3)] = (0.4, 1),
        **kwargs: Any,
    ) -> None:
        super().__init__(level=level, width=width, **kwargs)

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw "level" and "width"."""
        return {
            "level": self.uniform(key, "level", self.level),
            "width": self.uniform(key, "width", self.width),
        }

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Window the image."""
        image = as_image(inputs)
        level, width = (expand(draws[name], image) for name in ("level", "width"))
        return ops.clip((image - level) / width + 0.5, 0.0, 1.0)
