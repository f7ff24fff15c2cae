"""Task networks in formats that run without this package."""

import functools
import json
import math
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthtf.data.own_files import refuse_foreign_folder
from synthtf.data.whole_files import write_whole
from synthtf.version import __version__

if TYPE_CHECKING:
    import keras

    from synthtf.runs.run import Run

FORMATS = {
    "savedmodel": ("saved_model", "tf_saved_model", "tensorflow"),
    "onnx": ("model.onnx", "onnx", "tf2onnx"),
    "litert": ("model.tflite", "litert", "tensorflow"),
}
"""For each format, the name of its file, its name in Keras, and the library it needs."""

FACTS = "network.json"
_TABLE = "labels.tsv"


def export_run(model: Any, folder: str | os.PathLike, kind: str = "savedmodel") -> Path:
    """Write the task network of a run in a format that runs without synthtf and Keras.

    Spatial sizes stay free. Next to the network, `network.json` describes its inputs and outputs,
    and `labels.tsv` its labels.

    Args:
        model: a training run, its folder or name, or a model that `fit` trained.
        folder: output folder; made if absent. An earlier export is replaced.
        kind: one of `FORMATS`.

    Returns:
        Path of the network: a folder for a SavedModel, else a file.

    Warns:
        UserWarning: if the format is not exact for this network; see the README.

    Raises:
        ValueError: if the format is unknown, its library is not installed, the backend is not
            TensorFlow, or the folder holds files of these names that are of no export.
    """
    import keras

    from synthtf.networks import has_mixture
    from synthtf.runs.run import as_run

    run = as_run(model)
    if kind not in FORMATS:
        raise ValueError(f"`kind` must be one of {tuple(FORMATS)}. Received: kind={kind!r}")
    name, keras_name, library = FORMATS[kind]
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "only the TensorFlow backend exports networks with free sizes; set "
            "KERAS_BACKEND=tensorflow"
        )
    _need(library, kind)
    refuse_foreign_folder(folder, FACTS, (name, _TABLE))
    model = run.task_model
    path = Path(folder) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind != "savedmodel" and has_mixture(model):
        warnings.warn(
            f"{run.name}: has a Gaussian mixture: labels of its {kind} export can differ from "
            "its own; use a SavedModel, or compare first",
            stacklevel=2,
        )
    if kind != "savedmodel":
        model = _portable(model, pooling=kind == "litert")
    _call(model, run.multiple)
    model.export(path, format=keras_name, verbose=False)
    write_whole(path.parent / FACTS, (json.dumps(_facts(run), indent=2) + "\n").encode())
    run.table.write(path.parent / _TABLE)
    return path


def _portable(model: "keras.Model", pooling: bool) -> "keras.Model":
    """Return the same network in a form that other libraries run accurately.

    Args:
        model: the network.
        pooling: also replace pooling in 3D, which LiteRT lacks.
    """
    import keras
    from keras import ops

    kinds = {keras.layers.MaxPooling3D: "maximum", keras.layers.AveragePooling3D: "add"}

    class SlicedPooling(keras.layers.Layer):
        """Pooling by comparing, or adding, strided slices, with "valid" padding."""

        def __init__(self, pooling: keras.layers.Layer) -> None:
            super().__init__(name=pooling.name, dtype=pooling.dtype_policy)
            self.combine = getattr(ops, kinds[type(pooling)])
            self.is_mean = kinds[type(pooling)] == "add"
            self.pool_size, self.strides = pooling.pool_size, pooling.strides

        def call(self, x: "keras.KerasTensor") -> "keras.KerasTensor":
            # One axis after the other, which gives the same maximum and mean.
            for axis, (size, stride) in enumerate(zip(self.pool_size, self.strides, strict=True)):
                before = (slice(None),) * (axis + 1)
                end = ops.shape(x)[axis + 1] - size + 1
                parts = [x[(*before, slice(i, end + i, stride), ...)] for i in range(size)]
                x = functools.reduce(self.combine, parts)
            return x / math.prod(self.pool_size) if self.is_mean else x

    class AxiswiseNormalization(keras.layers.GroupNormalization):
        """Instance normalisation with means along one axis after the other.

        Sums over all voxels at once lose precision in float32.
        """

        def call(self, x: "keras.KerasTensor") -> "keras.KerasTensor":
            centred = x - _mean(x)
            result = centred * ops.rsqrt(_mean(ops.square(centred)) + self.epsilon)
            result = result * self.gamma if self.scale else result
            return result + self.beta if self.center else result

    def _mean(x: "keras.KerasTensor") -> "keras.KerasTensor":
        for axis in range(1, len(x.shape) - 1):
            x = ops.mean(x, axis=axis, keepdims=True)
        return x

    def replaced(layer: keras.layers.Layer) -> keras.layers.Layer:
        if pooling and type(layer) in kinds:
            return SlicedPooling(layer)
        kind = type(layer)
        if kind is keras.layers.GroupNormalization:
            channels = layer.input_spec.axes[layer.axis]
            kind = AxiswiseNormalization if layer.groups == channels else kind
        return kind.from_config(layer.get_config())

    clone = keras.models.clone_model(model, clone_function=replaced, recursive=True)
    clone.set_weights(model.get_weights())
    return clone


def _call(model: "keras.Model", size: int) -> None:
    """Call a model once: Keras cannot export a model to ONNX before its first call."""
    import numpy as np

    inputs = {x.name: np.zeros([n or size for n in x.shape], "float32") for x in model.inputs}
    model(inputs if isinstance(model.input, dict) else next(iter(inputs.values())))


def _need(library: str, kind: str) -> None:
    import importlib.util

    if importlib.util.find_spec(library) is None:
        raise ValueError(f'the format {kind} needs {library}: pip install "synthtf[export]"')


def _facts(run: "Run") -> dict:
    """Return what users of the network need to know without this package."""
    model = run.task_model
    inputs = model.input if isinstance(model.input, dict) else {model.inputs[0].name: model.input}
    outputs = model.output if isinstance(model.output, dict) else {"output_0": model.output}
    return {
        "synthtf": __version__,
        "task": run.task,
        "inputs": {name: list(x.shape) for name, x in inputs.items()},
        "outputs": {name: list(x.shape) for name, x in outputs.items()},
        "orientation": "RAS",
        "spacing_mm": list(run.spacing),
        "multiple": run.multiple,
        "intensities": "0.5th and 99.5th percentile mapped to 0 and 1, clipped",
        "output_labels": list(run.output_labels),
    }
