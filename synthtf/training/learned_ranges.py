"""Ranges of a recipe that are learned, so that synthetic images come to serve real ones."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import keras
import numpy as np

from synthtf.data.label_maps import LabelMaps
from synthtf.layers.base import RandomLayer
from synthtf.ranges import as_number, as_whole
from synthtf.synthesis import random_steps

Tensor = Any

_STEP = 1e-2  # of the weights, along the gradient, before the real loss is asked for
_DIFFERENCE = 1e-2  # length of the change of the weights that the finite difference takes


@dataclass(frozen=True)
class LearnedRange:
    """A range that is learned.

    Attributes:
        name: dotted name, such as "noise.std".
        layers: layers that draw from it.
        start: lowest and highest value at first.
        limits: smallest and largest value allowed.
        moved: variable with the distance of both from the start, in widths of the range.
    """

    name: str
    layers: tuple[RandomLayer, ...]
    start: tuple[float, float]
    limits: tuple[float, float]
    moved: keras.Variable

    @property
    def width(self) -> float:
        """Unit of what is learned: the width at first, or the value where there is none."""
        low, high = self.start
        return high - low or abs(high) or 1.0

    def bounds(self) -> tuple[Tensor, Tensor]:
        """Give the lowest and the highest value as tensors."""
        low, high = self.start
        return low + self.width * self.moved[0], high + self.width * self.moved[1]

    def values(self) -> tuple[float, float]:
        """Give the lowest and the highest value now."""
        low, high = (float(keras.ops.convert_to_numpy(bound)) for bound in self.bounds())
        return low, high

    def project(self) -> None:
        """Bring the values back into their limits, and into their order."""
        low, high = np.clip(self.values(), *self.limits).tolist()
        if low > high:
            low = high = (low + high) / 2
        moved = [(x - first) / self.width for x, first in zip((low, high), self.start, strict=True)]
        self.moved.assign(moved)


class LearnRanges(keras.callbacks.Callback):
    """Learn ranges of the synthesis from a few real images, as a network trains on synthetic ones.

    The network never learns from the real images. In turn with its steps, a step of the ranges
    asks: would the network be better on the real images, had it made its step on samples from
    other ranges? With the synthetic loss `L(w, r)` of weights `w` and ranges `r`, its gradient `g =
    dL/dw`, the real loss `R(w)`, and the weights `w' = w - a g / |g|` after one step of a length
    that does not depend on the gradient, as the steps of Adam and Muon,

        dR(w')/dr = -a/|g| dg/dr v,   v: the part of dR(w')/dw that is orthogonal to g,
                  = -a/|g| [dL/dr (w + e v) - dL/dr (w - e v)] / 2 e,

    by a central difference on the same keys. Adam follows this gradient. A range must be one that
    changes the image smoothly, such as "noise.std", "bias.drop", "blur.std" or "gamma.gamma".

    As the training ends, the recipe of `model.run`, which `save_run` keeps, has the learned ranges.

    Args:
        names: dotted names of ranges of the recipe; `recipe.ranges()` lists them.
        real: "image" and "labels" of the real images, arrays `(num, *shape, 1)`: on the grid of
            the synthetic ones, images in [0, 1], and labels those of the targets.
        maps: label maps for the steps of the ranges, of another seed than those of the training.
        learning_rate: of the ranges, in widths of the range at first.
        every: steps of the network per step of the ranges.

    Raises:
        ValueError: if there is no such range, the real images do not fit, or the backend is not
            TensorFlow; in `fit`, if a range has no gradient.

    Reference: Hu et al., Learn2Synth: learning optimal data synthesis using hypergradients, 2024,
        in its parametric form, there with a plain step of gradient descent, which rewards ranges
        for large gradients alone; the central difference is that of Liu et al., DARTS, ICLR 2019.
    """

    def __init__(
        self,
        names: Sequence[str],
        real: Mapping[str, np.ndarray],
        maps: LabelMaps,
        learning_rate: float = 0.05,
        every: int = 1,
    ) -> None:
        super().__init__()
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                "ranges are learned on TensorFlow; set KERAS_BACKEND to it. "
                f"Received: the backend {keras.backend.backend()}"
            )
        self.names, self.maps = tuple(names), maps
        self.real = {name: np.asarray(real[name]) for name in ("image", "labels")}
        if len({len(values) for values in self.real.values()}) > 1 or not len(self.real["image"]):
            sizes = {name: values.shape for name, values in self.real.items()}
            raise ValueError(f"`real` must have a label map for each image. Received: real={sizes}")
        self.every = as_whole(every, "every", 1)
        rate = as_number(learning_rate, "learning_rate", 0)
        self.optimizer = keras.optimizers.Adam(rate, beta_1=0.5, beta_2=0.9)
        self.ranges: tuple[LearnedRange, ...] = ()
        self._step: Callable[..., Any] | None = None

    def values(self) -> dict[str, tuple[float, float]]:
        """Give the ranges as they are now, by name."""
        return {found.name: found.values() for found in self.ranges}

    def on_train_begin(self, logs: Any = None) -> None:
        """Let the layers of the synthesis draw from what is learned."""
        import tensorflow as tf

        if not self.ranges:
            self.ranges = tuple(_learned(self.model, name) for name in self.names)
            self.optimizer.build([found.moved for found in self.ranges])
            self._learner = self.model.on_samples()
            self._batches, self._reals = self._synthetic(), self._real()
            self._step = tf.function(self._hypergradient, autograph=False)
        for found in self.ranges:
            for layer in found.layers:
                layer.learned[found.name.partition(".")[2]] = found.bounds
        # Of an earlier `fit`, it would draw from what it knew then.
        self.model.make_train_function(force=True)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Make a step of the ranges.

        Raises:
            ValueError: if a range has no gradient.
        """
        if (batch + 1) % self.every:
            return
        gradients = self._step(next(self._batches), next(self._reals))
        self.optimizer.apply(gradients, [found.moved for found in self.ranges])
        for found in self.ranges:
            found.project()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Put the ranges into the log."""
        for name, (low, high) in self.values().items() if logs is not None else ():
            logs |= {f"{name}.low": low, f"{name}.high": high}

    def on_train_end(self, logs: Any = None) -> None:
        """Give the layers, and the recipe of the model, the ranges as they are now."""
        run = self.model.run
        for name, values in self.values().items():
            step, _, argument = name.partition(".")
            run.recipe = run.recipe.change(step, **{argument: values})
        for found in self.ranges:
            argument = found.name.partition(".")[2]
            for layer in found.layers:
                setattr(layer, argument, found.values())
                del layer.learned[argument]
        self.model.make_train_function(force=True)

    def _synthetic(self) -> Iterator[dict[str, np.ndarray]]:
        while True:
            yield from (batch for (batch,) in self.maps)
            self.maps.on_epoch_end()

    def _real(self) -> Iterator[dict[str, np.ndarray]]:
        size = self.maps.batch_size // self.model.maps_per_sample
        order = cycle(range(len(self.real["image"])))
        while True:
            chosen = [next(order) for _ in range(size)]
            image = self.real["image"][chosen].astype("float32")
            yield {"image": image, "labels": self.real["labels"][chosen].astype("int32")}

    def _hypergradient(self, batch: Any, real: Any) -> list[Tensor]:
        """Give the gradient of the real loss for the ranges, through one step of the weights."""
        import tensorflow as tf

        weights = self.model.task_model.trainable_variables
        moved = [found.moved for found in self.ranges]
        before = [tf.identity(weight.value) for weight in weights]

        def gradients(model: Any, inputs: Any, variables: Sequence[Any]) -> list[Tensor]:
            with tf.GradientTape() as tape:
                loss = model.compute_loss(y_pred=model(inputs, training=True))
            return tape.gradient(loss, [variable.value for variable in variables])

        def move(directions: Sequence[Tensor], length: Any) -> None:
            for weight, first, direction in zip(weights, before, directions, strict=True):
                weight.assign(first + length * tf.cast(direction, first.dtype))

        steepest = _known(gradients(self.model, batch, weights), before)
        move(steepest, -_STEP * tf.linalg.global_norm(before) / _length(steepest))
        wanted = _orthogonal(_known(gradients(self._learner, real, weights), before), steepest)
        ends = []
        for sign in (1.0, -1.0):
            move(wanted, sign * _DIFFERENCE / _length(wanted))
            ends.append(gradients(self.model, batch, moved))
        move(wanted, 0.0)
        for found, end in zip(self.ranges, ends[0], strict=True):
            if end is None:
                raise ValueError(
                    f"`names` must be ranges that change the image smoothly, such as noise.std. "
                    f"Received: {found.name}"
                )
        return [behind - ahead for ahead, behind in zip(*ends, strict=True)]


def _learned(model: Any, name: str) -> LearnedRange:
    """Find the layers of a range, and make its variable."""
    step, _, argument = name.partition(".")
    known = model.run.recipe.ranges()
    found = tuple(layer for layer, _ in random_steps(model.synthesis) if layer.name == step)
    if name not in known or not found or not isinstance(getattr(found[0], argument), tuple):
        wide = [n for n, limited in known.items() if limited.low != limited.high]
        raise ValueError(
            f"`names` must be ranges of the recipe, such as {', '.join(wide[:3])}. Received: {name}"
        )
    limited = known[name]
    moved = keras.Variable([0.0, 0.0], dtype="float32", name=name.replace(".", "_"))
    limits = (limited.minimum, limited.maximum)
    return LearnedRange(name, found, getattr(found[0], argument), limits, moved)


def _known(gradients: Sequence[Tensor | None], like: Sequence[Tensor]) -> list[Tensor]:
    """Zero where a weight has no part in the loss."""
    pairs = zip(gradients, like, strict=True)
    return [keras.ops.zeros_like(x) if g is None else keras.ops.cast(g, x.dtype) for g, x in pairs]


def _orthogonal(tensors: Sequence[Tensor], to: Sequence[Tensor]) -> list[Tensor]:
    """Take away what lies along other tensors, each list as one vector."""
    along = sum(keras.ops.sum(x * y) for x, y in zip(tensors, to, strict=True)) / _length(to) ** 2
    return [x - along * y for x, y in zip(tensors, to, strict=True)]


def _length(tensors: Sequence[Tensor]) -> Tensor:
    """Length of all tensors as one vector, not 0."""
    squares = [keras.ops.sum(keras.ops.square(keras.ops.cast(x, "float32"))) for x in tensors]
    return keras.ops.maximum(keras.ops.sqrt(sum(squares)), 1e-12)
