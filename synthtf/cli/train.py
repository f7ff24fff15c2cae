"""`synthtf train`: train a task network on a folder of label maps."""

import argparse

from synthtf.cli import arguments, plans
from synthtf.cli.flags import add_flags
from synthtf.tasks.registry import tasks
from synthtf.training.schedule import Schedule


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
        text = f"Train a network to {task.summary}."
        kind = kinds.add_parser(task.name, help=task.summary, description=text)
        plans.add_maps(kind)
        kind.add_argument("-o", "--output", required=True, metavar="RUN", help="folder of the run")
        plans.add_plan(kind, [task])
        schedule = kind.add_argument_group("schedule")
        add_flags(schedule, [Schedule])
        schedule.add_argument(
            "--resume", action="store_true", help="go on from the last checkpoint"
        )
        schedule.add_argument(
            "--overfit-one",
            action="store_true",
            help="only let the network learn one sample by heart, and say what is wrong if it "
            "cannot: image, target or learning rate",
        )


def run(args: argparse.Namespace) -> int:
    """Train."""
    paths, folder = plans.maps_of(args), plans.folder_of(args)
    plan, schedule = plans.plan_of(args), plans.schedule_of(args)
    if args.overfit_one:
        from synthtf.training.overfit import overfit_plan

        return arguments.told(overfit_plan(paths, folder, plan, schedule))
    from synthtf.training.workflow import train_run

    run = train_run(paths, folder, plan, schedule, resume=args.resume)
    print(f"{run.folder}: trained for {run.metadata['minutes_done']:g} minutes")
    return 0
