"""`synthtf info`: what a training run is."""

import argparse
import dataclasses
import json
from typing import TYPE_CHECKING

from synthtf.cli.arguments import model_folder
from synthtf.startup import load_backend
from synthtf.usage import usage_errors

if TYPE_CHECKING:
    from synthtf.tasks.run import Run


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "info",
        help="say what a training run is: task, labels, recipe, training",
        description="Say what a training run is: its task and network, its labels, the recipe of "
        "its synthetic images, and how it was trained.",
    )
    parser.add_argument(
        "model", metavar="RUN", help="folder of a training run (synthtf train), or name of a model"
    )


def run(args: argparse.Namespace) -> int:
    """Print the description of a run."""
    with usage_errors():
        folder = model_folder(args.model, "", "RUN")
    load_backend()
    from synthtf.tasks.run import Run

    model = Run.load(folder)
    for title, lines in (
        ("Network", _network(model)),
        ("Training", _facts(model.metadata)),
        ("Recipe", _facts(dataclasses.asdict(model.config))),
        ("Labels", _labels(model)),
    ):
        print(title, *(f"  {line}" for line in lines), sep="\n")
    return 0


def _network(model: "Run") -> list[str]:
    return _facts(
        {
            "folder": str(model.folder),
            "task": model.task,
            "spacing": " x ".join(f"{size:g}" for size in model.spacing) + " mm",
            "trained on": " x ".join(map(str, model.shape)) + " voxels",
            "size must be a multiple of": model.multiple,
            "weights": f"{model.task_model.count_params():,}",
        }
    )


def _facts(facts: dict[str, object]) -> list[str]:
    width = max(map(len, facts), default=0)
    return [f"{name:{width}}  {_text(value)}" for name, value in facts.items()]


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(item)}" for name, item in value.items())
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def _labels(model: "Run") -> list[str]:
    other = dict(model.output_pairs) | {right: left for left, right in model.output_pairs}
    lines = []
    for value in model.output_labels:
        sources = [label for label, output in model.table.mapping.items() if output == value]
        lines.append(
            f"{value:5d}  {model.table.name(value)}"
            + (f"  (mirrored: {other[value]})" if value in other else "")
            + (f"  (made from {', '.join(map(str, sources))})" if sources != [value] else "")
        )
    return lines
