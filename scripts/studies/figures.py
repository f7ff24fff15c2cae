"""Draw what trainings reached."""

import numpy as np

from synthtf.evaluation.averages import mean
from synthtf.figures.drawing import new_figure, save


def draw_means(found, rows, path):
    """Draw a bar for each training and column, and a dot for each seed."""
    columns = list(next(iter(found.values())))
    figure = new_figure(1.5 + 0.27 * len(columns) * (len(found) + 1), 3.6, "white")
    axes = figure.add_subplot()
    width = 0.85 / len(found)
    for number, (name, line) in enumerate(found.items()):
        places = np.arange(len(columns)) - 0.425 + (number + 0.5) * width
        axes.bar(places, [mean(line[c]) for c in columns], width, label=name, alpha=0.75)
        for place, column in zip(places, columns, strict=True):
            axes.plot([place] * len(line[column]), line[column], "k.", markersize=3)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_ylim(0, 1)
    axes.set_ylabel("Dice")
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend(ncols=3, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    save(figure, path)


def draw_differences(found, rows, path):
    """Draw what is lost without each step, seed by seed against all steps."""
    (_, whole), *others = found.items()
    if not others:
        return
    columns = list(whole)
    loss = np.array(
        [
            [np.mean(np.subtract(line[c], whole[c][: len(line[c])])) for c in columns]
            for _, line in others
        ]
    )
    figure = new_figure(1.6 + 0.95 * len(columns), 0.8 + 0.38 * len(others), "white")
    axes = figure.add_subplot()
    bound = max(0.05, np.abs(loss).max())
    image = axes.imshow(loss, cmap="RdBu", vmin=-bound, vmax=bound, aspect="auto")
    for (row, column), value in np.ndenumerate(loss):
        shade = "white" if abs(value) > 0.6 * bound else "black"
        axes.text(column, row, f"{value:+.2f}", ha="center", va="center", fontsize=8, color=shade)
    axes.set_xticks(range(len(columns)), columns, fontsize=8)
    axes.set_yticks(range(len(others)), [name for name, _ in others], fontsize=8)
    figure.colorbar(image, label="change of Dice")
    save(figure, path)


def draw_steps(found, rows, path):
    """Draw the mean Dice over the contrasts against the steps, a line for each seed."""
    draw_curves(rows, "step", "steps", path)


def draw_times(found, rows, path):
    """Draw the mean Dice over the contrasts against the time, a line for each seed."""
    draw_curves(rows, "seconds", "seconds", path)


def draw_curves(rows, axis, label, path):
    """Draw the mean Dice over the contrasts against a column, a line for each seed."""
    figure = new_figure(6, 3.6, "white")
    axes = figure.add_subplot()
    names = list(dict.fromkeys(row["training"] for row in rows))
    for number, name in enumerate(names):
        mine = [r for r in rows if r["training"] == name and r["condition"] == "as it is"]
        for place, seed in enumerate(dict.fromkeys(row["seed"] for row in mine)):
            points = {}
            for row in mine:
                if row["seed"] == seed:
                    points.setdefault(float(row[axis]), []).append(float(row["dice"]))
            legend = {"label": name if name != "synthetic" else "Muon"} if not place else {}
            scores = [mean(values) for values in points.values()]
            axes.plot(list(points), scores, f"C{number}", alpha=0.7, **legend)
    axes.set_xlabel(label)
    axes.set_ylabel("Dice")
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    save(figure, path)
