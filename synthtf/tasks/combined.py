"""One Keras model that synthesises and learns."""

from typing import Any

import keras

from synthtf import xla
from synthtf.tasks.step_cost import warn_of_cost

Tensor = Any

# Arguments of `compile` that a task decides on.
_OF_THE_TASK = ("loss", "loss_weights", "metrics", "weighted_metrics")


class CombinedModel(keras.Model):
    """A synthesis model that feeds a task network, trained as one; abstract.

    `fit` needs no targets: they come from the synthesis. A subclass implements
    `connect(samples, network)`, the outputs of the model for symbolic synthetic samples, and
    `objective(outputs)`, the loss. `task_model` is what remains for inference.

    Args:
        synthesis: model from label maps and keys to a dict of images and targets.
        task_model: the network to train.
        network: what is applied to the synthetic samples, if not `task_model` itself: a
            model that shares its layers.
        **kwargs: of `keras.Model`, such as `name`.

    Attributes:
        maps_per_sample: rows of a batch of `synthtf.data.LabelMaps` that make one sample.
    """

    maps_per_sample = 1

    def __init__(
        self,
        synthesis: keras.Model,
        task_model: keras.Model,
        network: keras.Model | None = None,
        **kwargs: Any,
    ) -> None:
        inputs = {
            name: keras.Input(batch_shape=x.shape, dtype=x.dtype, name=name)
            for name, x in synthesis.input.items()
        }
        outputs = self.connect(synthesis(inputs), network or task_model)
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.synthesis = xla.choose(synthesis)
        self.task_model = xla.choose(task_model)

    @staticmethod
    def connect(samples: dict[str, Tensor], network: keras.Model) -> dict[str, Tensor]:
        """Give the outputs that the objective needs; implemented by each task."""
        raise NotImplementedError("a task must implement `connect`")

    def objective(self, outputs: dict[str, Tensor]) -> Tensor:
        """Give the scalar loss of a batch; implemented by each task."""
        raise NotImplementedError(f"{type(self).__name__} must implement `objective`")

    def update_metrics(self, outputs: dict[str, Tensor]) -> None:
        """Update the metrics that the task tracks; none by default."""

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        *,
        metrics: Any = None,
        jit_compile: bool | str = "auto",
        **kwargs: Any,
    ) -> None:
        """Configure training as `keras.Model.compile` does, but for the loss and the metrics.

        "auto" does not use XLA on TensorFlow without a GPU, where the gathers of the
        synthesis make it many times slower than the plain graph.

        Raises:
            ValueError: if a loss or metrics are given: the task has its own.
        """
        weights = {name: kwargs.get(name) for name in ("loss_weights", "weighted_metrics")}
        _refuse({"loss": loss, "metrics": metrics, **weights})
        if jit_compile == "auto" and not xla.pays():
            jit_compile = False
        super().compile(optimizer, jit_compile=jit_compile, **kwargs)

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        *args: Any,
        class_weight: Any = None,
        sample_weight: Any = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Train as `keras.Model.fit` does, on label maps and keys alone.

        Warns first if a step will take long, unless `verbose` is 0.

        Raises:
            ValueError: if targets or weights are given: the targets come from the synthesis.
        """
        _refuse({"y": y, "class_weight": class_weight, "sample_weight": sample_weight})
        warn_of_cost(self, x, verbose)
        return super().fit(x, None, batch_size, epochs, verbose, *args, **kwargs)

    def make_train_function(self, force: bool = False) -> Any:
        """Build the optimizer, without which TensorFlow would trace the graph twice."""
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        return super().make_train_function(force)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile a loaded model as it was compiled before."""
        config = keras.saving.deserialize_keras_object(config)
        # Older versions took them, without effect.
        self.compile(**{name: value for name, value in config.items() if name not in _OF_THE_TASK})
        self.optimizer.build(self.trainable_variables)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        """Give the objective plus the regularisation losses of the layers."""
        _refuse({"y": y, "sample_weight": sample_weight})
        loss = self.objective(y_pred)
        for extra in self.losses:
            loss = loss + keras.ops.sum(keras.ops.cast(extra, loss.dtype))
        return loss

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Update and return the metrics."""
        self.update_metrics(y_pred)
        return self.get_metrics_result()

    def get_config(self) -> dict[str, Any]:
        """Give the two models; a task adds its own arguments."""
        return {
            "synthesis": keras.saving.serialize_keras_object(self.synthesis),
            "task_model": keras.saving.serialize_keras_object(self.task_model),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "CombinedModel":
        """Rebuild the two models and connect them."""
        config = {
            name: keras.saving.deserialize_keras_object(value, custom_objects)
            if isinstance(value, dict) and "class_name" in value
            else value
            for name, value in config.items()
        }
        return cls(**config)


def _refuse(arguments: dict[str, Any]) -> None:
    """Refuse arguments of Keras that would have no effect, if they are given."""
    for name, value in arguments.items():
        if value is not None:
            raise ValueError(
                f"`{name}` must be left out: the targets and the objective come from the "
                "synthesis; choose the objective by the arguments of the task, such as `loss` of "
                f"`segmentation`. Received: {name}={value!r}"
            )
