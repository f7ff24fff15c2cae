"""What a step has drawn as a target."""

from typing import Annotated, Any

import keras
from keras import ops

from synthtf.arguments import Limits
from synthtf.layers.base import SynthesisLayer, Tensor
from synthtf.layers.targets.keep_gain import as_step_name


@keras.saving.register_keras_serializable(package="synthtf")
class KeepDraw(SynthesisLayer):
    """Keep how strong a step is in each sample, as a number that a network can learn to tell.

    A recipe gives the layer what the step has drawn, as `sample` of its layer names it: "std" of
    `RandomNoise`, "rotation" of `RandomMotion`. The target is the root mean square of the draws of
    the sample, and `still` where the step has left the sample alone.

    Args:
        of: name of the step of the recipe, before this one, such as "noise".
        draw: name of the draw, such as "std".
        still: number for samples that the step leaves alone, such as 1 for a ratio.
        **kwargs: arguments of `keras.layers.Layer`; `name` is that of the number.

    Input shape: `(batch, ...)`, float, the draws.
    Output shape: `(batch, 1)`, float32.

    Raises:
        ValueError: if `of` or `draw` is not a name, or, in a recipe, the step draws no such thing.

    Example:
    >>> import numpy as np
    >>> from synthtf import Recipe
    >>> from synthtf.layers import RandomIntensity, RandomNoise
    >>> recipe = Recipe([RandomIntensity(), RandomNoise(std=0.25), KeepDraw("noise", "std")])
    >>> model = recipe.build((8, 8), [0, 1])
    >>> sample = model({"labels": np.ones((1, 8, 8, 1), "int32"), "key": np.array([[0, 1]])})
    >>> float(sample["draw"][0, 0])
    0.25
    """

    gives, step_name = ("number",), "draw"

    def __init__(
        self,
        of: Annotated[str, as_step_name] = "noise",
        draw: Annotated[str, as_step_name] = "std",
        still: Annotated[float, Limits()] = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(of=of, draw=draw, still=still, **kwargs)

    def call(self, inputs: Tensor) -> Tensor:
        """Take the root mean square of each sample."""
        draws = ops.reshape(ops.cast(inputs, "float32"), (ops.shape(inputs)[0], -1))
        return ops.sqrt(ops.mean(ops.square(draws), axis=-1, keepdims=True))

    def output_spec(self, inputs: Any) -> Any:
        """A number per sample."""
        return keras.KerasTensor((inputs.shape[0], 1), "float32")
