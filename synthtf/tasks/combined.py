"""One Keras model that synthesises and learns."""

from typing import Any

import keras

from synthtf import xla

Tensor = Any


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

    def compile(self, *args: Any, jit_compile: bool | str = "auto", **kwargs: Any) -> None:
        """Configure training as `keras.Model.compile` does.

        "auto" does not use XLA on TensorFlow without a GPU, where the gathers of the
        synthesis make it many times slower than the plain graph.
        """
        if jit_compile == "auto" and not xla.pays():
            jit_compile = False
        super().compile(*args, jit_compile=jit_compile, **kwargs)

    def make_train_function(self, force: bool = False) -> Any:
        """Build the optimizer, without which TensorFlow would trace the graph twice."""
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        return super().make_train_function(force)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile a loaded model as it was compiled before."""
        self.compile(**keras.saving.deserialize_keras_object(config))
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
