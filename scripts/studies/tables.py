"""Lay out what trainings reached."""

import statistics

import numpy as np

from synthtf.evaluation.averages import mean


def final(rows, axis):
    """Give the last Dice of each training and column: a list with one number per seed.

    The columns are the contrasts of heads as they are, or the conditions, averaged over contrasts.
    """
    last = max(int(row["step"]) for row in rows)
    found = {}
    for row in rows:
        if int(row["step"]) == last and (axis == "condition" or row["condition"] == "as it is"):
            cell = found.setdefault(row["training"], {}).setdefault(row[axis], {})
            cell.setdefault(row["seed"], []).append(float(row["dice"]))
    return {
        name: {column: [mean(scores) for scores in cell.values()] for column, cell in line.items()}
        for name, line in found.items()
    }


def spread(values):
    """Mean over seeds, and standard deviation where there are several, as text."""
    several = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{mean(values):.2f}{several}"


def markdown(found):
    """Lay the last Dice out as a table."""
    columns = list(next(iter(found.values())))
    lines = ["| trained on | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, line in found.items():
        lines.append(f"| {name} | " + " | ".join(spread(line[c]) for c in columns) + " |")
    return "\n".join(lines)


def times_to(rows, levels):
    """Lay out how long a step takes, and how long it takes to reach levels of mean Dice."""
    curves = {}
    for row in rows:
        if row["condition"] == "as it is":
            curve = curves.setdefault(row["training"], {}).setdefault(row["seed"], {})
            point = curve.setdefault(int(row["step"]), (float(row["seconds"]), []))
            point[1].append(float(row["dice"]))
    wanted = " | ".join(f"Dice {level:g}" for level in levels)
    lines = [f"| learned from | a step (s) | {wanted} |", "|---" * (len(levels) + 2) + "|"]
    for name, seeds in curves.items():
        curves_of = [
            [(step, seconds, mean(scores)) for step, (seconds, scores) in curve.items()]
            for curve in seeds.values()
        ]
        step = statistics.median(curve[-1][1] / curve[-1][0] for curve in curves_of)
        cells = [f"{step:.2f}", *(_time_to(curves_of, level) for level in levels)]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _time_to(curves, level):
    """Give the mean time in which curves reach a level, if all of them do."""
    found = []
    for curve in curves:
        _, seconds, scores = np.transpose([(0, 0, 0), *curve])
        after = int(np.argmax(scores >= level))
        if not after:
            return "not reached"
        part = slice(after - 1, after + 1)
        found.append(np.interp(level, scores[part], seconds[part]))
    return f"{mean(found):.0f} s"
