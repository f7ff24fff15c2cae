"""The abstract bases of all synthesis layers."""

import functools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import keras
from keras import ops, tree

from synthtf import random
from synthtf.arguments import Argument, Limited, Probability, Seed, arguments_of
from synthtf.label_arguments import check_labels
from synthtf.ranges import Range, per_axis

if TYPE_CHECKING:
    from synthtf.layers.scene import Scene

Tensor = Any


class _OfClassOrLayer:
    """A method of a class, and of a layer with the layer's own values."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self.__doc__ = function.__doc__

    def __get__(self, layer: Any, owner: type) -> Any:
        return functools.partial(self.function, owner if layer is None else layer)


class SynthesisLayer(keras.layers.Layer):
    """A layer without weights that computes in float32 under any dtype policy.

    Label maps stay int32 and coordinates float32: automatic casting would
    turn label 2035 into 2032 under mixed precision.

    A subclass says in the signature of its constructor what each argument may be (see
    `synthtf.arguments`) and hands it on by name, `super().__init__(std=std, **kwargs)`. It is
    checked here, stored under its own name, and part of the config.

    As a step of a recipe it is called with the parts of a sample that it `takes`, as one tensor
    or a list, and gives those that it `gives`. Parts are

    - "labels": the label map, int32; it becomes the target;
    - "view": the label map as far as the scanner sees it;
    - "parts": the view, in which structures may be divided into parts of their own contrast;
    - "maps": proton density and relaxation times;
    - "image": the image, float32;
    - "scan": the real scan of the label map, float32;
    - "target": an image that the network shall return, kept under the name of the step;
    - "number": a number that it shall tell, likewise;
    - "transform": a matrix or displacement field that moves all others.

    Attributes:
        takes: parts that it needs.
        also: parts that it takes as well, behind the others, and gives if there are any.
        gives: parts that it changes or makes. Empty: it is no step of a recipe.
        is_linear: whether it is one matrix per axis, `matrices(shape, draws)`, so that a recipe
            may multiply it with those of its neighbours.
        is_still: whether no transform may come after it, as its target is measured in the grid.
        coarsens: whether all parts have larger voxels after it.
        hides: whether it removes a part of the image, `takes[0]`, which targets then lose as well.
        step_name: name as a step, unless it is given one. Empty: that of the class.
        from_table: arguments that a recipe finds in its label table, and others must give.
    """

    takes: ClassVar[tuple[str, ...]] = ("image",)
    also: ClassVar[tuple[str, ...]] = ()
    gives: ClassVar[tuple[str, ...]] = ("image",)
    is_linear: ClassVar[bool] = False
    is_still: ClassVar[bool] = False
    coarsens: ClassVar[bool] = False
    hides: ClassVar[bool] = False
    step_name: ClassVar[str] = ""
    from_table: ClassVar[tuple[str, ...]] = ()

    def __init__(self, **kwargs: Any) -> None:
        arguments = self.arguments()
        self.named = kwargs.get("name") is not None
        own = {name: kwargs.pop(name) for name in arguments if name in kwargs}
        kwargs.setdefault("dtype", "float32")
        super().__init__(autocast=False, **kwargs)
        for name, value in own.items():
            setattr(self, name, arguments[name].parse(value))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Check that label values are known, then do what a Keras layer does."""
        check_labels(self, *self.from_table)
        return super().__call__(*args, **kwargs)

    @classmethod
    def arguments(cls) -> dict[str, Argument]:
        """Describe the constructor's arguments by name, without those of Keras' layers."""
        return dict(_arguments_of_class(cls))

    @_OfClassOrLayer
    def ranges(self: Any) -> dict[str, Limited]:
        """Describe the numbers and ranges that have limits, by name.

        Their values are the defaults for a class, `RandomBlur.ranges()`, and a layer's own.
        """
        return {
            name: argument.limited(
                argument.default if isinstance(self, type) else getattr(self, name)
            )
            for name, argument in self.arguments().items()
            if argument.limits
        }

    def bind(self, scene: "Scene") -> dict[str, Any] | None:
        """Give the arguments that follow from the grid and the labels of a recipe.

        Args:
            scene: what is known where the step stands.

        Returns:
            The values to take instead of the layer's own; None if the step is to be left out.

        Raises:
            ValueError: if the label table lacks what the step needs.
        """
        return {"spacing": scene.spacing} if "spacing" in self.arguments() else {}

    def after(self, scene: "Scene") -> "Scene":
        """Give what is known after the step: the same, unless labels or grid change."""
        return scene

    @classmethod
    def default_step_name(cls) -> str:
        """Give the name of the class as a step: `RandomFieldOfView` is "field_of_view"."""
        words = re.findall(r"[A-Z][a-z0-9]*", cls.__name__.removeprefix("Random"))
        return cls.step_name or "_".join(words).lower() or cls.__name__.lower()

    def get_config(self) -> dict[str, Any]:
        """Give the constructor's arguments."""
        own = {name: getattr(self, name) for name in self.arguments()}
        return {**super().get_config(), **own}

    def output_spec(self, inputs: Any) -> Any:
        """Symbolic outputs for symbolic inputs: by default alike, as `preserve_dtype` says."""
        return tree.map_structure(
            lambda x: keras.KerasTensor(x.shape, "int32" if _is_integer(x) else "float32"), inputs
        )

    def compute_output_spec(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Give shapes and dtypes, which for label maps differ from the compute dtype."""
        return self.output_spec(inputs)


class RandomLayer(SynthesisLayer):
    """A layer that draws from a key, then applies what it drew.

    A subclass implements `draw(key, shape)`, which returns a dict of tensors with
    a leading batch axis, and `transform(inputs, draws)`, which is deterministic.
    `identity(inputs)` is what a sample that the layer leaves alone becomes.

    Args:
        probability: chance that a sample is changed, in [0, 1]; drawn per sample.
        seed: seed of the generator that supplies keys when the layer is called without one.
        **kwargs: arguments of `keras.layers.Layer`, such as `name`.
    """

    def __init__(
        self, probability: Probability = 1.0, seed: Seed | None = None, **kwargs: Any
    ) -> None:
        super().__init__(probability=probability, seed=seed, **kwargs)
        self.seed_generator = keras.random.SeedGenerator(self.seed)
        # By the name of a range, a function that gives its bounds as tensors.
        self.learned: dict[str, Callable[[], tuple[Tensor, Tensor]]] = {}

    def call(self, inputs: Any, key: Tensor | None = None) -> Any:
        """Draw and apply.

        Args:
            inputs: a tensor `(batch, *spatial, channels)`, or several as the layer says.
            key: int32 tensor `(batch, 2)`. None: fresh keys from the layer's generator.

        Returns:
            What `apply` returns for the draws of `sample`.
        """
        first = tree.flatten(inputs)[0]
        if key is None:
            key = random.draw_keys(ops.shape(first)[0], self.seed_generator)
        return self.apply(inputs, self.sample(key, tuple(first.shape)))

    def sample(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw all random numbers that the layer needs.

        Args:
            key: int32 tensor `(batch, 2)`.
            shape: shape of the (first) input, with the batch axis.

        Returns:
            Dict of tensors whose leading axis is the batch. The entry "active" says
            which samples are changed, and is absent if all are.
        """
        check_labels(self, *self.from_table)
        key = random.fold_in(key, self.name)
        draws = self.draw(key, shape)
        if self.probability < 1:
            chance = random.uniform(random.fold_in(key, "active"), ())
            draws["active"] = chance < self.probability
        return draws

    def apply(self, inputs: Any, draws: dict[str, Tensor]) -> Any:
        """Apply draws; pure and deterministic.

        Args:
            inputs: as for `call`.
            draws: as `sample` returns them, possibly edited.

        Returns:
            The changed samples.
        """
        outputs = self.transform(inputs, draws)
        if "active" not in draws:
            return outputs
        return tree.map_structure(
            lambda new, old: ops.where(expand(draws["active"], new), new, old),
            outputs,
            self.identity(inputs),
        )

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw what `transform` needs; implemented by each layer."""
        raise NotImplementedError(f"{type(self).__name__} must implement `draw`")

    def transform(self, inputs: Any, draws: dict[str, Tensor]) -> Any:
        """Apply the draws to every sample; implemented by each layer."""
        raise NotImplementedError(f"{type(self).__name__} must implement `transform`")

    def identity(self, inputs: Any) -> Any:
        """Give the output for samples that are left alone."""
        return tree.map_structure(as_image_or_labels, inputs)

    def uniform(self, key: Tensor, name: str, bounds: Range, shape: tuple = ()) -> Tensor:
        """Draw a named number per sample, uniformly from a range, or from what is learned of it."""
        low, high = self.learned[name]() if name in self.learned else bounds
        return random.uniform(random.fold_in(key, name), shape, low, high)


@functools.cache
def _arguments_of_class(cls: type) -> dict[str, Argument]:
    arguments: dict[str, Argument] = {}
    for base in reversed(cls.__mro__):
        if issubclass(base, SynthesisLayer) and "__init__" in vars(base):
            arguments |= arguments_of(base.__init__)
    return arguments


def known_grid(
    layer: SynthesisLayer, shape: tuple[int | None, ...]
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Give the spatial shape of an input, and mm per voxel and axis.

    Args:
        layer: with a `spacing`.
        shape: shape of the input, with the batch axis.

    Raises:
        ValueError: if the spatial shape is not known.
    """
    spatial = tuple(shape[1:-1])
    if None in spatial:
        raise ValueError(
            f"{layer.name}: the spatial shape must be known. "
            f"Received: an input of shape {tuple(shape)}"
        )
    return spatial, per_axis(layer.spacing, len(spatial))


def expand(x: Tensor, like: Tensor) -> Tensor:
    """Append axes of one to `(batch,)` until it broadcasts with `like`."""
    return ops.reshape(x, (-1,) + (1,) * (len(like.shape) - 1))


def as_image(x: Tensor) -> Tensor:
    """Cast an image to float32.

    Raises:
        ValueError: if it is not one tensor.
    """
    _check_tensor(x)
    return ops.cast(x, "float32")


def as_labels(x: Tensor) -> Tensor:
    """Cast a label map to int32.

    Raises:
        ValueError: if it is not integer: a rounded float may be another label; or not one tensor.
    """
    _check_tensor(x)
    if not _is_integer(x):
        raise ValueError(
            "A label map must be integer, best int32. "
            f"Received: dtype {keras.backend.standardize_dtype(x.dtype)}"
        )
    return ops.cast(x, "int32")


def _check_tensor(x: Any) -> None:
    if isinstance(x, list | tuple | dict):
        raise ValueError(
            "The input must be one tensor; keys are given by name, `layer(x, key=key)`. "
            f"Received: a {type(x).__name__} of {len(x)}"
        )


def as_image_or_labels(x: Tensor) -> Tensor:
    """Cast an image to float32 and a label map to int32."""
    return ops.cast(x, "int32" if _is_integer(x) else "float32")


def _is_integer(x: Any) -> bool:
    dtype = keras.backend.standardize_dtype(x.dtype)
    return "int" in dtype or dtype == "bool"
