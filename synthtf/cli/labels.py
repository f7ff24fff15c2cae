"""`synthtf labels`: label maps with more labels, for synthesis."""

import argparse


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "labels",
        help="add labels to a label map: split structures, or label what has none",
        description="Add labels to a label map by clustering the intensities of its scan. Beside "
        "the map, a table of the same name, .tsv, lists all labels and what each counts as in the "
        "output of a network. An existing output is overwritten.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    enrich = actions.add_parser(
        "enrich",
        help="split labels into parts, from dark to bright",
        description="Split labels into parts by k-means of the intensities of the scan in each. "
        "The darkest part keeps the label; the others get new ones that count as it.",
    )
    build = actions.add_parser(
        "build",
        help="label the whole image, given a segmentation of a part of it",
        description="Give new labels to the voxels that a segmentation leaves 0: all but the air "
        "are clustered by the intensity of the scan. The new labels count as background.",
    )
    for action, name, text, what, parts in (
        (enrich, "LABELS", "label map, on the grid of the scan", "parts of each label", 2),
        (build, "SEG", "segmentation, on the grid of the scan", "new labels", 4),
    ):
        action.add_argument("image", metavar="IMAGE", help="scan")
        action.add_argument("map", metavar=name, help=text)
        action.add_argument("-o", "--output", required=True, metavar="MAP", help="new label map")
        action.add_argument(
            "--parts",
            type=int,
            default=parts,
            metavar="N",
            help=f"number of {what}, at least 2 (default: %(default)s)",
        )
        action.add_argument(
            "--table",
            metavar="TABLE",
            help="labels of the map: .tsv or FreeSurferColorLUT (default: the values alone)",
        )
        # Without a default, so that it does not undo the same flag before the action.
        action.add_argument(
            "--debug",
            action="store_true",
            default=argparse.SUPPRESS,
            help="show the traceback of an error",
        )
    enrich.add_argument(
        "--labels",
        type=int,
        nargs="+",
        metavar="N",
        help="labels to split (default: all but 0 that vary in intensity)",
    )
    build.add_argument(
        "--threshold",
        type=float,
        metavar="X",
        help="intensity below which a voxel may be air (default: half of Otsu's threshold)",
    )


def run(args: argparse.Namespace) -> int:
    """Write one map and its table."""
    from synthtf.data import enrich, label_files

    files = args.image, args.map, args.output, args.table, args.parts
    if args.action == "enrich":
        print(label_files.write_more_labels(enrich.enrich_labels, *files, args.labels))
    else:
        print(label_files.write_more_labels(enrich.build_labels, *files, args.threshold))
    return 0
