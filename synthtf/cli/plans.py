"""What `train`, `check` and `synthesize` take alike: label maps, and the options of a training."""

import argparse
import importlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from synthtf.cli.flags import Group, add_flags, find_runs, options_from, refuse_foreign
from synthtf.data.paths import existing_file, expand_inputs, output_folder
from synthtf.data.shipped_models import model_folder, recipe_file
from synthtf.startup import load_backend
from synthtf.tasks.registry import tasks
from synthtf.training.plan import TrainingPlan
from synthtf.training.schedule import Schedule
from synthtf.usage import UsageError, usage_errors

if TYPE_CHECKING:
    from synthtf.tasks.task import Task


def add_maps(parser: argparse.ArgumentParser) -> None:
    """Add the label maps."""
    parser.add_argument(
        "maps",
        nargs="?",
        metavar="LABEL_DIR",
        help="label maps: a file, a folder, or a .txt list of files; none for a recipe that makes "
        "its own, such as vessels",
    )


def add_plan(
    parser: argparse.ArgumentParser,
    chosen: "Sequence[type[Task]]",
    only: Sequence[str] | None = None,
) -> None:
    """Add the flags of a training plan and of one task or several.

    Args:
        parser: parser of the command.
        chosen: the tasks.
        only: names of the options of a plan that the command takes. None: all.
    """
    if chosen:
        add_flags(parser.add_argument_group("task"), chosen, [task.name for task in chosen])
    data = parser.add_argument_group("data and training" if only is None else "data")
    add_flags(data, [TrainingPlan], only=only)
    add_plugin(data)


def add_plugin(group: Group) -> None:
    """Add the packages that bring layers."""
    group.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="PACKAGE",
        help="import this package first, whose layers the recipe has; may be given several times",
    )


def import_plugins(args: argparse.Namespace) -> None:
    """Load Keras, then import the packages that bring layers.

    Raises:
        UsageError: if one cannot be imported.
    """
    load_backend()
    for package in args.plugin:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise UsageError(f"--plugin {package}: {error}") from None


def maps_of(args: argparse.Namespace) -> list[Path] | None:
    """Give the files of the label maps; None for a recipe that makes its own.

    Raises:
        UsageError: if there are none where a file, folder or list is named.
    """
    with usage_errors():
        return expand_inputs(args.maps) if args.maps else None


def folder_of(args: argparse.Namespace) -> Path:
    """Give the folder to write to.

    Raises:
        UsageError: if it is a file, or lies in one.
    """
    with usage_errors():
        return output_folder(args.output, "-o")


def plan_of(args: argparse.Namespace) -> TrainingPlan:
    """Make the plan, of the default task if the command has none.

    Raises:
        UsageError: if a flag is of another task, names a run that does not exist, or has a value
            out of range, if a package, a table or a recipe cannot be read, if a label map has no
            scan, or if there are fewer devices.
    """
    task = tasks()[getattr(args, "task", next(iter(tasks())))]
    refuse_foreign(args, task, list(tasks().values()))
    find_runs(args, task, TrainingPlan)
    with usage_errors():
        labels, recipe = (getattr(args, name, None) for name in ("labels", "recipe"))
        if labels is not None:
            existing_file(labels, "--labels")
        if recipe is not None:
            recipe_file(recipe)
    import_plugins(args)
    from synthtf.data.map_scans import pair_scans
    from synthtf.synthesis import Recipe
    from synthtf.training.devices import chosen_devices
    from synthtf.training.workflow import check_scans, load_table

    with usage_errors():
        plan = options_from(args, TrainingPlan, task=options_from(args, task))
        chosen_devices(plan.devices)
        scans = plan.scans if plan.scans is None else pair_scans(args.maps or [], plan.scans)
        plan = replace(
            plan, labels=load_table(plan.labels), recipe=Recipe.of(plan.recipe), scans=scans
        )
        check_scans(plan)
        return plan


def plan_of_run(args: argparse.Namespace) -> TrainingPlan:
    """Make the plan by which a run was trained, to go on from its weights.

    Raises:
        UsageError: if there is no such run, or its `run.json` does not say how it was trained.
    """
    load_backend()
    from synthtf.runs.run import Run
    from synthtf.tasks.registry import task_of

    with usage_errors():
        run = Run.load(model_folder(args.run, "RUN", "RUN"))
        args.task = run.task
        names = ("batch_size", "steps_per_epoch", "precision", "seed")
        known = {name: run.metadata[name] for name in names if name in run.metadata}
        given = {name: getattr(args, name) for name in names if hasattr(args, name)}
        return TrainingPlan(
            task=task_of(run.metadata),
            labels=run.table,
            recipe=run.recipe,
            spacing=run.spacing,
            shape=run.shape,
            start=run.folder,
            **(known | given),
        )


def schedule_of(args: argparse.Namespace) -> Schedule:
    """Make the schedule.

    Raises:
        UsageError: if a value is out of range, or as `check_validation`.
    """
    from synthtf.training.validation import check_validation

    with usage_errors():
        schedule = options_from(args, Schedule)
        check_validation(args.task, schedule)
        return schedule
