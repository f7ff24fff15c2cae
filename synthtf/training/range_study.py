"""Trainings that differ in one range of the recipe, each from the same weights."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from synthtf import figures
from synthtf.batch import Outcome
from synthtf.data.paths import output_in
from synthtf.data.tables import format_table, refuse_other_file, write_table
from synthtf.synthesis import Recipe
from synthtf.training.plan import TrainingPlan
from synthtf.training.schedule import Schedule
from synthtf.training.sweep import check_name
from synthtf.training.workflow import train_run
from synthtf.usage import usage_errors

TABLE, FIGURE = "sweep.csv", "sweep.png"


def study_range(
    maps: Any,
    folder: str | os.PathLike,
    plan: TrainingPlan,
    schedule: Schedule,
    name: str,
    values: Sequence[str],
    verbose: int | str = "auto",
) -> Outcome:
    """Train once for each value of a range, with all else fixed, and compare what was reached.

    Args:
        maps: as for `train_run`.
        folder: made if it does not exist; gets a run per value, `sweep.csv` and `sweep.png`. Values
            whose training is done are not trained again, and one that was stopped goes on.
        plan: what to train; its `start` is the run from whose weights each training begins.
        schedule: of each training; with real scans to be validated on, what counts is their Dice.
        name: of the range, dotted, such as "blur.std".
        values: numbers such as "0.5", or ranges such as "0:2".
        verbose: of `fit`.

    Returns:
        As text the table.

    Raises:
        ValueError: if the recipe has no such range, or it cannot have a value.
    """
    folder = Path(folder)
    with usage_errors():
        recipe = Recipe.of(plan.recipe)
        check_name(recipe, name)
        step, argument = name.split(".")
        recipes = {text: recipe.change(step, **{argument: as_value(text)}) for text in values}
        if len(recipes) < 2:
            raise ValueError(f"expected two or more values. Received: {' '.join(values)}")
    rows = []
    for text, varied in recipes.items():
        place = output_in(folder, f"{name}_{text.replace(':', '_to_')}")
        chosen = replace(plan, recipe=varied)
        run = train_run(maps, place, chosen, schedule, resume=True, verbose=verbose)
        rows.append({"value": text, **run.metadata["last_epoch"]})
    columns = list(dict.fromkeys(column for row in rows for column in row))
    table = output_in(folder, TABLE)
    refuse_other_file(table, columns)
    write_table(table, columns, rows)
    scores = [column for column in columns if "dice" in column] or ["loss"]
    curves = {column: [row.get(column, float("nan")) for row in rows] for column in scores}
    figures.sweep_curve(name, list(recipes), curves, folder / FIGURE)
    text = format_table({"value": "", **dict.fromkeys(columns[1:], ".3f")}, rows)
    return Outcome(len(rows), text=f"{name}\n{text}\nlook at {folder / FIGURE}")


def as_value(text: str) -> Any:
    """Read a number, or a range of two.

    Raises:
        ValueError: if it is neither.

    Example:
    >>> as_value("3"), as_value("0:0.5")
    (3, (0, 0.5))
    """
    parts = []
    for part in text.split(":"):
        try:
            parts.append(int(part))
        except ValueError:
            try:
                parts.append(float(part))
            except ValueError:
                parts = []
                break
    if len(parts) not in (1, 2):
        raise ValueError(f"expected a number such as 0.5 or a range such as 0:2. Received: {text}")
    return parts[0] if len(parts) == 1 else tuple(parts)
