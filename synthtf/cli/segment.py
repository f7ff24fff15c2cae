"""`synthtf segment`: segment scans of any contrast with a trained network."""

import argparse

from synthtf.cli import arguments
from synthtf.inference.defaults import MINIMUM_SIZE
from synthtf.startup import limit_threads


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "segment",
        help="segment scans of any contrast with a trained network",
        description="Segment scans of any contrast, orientation and resolution. Results have "
        "the grid and the geometry of the scan. Existing outputs are overwritten unless "
        "--skip-existing is given.",
    )
    arguments.add_input_output(parser, what="scans")
    arguments.add_model(parser, several=True)
    parser.add_argument(
        "--vol",
        metavar="CSV",
        help="write the volumes of all structures, in mm³, a row per scan, and of all within the "
        "skull, and the number of lesions, if the network knows them, and in the "
        "column warnings what deserves a look; rows of other scans in the file are kept",
    )
    parser.add_argument(
        "--qc",
        metavar="CSV",
        help="write how good each segmentation is, a row per scan: the predicted Dice of each "
        "tissue, and a verdict, good or poor; needs --qc-model",
    )
    parser.add_argument(
        "--qc-model", metavar="RUN", help="run of synthtf train quality, which predicts the Dice"
    )
    parser.add_argument(
        "--posteriors",
        action="store_true",
        help="also write posteriors, one frame per label, as OUT with _posteriors in its name",
    )
    parser.add_argument(
        "--uncertainty",
        action="store_true",
        help="also write how unsure the network is, as OUT with _uncertainty in its name: the "
        "entropy of the posteriors, from 0 to 1, and unless there is one prediction a second "
        "frame, the variance over the flip and the models; and in --vol, columns NAME_low and "
        "NAME_high",
    )
    parser.add_argument(
        "--lesions",
        metavar="LESIONS",
        help="write the probability of lesions, of a network that knows them: a file for a file, "
        "else a folder or a .txt list",
    )
    parser.add_argument(
        "--conformed",
        action="store_true",
        help="write results on the network's own grid, in RAS orientation",
    )
    parser.add_argument(
        "--no-refine",
        dest="refine",
        action="store_false",
        help="posteriors of the network as they are, not sharpened by the intensities of the scan",
    )
    parser.add_argument(
        "--min-size",
        type=float,
        default=MINIMUM_SIZE,
        metavar="MM3",
        help="give pieces of a label below this volume to the labels beside them",
    )
    arguments.add_prediction(parser)
    arguments.add_cohort(parser)
    arguments.add_threads(parser)


def run(args: argparse.Namespace) -> int:
    """Segment all inputs; 1 if some failed."""
    limit_threads(args.threads)
    from synthtf.inference import segment_cohort

    outcome = segment_cohort(
        arguments.chosen_input(args),
        args.output,
        args.model,
        volumes=args.vol,
        quality=args.qc,
        judge_model=args.qc_model,
        posteriors=args.posteriors,
        uncertainty=args.uncertainty,
        lesions=args.lesions,
        conformed=args.conformed,
        refine=args.refine,
        cleaning=arguments.cleaning(args),
        flip=args.flip,
        ct=args.ct,
        budget=arguments.memory_budget(args),
        options=arguments.cohort_options(args),
    )
    return arguments.told(outcome)
