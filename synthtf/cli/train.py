"""`synthtf train`: train a task network on a folder of label maps."""

import argparse

from synthtf.cli.flags import add_flags, options_from
from synthtf.cli.plans import add_plan, check_plan, plan_of
from synthtf.startup import load_backend
from synthtf.tasks.registry import tasks
from synthtf.training.schedule import Schedule
from synthtf.usage import usage_errors


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "train",
        help="train a network on synthetic images made from label maps",
        description="Train a network on images synthesised from label maps, a new one at each "
        "step. RUN receives the network, recipe, label table, log, figures and checkpoints.",
    )
    kinds = parser.add_subparsers(dest="task", metavar="TASK", required=True)
    for task in tasks().values():
        _add_task(
            kinds.add_parser(
                task.name, help=task.summary, description=f"Train a network to {task.summary}."
            ),
            task,
        )


def _add_task(parser: argparse.ArgumentParser, task: type) -> None:
    parser.add_argument(
        "maps",
        nargs="?",
        metavar="LABEL_DIR",
        help="label maps: a file, a folder, or a .txt list of files; none for a recipe that makes "
        "its own, such as vessels",
    )
    parser.add_argument("-o", "--output", required=True, metavar="RUN", help="folder of the run")
    add_plan(parser, [task])
    schedule = parser.add_argument_group("schedule")
    add_flags(schedule, [Schedule])
    schedule.add_argument("--resume", action="store_true", help="go on from the last checkpoint")


def run(args: argparse.Namespace) -> int:
    """Train."""
    with usage_errors():
        from synthtf.data.paths import expand_inputs, output_folder

        paths = expand_inputs(args.maps) if args.maps else None
        output = output_folder(args.output, "-o")
        check_plan(args)
    load_backend()
    from synthtf.training.workflow import train_run

    with usage_errors():
        plan, schedule = plan_of(args), options_from(args, Schedule)
    run = train_run(paths, output, plan, schedule, resume=args.resume)
    print(f"{run.folder}: trained for {run.metadata['minutes_done']:g} minutes")
    return 0
