"""Train neuroimaging networks on images synthesised from label maps alone.

A chain of random Keras layers turns a label map into an image of arbitrary
contrast and the target that goes with it; a task network learns from the pair
inside the same Keras model and is then used alone on real scans.

Submodules load on first use, so that ``import synthtf`` is instant and works
without TensorFlow.
"""

import importlib
import os

from synthtf import saving
from synthtf.version import __version__

# TensorFlow leaves its fast convolutions off on processors without AVX-512, where training
# is then four times slower. Read when TensorFlow is imported; a user's own setting stays.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

saving.install()

_SUBMODULES = (
    "arguments",
    "compat",
    "data",
    "evaluation",
    "figures",
    "inference",
    "interop",
    "layers",
    "losses",
    "metrics",
    "networks",
    "ops",
    "optimizers",
    "options",
    "random",
    "ranges",
    "reports",
    "runs",
    "saving",
    "streams",
    "synthesis",
    "tasks",
    "testing",
    "training",
)

__all__ = ["Recipe", "__version__", *_SUBMODULES]


def __getattr__(name: str) -> object:
    if name == "Recipe":
        return importlib.import_module(f"{__name__}.synthesis").Recipe
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
