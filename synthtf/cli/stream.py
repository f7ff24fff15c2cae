"""`synthtf stream`: processes that make samples, and others that take them."""

import argparse

from synthtf.cli import arguments, plans
from synthtf.cli.flags import add_flags, options_from
from synthtf.streams.options import ConsumerOptions, ProducerOptions
from synthtf.tasks.registry import tasks


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "stream",
        help="make samples in processes of their own, which others take",
        description="Write synthetic samples into a folder of bounded size, from which trainings "
        "take and delete them. Any number of processes may do either at the same time, come, go "
        "and be killed: no sample is taken twice or half-written.",
    )
    kinds = parser.add_subparsers(dest="direction", metavar="produce|consume", required=True)
    text = "write samples, and wait while the buffer is full"
    producer = kinds.add_parser("produce", help=text, description=f"{text.capitalize()}.")
    plans.add_maps(producer)
    producer.add_argument("-o", "--output", required=True, metavar="BUFFER", help="folder to fill")
    producer.add_argument(
        "--task",
        choices=tuple(tasks()),
        default=next(iter(tasks())),
        help="what will be trained on the samples (default: %(default)s)",
    )
    add_flags(producer, [ProducerOptions])
    only = ("labels", "recipe", "scans", "spacing", "shape", "seed")
    plans.add_plan(producer, list(tasks().values()), only=only)
    text = "take samples, write them as image files and delete them from the buffer"
    consumer = kinds.add_parser("consume", help=text, description=f"{text.capitalize()}.")
    consumer.add_argument("buffer", metavar="BUFFER", help="folder that producers fill")
    consumer.add_argument("-o", "--output", required=True, metavar="DIR", help="folder to write to")
    add_flags(consumer, [ConsumerOptions])


def run(args: argparse.Namespace) -> int:
    """Fill or empty the buffer."""
    folder = plans.folder_of(args)
    if args.direction == "produce":
        paths, plan = plans.maps_of(args), plans.plan_of(args)
        from synthtf.streams.producing import produce

        return arguments.told(produce(paths, folder, plan, options_from(args, ProducerOptions)))
    from synthtf.streams.writing import write_stream

    return arguments.told(write_stream(args.buffer, folder, options_from(args, ConsumerOptions)))
