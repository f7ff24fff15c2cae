"""Preparing the process: processor cores, Keras and its backend without their chatter."""

import os
import sys
import tempfile

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")


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
    """
    # Several times faster on processors without AVX-512, where TensorFlow leaves it off.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    # A process that was started by one of ours inherits the level 3 set below.
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3") != "3":
        import keras

        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    sys.stderr.flush()
    with tempfile.TemporaryFile() as chatter:
        stderr = os.dup(2)
        os.dup2(chatter.fileno(), 2)
        try:
            import keras  # noqa: F401
        except BaseException:
            chatter.seek(0)
            os.write(stderr, chatter.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
