"""`synthtf synthesize`: synthetic images from label maps, to look at."""

import argparse

from synthtf.cli.arguments import output_folder, positive_integer
from synthtf.cli.messages import describe, print_line
from synthtf.cli.startup import load_backend
from synthtf.cli.usage import usage_errors


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
        "maps", metavar="LABELS", help="label maps: a file, a folder, or a .txt list of files"
    )
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="folder to write to")
    parser.add_argument(
        "-n",
        "--num",
        type=positive_integer,
        default=20,
        metavar="N",
        help="number of samples (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the samples (default: %(default)s)"
    )
    parser.add_argument(
        "--recipe",
        metavar="JSON|NAME",
        default="tutorial",
        help="file of ranges, or tutorial, synthseg, heads (default: %(default)s)",
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
        from synthtf.data.paths import expand_inputs

        paths = expand_inputs(args.maps)
        folder = output_folder(args.output, "--output")
    load_backend()
    from tqdm import tqdm

    from synthtf.tasks.samples import SHEET, open_maps, synthesis_of, write_samples
    from synthtf.tasks.workflow import TrainingPlan, load_recipe, load_table

    with usage_errors():
        table, recipe = load_table(args.labels), load_recipe(args.recipe)
        plan = TrainingPlan(
            labels=table,
            recipe=recipe.extremes() if args.extremes else recipe,
            spacing=args.spacing,
            shape=args.shape,
            seed=args.seed,
        )
    maps, failures = open_maps(paths, plan)
    for path, error in failures.items():
        message = describe(error).removeprefix(str(path)).lstrip(": ")
        print_line(f"synthtf synthesize: {path}: {message}")
    numbers = tqdm(range(args.num), unit="sample", disable=None)
    write_samples(maps, synthesis_of(maps, plan), folder, numbers)
    print(f"{folder}: {args.num} samples; look at {folder / SHEET}")
    return 1 if failures else 0
