"""Charts of trainings and results."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from synthtf.figures.drawing import new_figure, save


def learning_curve(log_csv: str | Path, path: str | Path) -> Path:
    """Draw loss and Dice over the epochs of a training.

    Args:
        log_csv: file written by `keras.callbacks.CSVLogger`, with the columns `epoch`, `loss` and
            any others. Columns with "loss" in their name go to one panel, those with "dice" to
            another.
        path: file to write; its folder is made if absent.

    Returns:
        The path.

    Raises:
        FileNotFoundError: if there is no such log.
        ValueError: if the log has no epoch or no loss column.
    """
    log_csv = Path(log_csv)
    if not log_csv.is_file():
        raise FileNotFoundError(f"{log_csv} does not exist; give the CSV log of a training")
    with log_csv.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    if not rows or "epoch" not in rows[0] or "loss" not in rows[0]:
        raise ValueError(
            f"{log_csv} must have the columns epoch and loss, as CSVLogger writes them, and at "
            f"least one epoch. Received: {list(rows[0]) if rows else 'no rows'}"
        )
    curves = {name: np.array([_as_number(row[name]) for row in rows]) for name in rows[0] if name}
    # What was never measured has no place in a legend.
    curves = {name: values for name, values in curves.items() if np.isfinite(values).any()}
    if "epoch" not in curves or "loss" not in curves:
        raise ValueError(f"{log_csv} must have a number in the columns epoch and loss")
    epochs = curves["epoch"] + 1
    losses = {n: c for n, c in curves.items() if "loss" in n and "dice" not in n}
    scores = {n: c for n, c in curves.items() if "dice" in n}
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(10 if scores else 5.5, 4, "white")
    panels = [("Loss", losses), ("Dice", scores)] if scores else [("Loss", losses)]
    for number, (name, panel) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), number + 1)
        for label, values in panel.items():
            known = np.isfinite(values)
            axes.plot(epochs[known], values[known], marker="o", markersize=3, label=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("Epoch")
        axes.set_ylabel(name)
        axes.grid(alpha=0.3)
        axes.legend()
        if name == "Dice":
            axes.set_ylim(0, 1)
    return save(figure, path)


def sweep_curve(
    name: str, values: Sequence[str], curves: Mapping[str, Sequence[float]], path: str | Path
) -> Path:
    """Draw what was reached for each value of a range.

    Args:
        name: name of the range.
        values: as text, in the order in which they are drawn, evenly spaced.
        curves: name to one number per value.
        path: file to write; its folder is made if absent.

    Returns:
        The path.
    """
    figure = new_figure(max(5.5, 0.9 * len(values)), 4, "white")
    axes = figure.add_subplot()
    for label, numbers in curves.items():
        axes.plot(range(len(values)), numbers, marker="o", label=label)
    axes.set_xticks(range(len(values)), values)
    axes.set_xlabel(name)
    if all("dice" in label for label in curves):
        axes.set_ylabel("Dice")
        axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return save(figure, path)


def dice_table(rows: Sequence[tuple[str, str, float]], path: str | Path) -> Path:
    """Draw Dice per structure as bars, one colour per contrast.

    Args:
        rows: triples (structure, contrast, Dice). Structures and contrasts are drawn in the
            order of their first triple; several values of a pair are averaged.
        path: file to write; its folder is made if absent.

    Returns:
        The path.

    Raises:
        ValueError: if there are no rows, or a Dice is neither in [0, 1] nor NaN.
    """
    if not rows:
        raise ValueError(f"`rows` must hold (structure, contrast, Dice). Received: rows={rows!r}")
    values: dict[tuple[str, str], list[float]] = {}
    for structure, contrast, dice in rows:
        if dice < 0 or dice > 1:
            raise ValueError(
                "`rows` must have a Dice in [0, 1] or NaN. "
                f"Received: {dice} for {structure} in {contrast}"
            )
        values.setdefault((structure, contrast), []).append(float(dice))
    structures = list(dict.fromkeys(structure for structure, _ in values))
    contrasts = list(dict.fromkeys(contrast for _, contrast in values))
    figure = new_figure(max(5.0, 1.5 + 0.5 * len(structures)), 4.2, "white")
    axes = figure.add_subplot()
    width = 0.8 / len(contrasts)
    for number, contrast in enumerate(contrasts):
        known = [i for i, s in enumerate(structures) if (s, contrast) in values]
        heights = [np.mean(values[structures[i], contrast]) for i in known]
        places = np.array(known) - 0.4 + (number + 0.5) * width
        axes.bar(places, heights, width, label=contrast)
    axes.set_xticks(range(len(structures)), structures, rotation=45, ha="right", fontsize=8)
    axes.set_ylim(0, 1)
    axes.set_ylabel("Dice")
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend(ncols=len(contrasts), fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return save(figure, path)


def _as_number(text: str | None) -> float:
    try:
        return float(text)
    except (TypeError, ValueError):  # CSVLogger writes NA for epochs without validation
        return float("nan")
