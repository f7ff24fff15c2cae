"""`synthtf synthesize`: synthetic images from label maps, to look at."""

import argparse

from synthtf.cli.arguments import key_part, positive_integer
from synthtf.messages import describe, print_line
from synthtf.startup import load_backend
from synthtf.usage import usage_errors


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "synthesize",
        help="write synthetic images made from label maps, and a picture of them",
        description="Write the images that a network would be trained on: for each sample an "
        "image and its label map in RAS orientation, and sheet.png with all of them. Look at it "
        "before each training. Existing outputs are overwritten.",
    )
    parser.add_argument(
        "maps",
        nargs="?",
        metavar="LABELS",
        help="label maps: a file, a folder, or a .txt list of files; none for a recipe that makes "
        "its own, such as vessels",
    )
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="folder to write to")
    parser.add_argument(
        "-n",
        "--num",
        type=positive_integer,
        metavar="N",
        help="number of samples (default: 20, or 4 with --vary)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the samples (default: %(default)s)"
    )
    parser.add_argument(
        "--replay",
        type=key_part,
        nargs=2,
        metavar=("SEED", "NUMBER"),
        help="write only this sample: that of a training with the same maps, --recipe, --labels, "
        "--shape and --spacing, such as one that guard.csv of the run lists",
    )
    parser.add_argument(
        "--vary",
        metavar="STEP.RANGE",
        help="write only vary_STEP.RANGE.png: samples in rows, and along each row this range of "
        "the recipe, such as bias.drop, from low to high; all else stays the same",
    )
    parser.add_argument(
        "--recipe",
        metavar="JSON|NAME",
        default="heads",
        help="file of ranges, or the name of a preset such as heads or synthseg "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--extremes",
        action="store_true",
        help="take the largest value of every range, to see the strongest effects",
    )
    parser.add_argument("--labels", metavar="TABLE", help="label table: .tsv or FreeSurferColorLUT")
    parser.add_argument(
        "--shape",
        type=positive_integer,
        nargs="+",
        metavar="N",
        help="voxels per axis, around the brain (default: the whole maps)",
    )
    parser.add_argument(
        "--spacing", type=float, metavar="MM", help="voxel size (default: the maps')"
    )


def run(args: argparse.Namespace) -> int:
    """Write the samples; 1 if some label maps could not be used."""
    with usage_errors():
        from synthtf.data.paths import expand_inputs, output_folder

        paths = expand_inputs(args.maps) if args.maps else None
        folder = output_folder(args.output, "--output")
    load_backend()
    from tqdm import tqdm

    from synthtf.synthesis import Recipe
    from synthtf.tasks.registry import tasks
    from synthtf.training.plan import TrainingPlan
    from synthtf.training.samples import (
        SHEET,
        open_maps,
        synthesis_of,
        training_shape,
        write_samples,
    )
    from synthtf.training.sweep import steps_of, sweep
    from synthtf.training.workflow import load_table

    with usage_errors():
        table, recipe = load_table(args.labels), Recipe.of(args.recipe)
        seed, first = args.replay or (args.seed, 0)
        count = 1 if args.replay else args.num or (4 if args.vary else 20)
        plan = TrainingPlan(
            next(iter(tasks().values()))(),
            labels=table,
            recipe=recipe.extremes() if args.extremes else recipe,
            spacing=args.spacing,
            shape=args.shape,
            seed=seed,
        )
        if args.vary:
            steps_of(plan.recipe, args.vary)
    maps, failures = open_maps(paths, plan)
    for path, error in failures.items():
        message = describe(error).removeprefix(str(path)).lstrip(": ")
        print_line(f"synthtf synthesize: {path}: {message}")
    if args.replay:
        plan = training_shape(maps, plan)
    numbers = range(first, first + count)
    if args.vary:
        print(f"look at {sweep(maps, plan, args.vary, folder, numbers)}")
    else:
        bar = tqdm(numbers, unit="sample", disable=None)
        write_samples(maps, synthesis_of(maps, plan), folder, bar)
        samples = f"{count} sample{'s' if count > 1 else ''}"
        print(f"{folder}: {samples}; look at {folder / SHEET}")
    return 1 if failures else 0
