"""`synthtf sweep`: trainings that differ in one range of the recipe."""

import argparse

from synthtf.cli import arguments, plans
from synthtf.cli.flags import add_flags
from synthtf.training.plan import TrainingPlan
from synthtf.training.schedule import Schedule


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "sweep",
        help="train on from a run with several values of one range, and compare",
        description="Train on from the weights of RUN, once for each value of one range of its "
        "recipe, with all else as it was. DIR gets a run per value, a table and a curve. With "
        "--validate they show the Dice on real scans. The same command goes on where it stopped.",
    )
    parser.add_argument("run", metavar="RUN", help="folder of a training run")
    plans.add_maps(parser)
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="folder to write to")
    parser.add_argument(
        "--vary",
        required=True,
        metavar="STEP.RANGE",
        help="range of the recipe, such as blur.std; synthtf info RUN lists them",
    )
    parser.add_argument(
        "--values",
        required=True,
        nargs="+",
        metavar="VALUE",
        help="numbers such as 0.5, or ranges such as 0:2",
    )
    add_flags(parser.add_argument_group("schedule"), [Schedule])
    data = parser.add_argument_group("data")
    add_flags(data, [TrainingPlan], only=("batch_size", "steps_per_epoch", "seed"))
    plans.add_plugin(data)


def run(args: argparse.Namespace) -> int:
    """Train with each value."""
    paths, folder = plans.maps_of(args), plans.folder_of(args)
    plans.import_plugins(args)
    plan, schedule = plans.plan_of_run(args), plans.schedule_of(args)
    from synthtf.training.range_study import study_range

    outcome = study_range(paths, folder, plan, schedule, args.vary, args.values)
    return arguments.told(outcome)
