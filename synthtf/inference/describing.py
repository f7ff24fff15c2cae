"""What a training run is, in words."""

import json
import os
from typing import TYPE_CHECKING

from synthtf.data.shipped_models import model_folder
from synthtf.startup import load_backend
from synthtf.usage import usage_errors

if TYPE_CHECKING:
    from synthtf.runs.run import Run


def describe_run(model: str | os.PathLike) -> str:
    """Describe the network of a run, its training, its recipe and its labels.

    Args:
        model: folder of a run, or name of a model of the package.

    Returns:
        Lines of text.

    Raises:
        ValueError: if there is no such run, or a file of it does not hold what it should.
        FileNotFoundError: if a file of it is missing.
    """
    with usage_errors():
        folder = model_folder(model, "", "RUN")
    load_backend()
    from synthtf.runs.run import Run

    run = Run.load(folder)
    parts = {
        "Network": _network(run),
        "Training": _facts(run.metadata),
        "Recipe": _recipe(run),
        "Labels": _labels(run),
    }
    return "\n".join("\n  ".join([title, *lines]) for title, lines in parts.items())


def _network(run: "Run") -> list[str]:
    return _facts(
        {
            "folder": str(run.folder),
            "task": run.task,
            "spacing": " x ".join(f"{size:g}" for size in run.spacing) + " mm",
            "trained on": " x ".join(map(str, run.shape)) + " voxels",
            "size must be a multiple of": run.multiple,
            "weights": f"{run.task_model.count_params():,}",
        }
    )


def _recipe(run: "Run") -> list[str]:
    width = max(map(len, run.recipe.names))
    lines = []
    for name, entry in zip(run.recipe.names, run.recipe.entries(), strict=True):
        given = {k: v for k, v in entry.items() if k not in ("layer", "name", "module")}
        arguments = ", ".join(f"{key}={value!r}" for key, value in given.items())
        lines.append(f"{name:{width}}  {entry['layer']}({arguments})")
    return lines


def _facts(facts: dict[str, object]) -> list[str]:
    width = max(map(len, facts), default=0)
    return [f"{name:{width}}  {_text(value)}" for name, value in facts.items()]


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(item)}" for name, item in value.items())
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def _labels(run: "Run") -> list[str]:
    other = dict(run.output_pairs) | {right: left for left, right in run.output_pairs}
    lines = []
    for value in run.output_labels:
        sources = [label for label, output in run.table.mapping.items() if output == value]
        lines.append(
            f"{value:5d}  {run.table.name(value)}"
            + (f"  (mirrored: {other[value]})" if value in other else "")
            + (f"  (made from {', '.join(map(str, sources))})" if sources != [value] else "")
        )
    return lines
