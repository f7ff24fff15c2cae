"""The tasks, a line each; they load without Keras."""

import functools
import importlib
from collections.abc import Callable, Mapping
from typing import Any

from synthtf.tasks.task import Task, task_function

_CLASSES = (
    "segmenting.options.SegmentationTask",
    "stripping.options.StrippingTask",
    "registering.options.RegistrationTask",
    "regressing.options.RegressionTask",
    "changing.options.ChangeTask",
    "denoising.options.DenoisingTask",
    "robust.options.RobustTask",
    "quality.options.QualityTask",
    "contrasting.options.ContrastiveTask",
    "in_context.options.InContextTask",
    "instances.options.InstancesTask",
)


@functools.cache
def tasks() -> dict[str, type[Task]]:
    """Give all tasks by name; the first one is the default where a command takes any."""
    found = {}
    for path in _CLASSES:
        module, _, name = path.rpartition(".")
        task = getattr(importlib.import_module(f"synthtf.tasks.{module}"), name)
        found[task.name] = task
    return found


@functools.cache
def functions() -> dict[str, Callable]:
    """Give the functions that make the models of all tasks, by name."""
    return {task.function: task_function(task) for task in tasks().values()}


def task_of(facts: Mapping[str, Any]) -> Task:
    """Give the task of a run, with its options, from what `run.json` says.

    Raises:
        ValueError: if there is no such task, or an option is not what it may be.
    """
    name = facts.get("task")
    if name not in tasks():
        raise ValueError(f"the tasks are {', '.join(tasks())}. Received: task={name!r}")
    return tasks()[name].from_facts(facts)
