"""`synthtf segment`: segment scans of any contrast with a trained network."""

import argparse
import warnings
from pathlib import Path

from synthtf.cli.arguments import (
    add_input_output,
    add_model,
    add_prediction,
    add_threads,
    chosen_input,
    existing_folder,
    writable_file,
)
from synthtf.cli.batch import for_each_file
from synthtf.cli.startup import limit_threads, load_backend
from synthtf.cli.usage import usage_errors


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "segment",
        help="segment scans of any contrast with a trained network",
        description="Segment scans of any contrast, orientation and resolution. Results have "
        "the grid and the geometry of the scan. Existing outputs are overwritten.",
    )
    add_input_output(parser, what="scans")
    add_model(parser)
    parser.add_argument(
        "--vol", metavar="CSV", help="write the volumes of all structures, in mm³, a row per scan"
    )
    parser.add_argument(
        "--posteriors",
        action="store_true",
        help="also write posteriors, one frame per label, as OUT with _posteriors in its name",
    )
    parser.add_argument(
        "--conformed",
        action="store_true",
        help="write results on the network's own grid, in RAS orientation",
    )
    add_prediction(parser)
    add_threads(parser)


def run(args: argparse.Namespace) -> int:
    """Segment all inputs; 1 if some failed."""
    limit_threads(args.threads)
    from synthtf.data.paths import expand_inputs, extension, output_in, pair_outputs, stem

    with usage_errors():
        source = chosen_input(args)
        scans = expand_inputs(source)
        outputs = pair_outputs(source, args.output, "_seg")
        folder = existing_folder(args.model, "--model")
        table = writable_file(args.vol, "--vol")

    load_backend()
    from synthtf.data.volume_writer import write_volume
    from synthtf.inference.segment import EmptySegmentationWarning, segment
    from synthtf.inference.tables import volume_columns, write_table
    from synthtf.tasks.run import Run

    model = Run.load(folder)
    names = dict(zip(model.table.ids, model.table.names, strict=True))
    columns = volume_columns(names, model.output_labels)
    rows = []

    def segment_one(pair: tuple[Path, Path]) -> None:
        scan, output = pair
        result = segment(
            scan,
            model,
            flip=args.flip,
            posteriors=args.posteriors,
            conformed=args.conformed,
            ct=args.ct,
        )
        write_volume(output, result.labels.data, like=result.labels)
        if result.posteriors is not None:
            name = f"{stem(output)}_posteriors{extension(output)}"
            target = output_in(output.parent, name)
            write_volume(target, result.posteriors.data, like=result.posteriors)
        named = {columns[label]: f"{volume:.3f}" for label, volume in result.volumes.items()}
        rows.append({"scan": scan, **named})
        if result.is_empty:
            raise ValueError("nothing was found, every voxel is background; does the model suit?")

    # An empty result is reported as a failure of its scan, not as a warning as well.
    warnings.simplefilter("ignore", EmptySegmentationWarning)
    try:
        failed = for_each_file(
            "segment",
            list(zip(scans, outputs, strict=True)),
            segment_one,
            path=lambda pair: pair[0],
            debug=args.debug,
        )
    finally:  # also when interrupted
        if table is not None:
            write_table(table, ["scan", *columns.values()], rows)
    return 1 if failed else 0
