"""`synthtf labels`: label maps with more labels, for synthesis."""

import argparse
from pathlib import Path

from synthtf.usage import usage_errors


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
    enrich.add_argument("image", metavar="IMAGE", help="scan")
    enrich.add_argument("map", metavar="LABELS", help="label map, on the grid of the scan")
    enrich.add_argument(
        "--labels",
        type=int,
        nargs="+",
        metavar="N",
        help="labels to split (default: all but 0 that vary in intensity)",
    )
    _add_common(enrich, what="parts of each label", default=2)
    build = actions.add_parser(
        "build",
        help="label the whole image, given a segmentation of a part of it",
        description="Give new labels to the voxels that a segmentation leaves 0: all but the air "
        "are clustered by the intensity of the scan. The new labels count as background.",
    )
    build.add_argument("image", metavar="IMAGE", help="scan")
    build.add_argument("map", metavar="SEG", help="segmentation, on the grid of the scan")
    build.add_argument(
        "--threshold",
        type=float,
        metavar="X",
        help="intensity below which a voxel may be air (default: half of Otsu's threshold)",
    )
    _add_common(build, what="new labels", default=4)


def _add_common(parser: argparse.ArgumentParser, what: str, default: int) -> None:
    parser.add_argument("-o", "--output", required=True, metavar="MAP", help="the new label map")
    parser.add_argument(
        "--parts",
        type=int,
        default=default,
        metavar="N",
        help=f"number of {what}, at least 2 (default: %(default)s)",
    )
    parser.add_argument(
        "--table",
        metavar="TABLE",
        help="labels of the map: .tsv or FreeSurferColorLUT (default: the values alone)",
    )
    # Without a default, so that it does not undo the same flag before the action.
    parser.add_argument(
        "--debug",
        action="store_true",
        default=argparse.SUPPRESS,
        help="show the traceback of an error",
    )


def run(args: argparse.Namespace) -> int:
    """Write one map and its table."""
    from synthtf.data.enrich import build_labels, check_parts, enrich_labels
    from synthtf.data.label_table import LabelTable, count_labels
    from synthtf.data.paths import refuse_clashes, stem
    from synthtf.data.volume_writer import write_volume
    from synthtf.data.volumes import read_volume

    output = Path(args.output)
    listed = output.with_name(f"{stem(output)}.tsv")
    with usage_errors():
        check_parts(args.parts)
        for path in (args.image, args.map):
            refuse_clashes([Path(path)], [output])
        table = LabelTable.read(args.table) if args.table else None
        if args.table and listed.exists() and listed.samefile(args.table):
            raise ValueError(f"{listed} is the table that is read; choose another output")
    image, labels = read_volume(args.image), read_volume(args.map, labels=True)
    table = table or LabelTable.from_labels(count_labels(labels.data))
    if args.action == "enrich":
        data, table = enrich_labels(image, labels, table, args.parts, args.labels)
    else:
        data, table = build_labels(image, labels, table, args.parts, args.threshold)
    write_volume(output, data, like=labels)
    table.write(listed)
    print(f"{output}: {len(count_labels(data))} labels; {listed}")
    return 0
