"""`synthtf check`: what will go wrong in a training, found before it."""

import argparse
from typing import TYPE_CHECKING

from synthtf.cli.arguments import positive_integer
from synthtf.startup import load_backend
from synthtf.usage import usage_errors

if TYPE_CHECKING:
    from synthtf.tasks.plans import TaskPlan


def _segmentation(args: argparse.Namespace) -> "TaskPlan":
    from synthtf.networks import UNetConfig
    from synthtf.tasks.plans import SegmentationPlan

    return SegmentationPlan(UNetConfig(args.features or 24, args.levels))


def _stripping(args: argparse.Namespace) -> "TaskPlan":
    from synthtf.tasks.plans import StrippingPlan
    from synthtf.tasks.skull_stripping import stripping_network

    return StrippingPlan(stripping_network(args.features or 16, args.levels))


def _registration(args: argparse.Namespace) -> "TaskPlan":
    from synthtf.tasks.plans import RegistrationPlan, registration_network

    network = registration_network(args.kind, args.features)
    return RegistrationPlan(args.kind, network=network, affine=args.affine)


_PLANS = {"segmentation": _segmentation, "stripping": _stripping, "registration": _registration}


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "check",
        help="look for what will go wrong in a training on label maps, before it",
        description="Read every label map and report damaged files, labels that the table does "
        "not list or the maps do not hold, sides without partners or swapped, mixed geometry, cut "
        "brains, duplicates, a shape that fits, and the memory that a training takes. Give the "
        "options that synthtf train will be given.",
        epilog="Exit status: 0 if there is no error (there may be warnings), 1 if there is, "
        "2 on wrong usage.",
    )
    parser.add_argument("maps", metavar="LABEL_DIR", help="folder, file or .txt list of label maps")
    parser.add_argument("--labels", metavar="TABLE", help="label table: .tsv or FreeSurferColorLUT")
    parser.add_argument(
        "--recipe",
        metavar="JSON|NAME",
        default="heads",
        help="file of ranges, or the name of a preset (default: %(default)s)",
    )
    parser.add_argument(
        "--spacing", type=float, metavar="MM", help="voxel size (default: the maps')"
    )
    parser.add_argument(
        "--shape",
        type=positive_integer,
        nargs="+",
        metavar="N",
        help="voxels per axis, around the brain (default: the whole maps)",
    )
    parser.add_argument(
        "--task",
        choices=tuple(_PLANS),
        default="segmentation",
        help="what will be trained (default: %(default)s)",
    )
    parser.add_argument(
        "--kind",
        choices=("deformable", "affine", "rigid", "joint"),
        default="deformable",
        help="of a registration (default: %(default)s)",
    )
    parser.add_argument(
        "--affine", metavar="RUN", help="trained run of the kind affine or rigid, for joint"
    )
    parser.add_argument(
        "--features",
        type=positive_integer,
        metavar="N",
        help="of the first level of the network (default: 24 for segmentation, else 16)",
    )
    for flag, default, text in (
        ("--levels", 5, "resolution levels, but of a registration"),
        ("--batch-size", 1, "samples, or pairs, per step"),
    ):
        parser.add_argument(
            flag,
            type=positive_integer,
            default=default,
            metavar="N",
            help=f"{text} (default: %(default)s)",
        )
    parser.add_argument(
        "--verbose", action="store_true", help="show every file, and a table of the labels"
    )
    parser.add_argument("--csv", metavar="FILE", help="write the table of the labels")


def run(args: argparse.Namespace) -> int:
    """Report; 1 if there is an error."""
    with usage_errors():
        from synthtf.data.paths import expand_inputs, writable_file
        from synthtf.data.shipped_models import model_folder

        paths = expand_inputs(args.maps)
        table_file = writable_file(args.csv, "--csv")
        if args.affine:
            args.affine = model_folder(args.affine, "affine", "--affine")
    load_backend()
    from tqdm import tqdm

    from synthtf.synthesis import load_recipe
    from synthtf.tasks.preflight import preflight
    from synthtf.tasks.workflow import TrainingPlan, load_table

    with usage_errors():
        plan = TrainingPlan(
            labels=load_table(args.labels),
            recipe=load_recipe(args.recipe),
            spacing=args.spacing,
            shape=args.shape,
            task=_PLANS[args.task](args),
            batch_size=args.batch_size,
        )
    found = preflight(paths, plan, lambda items: tqdm(items, unit="map", disable=None))
    print(found.report(args.verbose))
    if table_file is not None:
        found.write_labels(table_file)
    return 1 if found.has_errors else 0
