"""One Keras model that synthesises and learns."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from types import GeneratorType
from typing import Any

import keras
from keras import tree

from synthtf import xla
from synthtf.data.label_maps import LabelMaps
from synthtf.runs.run import Run
from synthtf.training.devices import (
    num_replicas,
    share_among_processes,
    share_statistics,
)
from synthtf.training.step_cost import warn_of_cost

Tensor = Any


class CombinedModel(keras.Model):
    """A synthesis model that feeds a task network, trained as one; abstract.

    `fit` needs no targets: they come from the synthesis. A subclass implements
    `connect(samples, network)`, the outputs of the model for symbolic synthetic samples, and
    `objective(outputs)`, the losses. `task_model` is what remains for inference.

    Args:
        synthesis: model from label maps and keys to a dict of images and targets.
        task_model: the network to train.
        network: what is applied to the synthetic samples, if not `task_model` itself: a
            model that shares its layers.
        **kwargs: of `keras.Model`, such as `name`.

    Attributes:
        maps_per_sample: rows of a batch of `synthtf.data.LabelMaps` that make one sample.
        output_labels: label value of each channel of what the network learns.
        facts: what `run.json` shall say besides the options of the task.
        warm_up: epochs of a training into a run folder that begin it with another objective.
        warming_up: whether these go on; set before `compile`.
    """

    maps_per_sample = 1
    output_labels: tuple[int, ...] = ()
    facts: Mapping[str, Any] = {}
    warm_up = 0
    warming_up = False

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
        share_statistics(task_model)
        outputs = self.connect(synthesis(inputs), network or task_model)
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.synthesis = xla.choose(synthesis)
        self.task_model = xla.choose(task_model)
        self._run: Run | None = None

    def describe(self, table: Any, recipe: Any, facts: Mapping[str, Any]) -> None:
        """Say what the model was made from, so that it can be used and kept as a run.

        Args:
            table: label table of the maps.
            recipe: of the synthesis.
            facts: what `run.json` shall say.
        """
        self._run = Run(None, table, recipe, dict(facts), self.task_model)

    @property
    def run(self) -> Run:
        """The model as a run in memory.

        Raises:
            ValueError: if it does not know what it was made from: no function of `synthtf.tasks`
                made it.
        """
        if self._run is None:
            raise ValueError(
                f"{self.name!r} does not know its label table and recipe: make it with a function "
                "of `synthtf.tasks`"
            )
        return self._run

    def save_run(self, folder: str | os.PathLike) -> Run:
        """Write the trained network with all that is needed to use it.

        Args:
            folder: made if it does not exist; gets the network, the recipe, the label table and
                `run.json`.

        Returns:
            The run, as `synthtf.runs.Run.load` reads it from the folder.
        """
        saved = self.run.save(folder)
        if getattr(self, "optimizer", None) is not None:
            saved.update(steps_done=int(keras.ops.convert_to_numpy(self.optimizer.iterations)))
        return saved

    def on_samples(self) -> "CombinedModel":
        """Give a model of the same task that learns from samples instead of label maps.

        It shares the network and the objective, and takes what `synthesis` gives: for a loop of
        one's own, or for samples that other processes have made (`synthtf.streams`).
        """
        inputs = {
            name: keras.Input(batch_shape=x.shape, dtype=x.dtype, name=name)
            for name, x in self.synthesis.output.items()
        }
        same = {name: keras.layers.Identity(dtype=x.dtype)(x) for name, x in inputs.items()}
        config = self.get_config()
        # The networks themselves, with their weights, instead of what a file would hold of them.
        own = {name: vars(self).get(name) for name in config}
        networks = {name: part for name, part in own.items() if isinstance(part, keras.Model)}
        networks["synthesis"] = keras.Model(inputs, same)
        return type(self).from_config({**config, **networks})

    @staticmethod
    def connect(samples: dict[str, Tensor], network: keras.Model) -> dict[str, Tensor]:
        """Give the outputs that the objective needs; implemented by each task."""
        raise NotImplementedError("a task must implement `connect`")

    def objective(self, outputs: dict[str, Tensor]) -> Tensor:
        """Give the loss of each sample, `(batch,)`; implemented by each task.

        A scalar is taken for what a loss of Keras gives, which has been divided by the number of
        replicas.
        """
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
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Train as `keras.Model.fit` does, on label maps and keys alone.

        Warns first if a step will take long, unless `verbose` is 0. Synthesis has no end: with
        `LabelMaps`, `steps_per_epoch` and `validation_steps` may be any numbers, and give the
        samples of data sets of so many batches.

        Raises:
            ValueError: if targets or weights are given: the targets come from the synthesis.
        """
        _refuse({"y": y, "class_weight": class_weight, "sample_weight": sample_weight})
        if isinstance(validation_data, list | tuple):
            _refuse({"validation_data": (validation_data[1:] or None) and validation_data})
            validation_data = validation_data[0]
        warn_of_cost(self, x, verbose)
        self._initial_epoch = None  # that of a backup which an earlier call restored
        if isinstance(x, LabelMaps):
            # Wherever the number comes from: CallbackList is Keras' own container.
            restored = _RestoredEpoch(x, initial_epoch)
            if isinstance(callbacks, keras.callbacks.CallbackList):
                callbacks.append(restored)
            else:
                callbacks = [*tree.flatten(callbacks or []), restored]
        with (
            _in_epochs_of(x, steps_per_epoch) as steps,
            _in_epochs_of(validation_data, validation_steps) as validation,
        ):
            return super().fit(
                x,
                batch_size=batch_size,
                epochs=epochs,
                verbose=verbose,
                callbacks=callbacks,
                validation_split=validation_split,
                validation_data=validation_data,
                shuffle=shuffle and not isinstance(x, GeneratorType),
                initial_epoch=initial_epoch,
                steps_per_epoch=steps,
                validation_steps=validation,
                **kwargs,
            )

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Evaluate as `keras.Model.evaluate` does, on label maps and keys alone; see `fit`."""
        _refuse({"y": y, "sample_weight": sample_weight})
        with _in_epochs_of(x, steps) as steps:
            return super().evaluate(
                x, batch_size=batch_size, verbose=verbose, steps=steps, **kwargs
            )

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Predict as `keras.Model.predict` does, on label maps and keys; see `fit`."""
        with _in_epochs_of(x, steps) as steps:
            return super().predict(x, batch_size, verbose, steps, **kwargs)

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, **kw: Any
    ) -> Any:
        """Train as `keras.Model.train_on_batch` does, on label maps and keys alone."""
        _refuse({"y": y, "sample_weight": sample_weight, "class_weight": class_weight})
        return super().train_on_batch(x, **kw)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, **kw: Any) -> Any:
        """Evaluate as `keras.Model.test_on_batch` does, on label maps and keys alone."""
        _refuse({"y": y, "sample_weight": sample_weight})
        return super().test_on_batch(x, **kw)

    def _run_through_graph(self, inputs: Any, **functions: Any) -> Any:
        # Called by Keras; with both functions by `clone_model` alone.
        if len(functions) == 2:
            name = type(self).__name__
            raise ValueError(
                f"`keras.models.clone_model` would lose the objective of a {name}: call "
                f"{name}.from_config(model.get_config()). Received: model={self.name!r}"
            )
        return super()._run_through_graph(inputs, **functions)

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
        _refuse({"y": y, "sample_weight": sample_weight})
        loss = self.objective(y_pred)
        if len(loss.shape):
            loss = keras.ops.mean(loss) / num_replicas()
        for extra in self.losses:
            loss = loss + keras.ops.sum(keras.ops.cast(extra, loss.dtype)) / num_replicas()
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
            "run": self._run and self._run.to_texts(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "CombinedModel":
        """Rebuild the two models and connect them."""
        texts = config.get("run")
        config = {name: value for name, value in config.items() if name != "run"}
        config = {
            name: keras.saving.deserialize_keras_object(value, custom_objects)
            if isinstance(value, dict) and "class_name" in value
            else value
            for name, value in config.items()
        }
        model = cls(**config)
        if texts is not None:
            model._run = Run.from_texts(texts, model.task_model)
        return model


class _RestoredEpoch(keras.callbacks.Callback):
    """Tell label maps where `BackupAndRestore` resumes, so that their numbers go on."""

    def __init__(self, maps: LabelMaps, first: int) -> None:
        super().__init__()
        self.maps, self.first = maps, first

    def on_train_begin(self, logs: Any = None) -> None:
        """Set the epoch, which `fit` has ended once already."""
        restored = self.model._initial_epoch or 0
        if restored > self.first:
            self.maps.epoch = max(self.maps.epoch, restored + 1)


@contextlib.contextmanager
def _in_epochs_of(maps: Any, steps: int | None) -> Iterator[int | None]:
    """Let label maps have epochs of so many steps; give what is left for Keras to do."""
    if not isinstance(maps, LabelMaps):
        yield steps
        return
    epochs = contextlib.nullcontext() if steps is None else maps.in_epochs_of(steps)
    with share_among_processes(maps), epochs:
        yield None


def _refuse(arguments: dict[str, Any]) -> None:
    """Refuse arguments of Keras that would have no effect, if they are given."""
    for name, value in arguments.items():
        if value is not None:
            raise ValueError(
                f"`{name}` must be left out: the targets come from the synthesis, and the "
                "objective from the options of the task. "
                f"Received: {name}={value!r}"
            )
