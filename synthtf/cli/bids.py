"""`synthtf bids`: process a BIDS data set, with the command line of BIDS-Apps."""

import argparse

from synthtf.cli import arguments
from synthtf.inference.defaults import APP_CHOSEN, APP_LEVELS, APP_TASKS
from synthtf.startup import limit_threads


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "bids",
        help="process a BIDS data set, with the command line of BIDS-Apps",
        description="Process the anatomical scans of a BIDS data set: first each participant, then "
        "the group. OUT becomes a BIDS data set of derivatives. Existing outputs are overwritten "
        "unless --skip-existing is given.",
    )
    parser.add_argument("bids_dir", metavar="IN", help="folder of the BIDS data set")
    parser.add_argument("output_dir", metavar="OUT", help="folder of the derivatives")
    parser.add_argument(
        "analysis_level",
        choices=APP_LEVELS,
        help="participant: the outputs of each scan; group: from these, a table per task with the "
        "volumes of all participants, as group_TASK.tsv in OUT",
    )
    parser.add_argument(
        "--task",
        nargs="+",
        choices=APP_TASKS,
        default=APP_CHOSEN,
        help="what is done; scans of a participant are registered to its first one "
        f"(default: {' '.join(APP_CHOSEN)})",
    )
    parser.add_argument(
        *("--participant-label", "--participant_label"),
        nargs="+",
        default=(),
        metavar="LABEL",
        help="participants to process, with or without sub- (default: all)",
    )
    parser.add_argument(
        *("--session-label", "--session_label"),
        nargs="+",
        default=(),
        metavar="LABEL",
        help="sessions to process, with or without ses- (default: all)",
    )
    parser.add_argument(
        *("--skip-bids-validation", "--skip_bids_validation"),
        action="store_true",
        help="accepted, as by other BIDS-Apps; the data set is not validated anyway",
    )
    arguments.add_prediction(parser)
    arguments.add_skip_existing(parser)
    arguments.add_threads(parser)
    parser.set_defaults(sidecars=True)


def run(args: argparse.Namespace) -> int:
    """Process participants or the group; 1 if some scans failed."""
    limit_threads(args.threads)
    from synthtf.data.bids import DatasetPart
    from synthtf.inference import Processing, process_dataset

    part = DatasetPart(args.bids_dir, args.participant_label, args.session_label)
    options = arguments.cohort_options(args)
    processing = Processing(args.flip, args.ct, arguments.memory_budget(args), options)
    level, tasks = args.analysis_level, dict.fromkeys(args.task)
    return arguments.told(process_dataset(part, args.output_dir, level, list(tasks), processing))
