"""Tasks: synthesis, task network and objective in one Keras model.

Each task is a folder and a line of `synthtf.tasks.registry`.
"""

from typing import Any

from synthtf.tasks.registry import functions

__all__ = sorted(functions())


def __getattr__(name: str) -> Any:
    if name in __all__:
        return functions()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
