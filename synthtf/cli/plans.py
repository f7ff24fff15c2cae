"""What a training is made of, from the command line: the same for `train` and `check`."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from synthtf.cli.flags import add_flags, find_runs, options_from, refuse_foreign
from synthtf.tasks.registry import tasks
from synthtf.training.plan import TrainingPlan

if TYPE_CHECKING:
    from synthtf.tasks.task import Task


def add_plan(parser: argparse.ArgumentParser, chosen: "Sequence[type[Task]]") -> None:
    """Add the flags of a training plan and of one task or several."""
    add_flags(parser.add_argument_group("task"), chosen, [task.name for task in chosen])
    add_flags(parser.add_argument_group("data and training"), [TrainingPlan])


def check_plan(args: argparse.Namespace) -> None:
    """Look at what can be wrong with a plan before Keras loads.

    Raises:
        UsageError: if a flag is of another task, or names a run that does not exist.
    """
    task = tasks()[args.task]
    refuse_foreign(args, task, list(tasks().values()))
    find_runs(args, task, TrainingPlan)


def plan_of(args: argparse.Namespace) -> TrainingPlan:
    """Make the plan.

    Raises:
        ValueError: if an option is out of range.
        OSError: if a table or a recipe cannot be read.
    """
    from synthtf.synthesis import Recipe
    from synthtf.training.workflow import load_table

    plan = options_from(args, TrainingPlan, task=options_from(args, tasks()[args.task]))
    return replace(plan, labels=load_table(plan.labels), recipe=Recipe.of(plan.recipe))
