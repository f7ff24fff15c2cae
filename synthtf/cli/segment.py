"""`synthtf segment`: segment scans of any contrast with a trained network."""

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthtf.batch import process_cohort
from synthtf.cli.arguments import (
    add_cohort,
    add_input_output,
    add_model,
    add_prediction,
    add_threads,
    chosen_input,
    memory_budget,
    model_folder,
    writable_file,
)
from synthtf.startup import limit_threads, load_backend
from synthtf.usage import usage_errors

if TYPE_CHECKING:
    from synthtf.data.tables import ScanTable
    from synthtf.inference.cohorts.cohort import Cohort, Job


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "segment",
        help="segment scans of any contrast with a trained network",
        description="Segment scans of any contrast, orientation and resolution. Results have "
        "the grid and the geometry of the scan. Existing outputs are overwritten unless "
        "--skip-existing is given.",
    )
    add_input_output(parser, what="scans")
    add_model(parser)
    parser.add_argument(
        "--vol",
        metavar="CSV",
        help="write the volumes of all structures, in mm³, a row per scan; rows of other scans in "
        "the file are kept",
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
    parser.add_argument(
        "--no-refine",
        action="store_true",
        help="posteriors of the network as they are, not sharpened by the intensities of the scan",
    )
    parser.add_argument(
        "--min-size",
        type=float,
        default=0.0,
        metavar="MM3",
        help="give pieces of a label below this volume to the labels beside them",
    )
    add_prediction(parser)
    add_cohort(parser)
    add_threads(parser)


def run(args: argparse.Namespace) -> int:
    """Segment all inputs; 1 if some failed."""
    limit_threads(args.threads)
    from synthtf.data.bids import Derivative
    from synthtf.data.tables import ScanTable
    from synthtf.inference.cohorts.cohort import Cohort, Output
    from synthtf.inference.components import Cleaning

    with usage_errors():
        kinds = {"labels": Output(args.output, "_seg", Derivative("synthtf", "dseg"))}
        if args.posteriors:
            kinds["posteriors"] = Output(None, "_posteriors", Derivative("synthtf", "probseg"))
        cohort = Cohort.plan(chosen_input(args), kinds, sidecars=args.sidecars)
        folder = model_folder(args.model, "segmentation")
        csv = writable_file(args.vol, "--vol")
        table = None if csv is None else ScanTable(csv)
        options = {"cleaning": Cleaning(minimum_size=args.min_size), "budget": memory_budget(args)}
    return process_cohort(
        args, cohort, folder, lambda: _prepare(args, cohort, folder, table, options), table
    )


def _prepare(
    args: argparse.Namespace,
    cohort: "Cohort",
    folder: Path,
    table: "ScanTable | None",
    options: dict[str, Any],
) -> Callable[["Job"], None]:
    """Load the model; returns what segments a scan."""
    load_backend()
    from synthtf.data.tables import volume_columns
    from synthtf.inference.cohorts.cohort import Prediction
    from synthtf.inference.cohorts.provenance import Provenance
    from synthtf.inference.segmenting import EmptySegmentationWarning, segment
    from synthtf.tasks.run import Run

    model = Run.load(folder)
    known = dict(zip(model.table.ids, model.table.names, strict=True))
    names = {label: known.get(label) or str(label) for label in model.output_labels}
    columns = volume_columns(names, model.output_labels)
    if table is not None:
        table.begin(list(columns.values()))
    cohort.describe(names)
    facts = {
        "labels": {"Description": "The most likely label of each voxel"},
        "posteriors": {
            "Description": "Posterior probability of each label, one frame per label",
            "LabelMap": list(names.values()),
        },
    }
    provenance = Provenance(model, args.command_line, facts, cohort.root)
    # An empty result is reported as a failure of its scan, not as a warning as well.
    warnings.simplefilter("ignore", EmptySegmentationWarning)

    def predict(scan: Path) -> Prediction:
        result = segment(
            scan,
            model,
            flip=args.flip,
            posteriors=args.posteriors,
            conformed=args.conformed,
            ct=args.ct,
            refine=not args.no_refine,
            **options,
        )
        if table is not None:
            volumes = result.volumes.items()
            table.add(scan, {columns[label]: f"{volume:.3f}" for label, volume in volumes})
        empty = "nothing was found, every voxel is background; does the model suit?"
        found = {"labels": result.labels, "posteriors": result.posteriors}
        return Prediction(found, empty if result.is_empty else None)

    return lambda job: cohort.process(job, predict, provenance)
