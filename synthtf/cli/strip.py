"""`synthtf strip`: remove what is not brain from scans of any contrast."""

import argparse
import warnings
from dataclasses import dataclass
from pathlib import Path

from synthtf.cli.arguments import (
    add_input,
    add_model,
    add_prediction,
    add_threads,
    chosen_input,
    existing_folder,
)
from synthtf.cli.batch import for_each_file
from synthtf.cli.startup import limit_threads, load_backend
from synthtf.cli.usage import UsageError, usage_errors

_OUTPUTS = {"output": "_brain", "mask": "_mask", "distance": "_sdt"}
"""Options of the outputs, and what their names get in a folder."""


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "strip",
        help="remove what is not brain from scans of any contrast",
        description="Find the brain in scans of any contrast, orientation and resolution, with "
        "skull or without. Results have the grid and the geometry of the scan; each frame is "
        "stripped by itself. Existing outputs are overwritten.",
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
        default=1.0,
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
    add_threads(parser)


@dataclass(frozen=True)
class _Job:
    scan: Path
    outputs: dict[str, Path]


def run(args: argparse.Namespace) -> int:
    """Strip all inputs; 1 if some failed."""
    limit_threads(args.threads)
    from synthtf.data.paths import expand_inputs, pair_outputs

    with usage_errors():
        source = chosen_input(args)
        scans = expand_inputs(source)
        wanted = {name: getattr(args, name) for name in _OUTPUTS if getattr(args, name)}
        if not wanted:
            raise UsageError("expected at least one output: -o, -m or -d")
        paths = {
            name: pair_outputs(source, target, _OUTPUTS[name]) for name, target in wanted.items()
        }
        folder = existing_folder(args.model, "--model")

    load_backend()
    from synthtf.data.volume_writer import write_volume
    from synthtf.inference.strip import EmptyMaskWarning, strip
    from synthtf.tasks.run import Run

    model = Run.load(folder)

    def strip_one(job: _Job) -> None:
        options = {"border": args.border, "csf": args.csf, "flip": args.flip, "ct": args.ct}
        found = strip(job.scan, model, **options)
        results = {"output": found.image, "mask": found.mask, "distance": found.distance}
        for name, path in job.outputs.items():
            write_volume(path, results[name].data, like=results[name])
        if found.is_empty:
            raise ValueError("no brain was found; does the model suit?")

    # An empty result is reported as a failure of its scan, not as a warning as well.
    warnings.simplefilter("ignore", EmptyMaskWarning)
    jobs = [
        _Job(scan, {name: paths[name][index] for name in paths}) for index, scan in enumerate(scans)
    ]
    failed = for_each_file("strip", jobs, strip_one, path=lambda job: job.scan, debug=args.debug)
    return 1 if failed else 0
