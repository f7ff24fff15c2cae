"""`synthtf strip`: remove what is not brain from scans of any contrast."""

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from synthtf.batch import process_cohort
from synthtf.cli.arguments import (
    add_cohort,
    add_input,
    add_model,
    add_prediction,
    add_threads,
    chosen_input,
    memory_budget,
    model_folder,
)
from synthtf.startup import limit_threads, load_backend
from synthtf.usage import UsageError, usage_errors

if TYPE_CHECKING:
    from synthtf.inference.cohorts.cohort import Cohort, Job
    from synthtf.inference.patches.memory import MemoryBudget

_OUTPUTS = {"output": ("_brain", None), "mask": ("_mask", "mask"), "distance": ("_sdt", "sdt")}
"""Options of the outputs, what their names get in a folder, and their suffixes in BIDS."""
_FACTS = {
    "output": {"Description": "The scan without what is not brain", "SkullStripped": True},
    "mask": {"Description": "The brain as 1", "Type": "Brain"},
    "distance": {"Description": "Distance to the brain, negative within", "Units": "mm"},
}
"""What the JSON files of the outputs say about them."""


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "strip",
        help="remove what is not brain from scans of any contrast",
        description="Find the brain in scans of any contrast, orientation and resolution, with "
        "skull or without. Results have the grid and the geometry of the scan; each frame is "
        "stripped by itself. Existing outputs are overwritten unless --skip-existing is given.",
    )
    add_input(parser, what="scans")
    outputs = parser.add_argument_group("outputs, a folder for several scans")
    outputs.add_argument("-o", "--output", metavar="STRIPPED", help="the scan without the rest")
    outputs.add_argument("-m", "--mask", metavar="MASK", help="the brain as 1")
    outputs.add_argument(
        "-d", "--distance", metavar="SDT", help="signed distance to the brain, in mm"
    )
    add_model(parser)
    parser.add_argument(
        "-b",
        "--border",
        type=float,
        default=1.5,
        metavar="MM",
        help="of the mask around the brain; may be negative (default: %(default)s)",
    )
    parser.add_argument(
        "--no-csf",
        dest="csf",
        action="store_false",
        help="leave out the CSF in sulci and fissures",
    )
    add_prediction(parser)
    add_cohort(parser)
    add_threads(parser)


def run(args: argparse.Namespace) -> int:
    """Strip all inputs; 1 if some failed."""
    limit_threads(args.threads)
    from synthtf.data.bids import Derivative
    from synthtf.inference.cohorts.cohort import Cohort, Output

    with usage_errors():
        kinds = {
            name: Output(getattr(args, name), ending, Derivative("brain", suffix))
            for name, (ending, suffix) in _OUTPUTS.items()
            if getattr(args, name)
        }
        if not kinds:
            raise UsageError("expected at least one output: -o, -m or -d")
        cohort = Cohort.plan(chosen_input(args), kinds, sidecars=args.sidecars)
        folder = model_folder(args.model, "stripping")
        budget = memory_budget(args)
    return process_cohort(args, cohort, folder, lambda: _prepare(args, cohort, folder, budget))


def _prepare(
    args: argparse.Namespace, cohort: "Cohort", folder: Path, budget: "MemoryBudget"
) -> Callable[["Job"], None]:
    """Load the model; returns what strips a scan."""
    load_backend()
    from synthtf.inference.cohorts.cohort import Prediction
    from synthtf.inference.cohorts.provenance import Provenance
    from synthtf.inference.stripping import EmptyMaskWarning, strip
    from synthtf.tasks.run import Run

    model = Run.load(folder)
    cohort.describe()
    provenance = Provenance(model, args.command_line, _FACTS, cohort.root)
    # An empty result is reported as a failure of its scan, not as a warning as well.
    warnings.simplefilter("ignore", EmptyMaskWarning)

    def predict(scan: Path) -> Prediction:
        options = {"border": args.border, "csf": args.csf, "flip": args.flip, "ct": args.ct}
        found = strip(scan, model, **options, budget=budget)
        volumes = {"output": found.image, "mask": found.mask, "distance": found.distance}
        empty = "no brain was found; does the model suit?"
        return Prediction(volumes, empty if found.is_empty else None)

    return lambda job: cohort.process(job, predict, provenance)
