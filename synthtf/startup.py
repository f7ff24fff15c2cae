"""Preparing the process: processor cores, Keras and its backend without their chatter."""

import contextlib
import importlib.util
import json
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import IO

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")


_BACKENDS = ("tensorflow", "jax", "torch")


class BackendError(ImportError):
    """Keras, or the backend that it was told to use, cannot be imported."""


def check_backend() -> None:
    """Refuse a backend of Keras that is not installed, before Keras fails on it.

    Raises:
        BackendError: if it is not; the message says what to install.
    """
    name, where = _backend()
    if name not in _BACKENDS:
        raise BackendError(
            f"Keras' backend must be one of {', '.join(_BACKENDS)}. Received: {name!r}; set {where}"
        )
    try:
        found = importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        found = False
    if not found:
        others = " or ".join(other for other in _BACKENDS if other != name)
        raise BackendError(
            f"Keras' backend {name} is not installed: pip install {name}, or set {where} to "
            f"{others}"
        )


def _backend() -> tuple[str, str]:
    """Name of the backend that Keras will use, and where that is set, as Keras itself finds it."""
    variable = "KERAS_BACKEND"
    if os.environ.get(variable):
        return os.environ[variable], variable
    file = Path(os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras")) / "keras.json"
    try:
        name = json.loads(file.read_text(encoding="utf-8")).get("backend")
    except (OSError, ValueError, AttributeError):
        name = None
    return (name, f"{variable}, or `backend` in {file},") if name else (_BACKENDS[0], variable)


def limit_threads(count: int | None) -> None:
    """Limit the processor cores of NumPy and TensorFlow; call it before either is imported.

    Args:
        count: cores to use; None for all.
    """
    if count is not None:
        os.environ.update(dict.fromkeys(_THREADS, str(count)), TF_NUM_INTEROP_THREADS="1")


def hide_gpus() -> None:
    """Work on the processor; call it before TensorFlow is imported."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"


def load_backend() -> None:
    """Import Keras and its backend, silently unless that fails.

    TensorFlow prints some messages before it reads its own log level; they are kept from
    the error stream here, and shown if the import fails. A user who sets
    `TF_CPP_MIN_LOG_LEVEL` below 3 sees all that this level lets through.

    Warns:
        UserWarning: if a GPU is asked for, by `CUDA_VISIBLE_DEVICES`, and TensorFlow finds none.

    Raises:
        BackendError: if Keras or its backend cannot be imported.
    """
    try:
        _import_keras()
        _miss_gpu()
    except BackendError:
        raise
    except ImportError as error:
        raise BackendError(
            f"Keras or its backend cannot be imported: {type(error).__name__}: {error}; install "
            "them again: pip install --force-reinstall keras tensorflow"
        ) from error


def _import_keras() -> None:
    # Several times faster on processors without AVX-512, where TensorFlow leaves it off.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    # A process that was started by one of ours inherits the level 3 set below.
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3") != "3":
        import keras

        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    sys.stderr.flush()
    with _scratch() as chatter:
        stderr = os.dup(2)
        os.dup2(chatter.fileno(), 2)
        try:
            import keras  # noqa: F401
        except BackendError:
            raise
        except BaseException:
            with contextlib.suppress(OSError):
                chatter.seek(0)
                os.write(stderr, chatter.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def _miss_gpu() -> None:
    wanted = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    tensorflow = sys.modules.get("tensorflow")
    if wanted in ("", "-1", "NoDevFiles") or tensorflow is None:
        return
    if not tensorflow.config.list_physical_devices("GPU"):
        warnings.warn(
            f"CUDA_VISIBLE_DEVICES={wanted} asks for a GPU, but TensorFlow finds no GPU: the "
            'processor is used; pip install "tensorflow[and-cuda]", or unset it',
            stacklevel=3,
        )


def _scratch() -> IO[bytes]:
    """A file for what is not shown; nowhere, if there is no folder for temporary files."""
    try:
        return tempfile.TemporaryFile()
    except OSError:
        return open(os.devnull, "r+b")
