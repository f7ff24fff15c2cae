"""Tasks: synthesis, task network and objective in one Keras model.

Each task is a folder and a line of `synthtf.tasks.registry`. It has a function here that makes its
model, and a class of its options for `synthtf.training.TrainingPlan`.
"""

from typing import Any

from synthtf.tasks.registry import functions, tasks

_NAMES = {**functions(), **{task.__name__: task for task in tasks().values()}}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return _NAMES[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
