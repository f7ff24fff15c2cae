"""Files of networks that every version of Keras can read, and that are checked before they are.

A newer Keras adds arguments to its classes, and saves them even where they are left out; an older
one refuses what it does not know. An argument that says no more than the default is not written,
and is passed over where another version wrote it.
"""

import functools
import inspect
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras

from synthtf.data.hdf5 import tensors, values_of
from synthtf.data.whole_files import check_archive
from synthtf.runs.unused import discard_unused_networks

_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_INITIALIZERS = "keras.initializers"
_UNKNOWN = object()


def write_network(network: keras.Model, path: str | os.PathLike) -> None:
    """Write a network so that older versions of Keras can read it too.

    Args:
        network: the network.
        path: path of the .keras file.

    Raises:
        OSError: if the file cannot be written.
    """
    network.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = _map_configs(json.loads(members[_CONFIG]), _without_defaults)
    members[_CONFIG] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def read_network(path: str | os.PathLike) -> keras.Model:
    """Read a network that this or another version of Keras wrote, not to be trained on as it is.

    Args:
        path: path of the .keras file.

    Returns:
        The network, not compiled.

    Raises:
        ValueError: if the file is damaged, is no model that is safe to load, holds weights that
            were not written, or needs a newer Keras; the message names the versions.
    """
    check_archive(path)
    discard_unused_networks()
    versions = ""
    try:
        with zipfile.ZipFile(path) as archive:
            versions = _versions(json.loads(archive.read(_METADATA)))
            written = json.loads(archive.read(_CONFIG))
            weights = archive.read(_WEIGHTS)
        config = _map_configs(written, _without_unknown)
        _check_weights(weights, str(path))
        load = functools.partial(keras.models.load_model, compile=False, safe_mode=True)
        if config == written:
            network = load(path)
        else:
            with tempfile.TemporaryDirectory() as folder:
                copy = Path(folder) / "model.keras"
                with zipfile.ZipFile(copy, "w") as archive:
                    archive.writestr(_CONFIG, json.dumps(config))
                    archive.writestr(_METADATA, "{}")
                    archive.writestr(_WEIGHTS, weights)
                network = load(copy)
        _check_kernels(network)
    # A damaged or hostile config makes Keras raise almost anything.
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        reason = reason.removeprefix(f"{path}: ")
        raise ValueError(f"{path}: not a model that can be loaded, {reason}{versions}") from error
    return network


def _versions(metadata: dict[str, Any]) -> str:
    """Say which Keras wrote a file, if it is not this one."""
    written = str(metadata.get("keras_version"))[:20]
    if written == keras.__version__:
        return ""
    advice = ""
    if _numbers(written) > _numbers(keras.__version__):
        advice = f"; pip install 'keras>={written}' if the file is whole"
    return f" (written by Keras {written}, and this is Keras {keras.__version__}{advice})"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3] if part.isdigit())


def _check_weights(data: bytes, path: str) -> None:
    """Refuse weights that were not written, or are not numbers of a network."""
    nonzero, found = False, False
    with h5py.File(io.BytesIO(data), "r") as file:
        for _, dataset in tensors(file, path):
            if dataset.dtype.kind == "f":
                values = values_of(dataset, path)
                found |= values.ndim > 1
                nonzero |= values.ndim > 1 and bool(values.any())
    if found and not nonzero:
        raise ValueError("its weights are all zero: they were never written")


def _check_kernels(network: keras.Model) -> None:
    """Refuse a kernel of zeros, unless it starts as zeros."""
    for layer in network._flatten_layers(include_self=False):
        kernel = getattr(layer, "kernel", None)
        start = getattr(layer, "kernel_initializer", None)
        started = isinstance(start, keras.initializers.Zeros | keras.initializers.Constant)
        if kernel is None or start is None or started:
            continue
        if not bool(keras.ops.any(keras.ops.not_equal(kernel, 0))):
            raise ValueError(f"the kernel of {layer.name} is all zero: it was never written")


def _map_configs(value: Any, change: Callable[[str, str, dict], dict]) -> Any:
    """Change the arguments of each class of Keras in a config: module, name, arguments."""
    if isinstance(value, list):
        return [_map_configs(item, change) for item in value]
    if not isinstance(value, dict):
        return value
    value = {key: _map_configs(item, change) for key, item in value.items()}
    module, name = value.get("module"), value.get("class_name")
    named = isinstance(module, str) and isinstance(name, str)
    if named and module.split(".")[0] == "keras" and isinstance(value.get("config"), dict):
        value["config"] = change(module, name, value["config"])
    return value


def _without_defaults(module: str, name: str, arguments: dict) -> dict:
    """Leave out what is None or False by default and is so here: older classes may lack it."""
    known = _arguments_of(module, name)
    return {
        key: value
        for key, value in arguments.items()
        if known is None or not (value is None or value is False) or known.get(key) is not value
    }


def _without_unknown(module: str, name: str, arguments: dict) -> dict:
    """Leave out what this Keras does not know, where it is None, False or how weights started."""
    known = _arguments_of(module, name)
    if known is None:
        return arguments
    return {
        key: value
        for key, value in arguments.items()
        if key in known or not (value is None or value is False or module == _INITIALIZERS)
    }


@functools.lru_cache(maxsize=500)
def _arguments_of(module: str, name: str) -> dict[str, Any] | None:
    """Arguments of a public class of Keras and their defaults; None if there is no such class."""
    found: Any = keras
    for part in [*module.split(".")[1:], name]:
        found = getattr(found, part, None)
    if not inspect.isclass(found) or ".src." in module:
        return None
    arguments: dict[str, Any] = {}
    for parent in found.__mro__:
        if "__init__" in vars(parent) and parent is not object:
            for key, parameter in inspect.signature(parent.__init__).parameters.items():
                default = parameter.default
                arguments.setdefault(
                    key, _UNKNOWN if default is inspect.Parameter.empty else default
                )
    return arguments
