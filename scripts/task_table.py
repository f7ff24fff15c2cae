"""Write docs/tasks.md: tasks and recipes, from the cards and from what the tasks say of themselves.

    python scripts/task_table.py

A card is the README.md in a folder of models/. What it was trained on is its line "Trained on: ..."
or the row "Training data" of its table; what it reached, its line or row "Reached".
"""

import itertools
import json
import re
import sys
from pathlib import Path

from synthtf.data.shipped_models import shipped_models
from synthtf.tasks.registry import tasks
from synthtf.training.guidance import ADVICE

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "tasks.md"
COLUMNS = ("task", "command", "recipe", "trained on", "reached")
_HEAD = """# Tasks

What can be trained, what uses it, and what came of it here. `python scripts/task_table.py` writes
this page from the cards in [models](../models) and from the tasks themselves. More figures, the
data and the commands are in the cards. Recipes in bold come with a trained network.
`synthtf check LABEL_DIR --task NAME` says the same of a task, and what follows from the steps of a
recipe.

"""
_SAID = re.compile(
    r"^(?:\| *)?(?P<what>Trained on|Training data|Reached)(?:: *| *\| *)(?P<text>.+)"
)


def cards() -> list[dict[str, str]]:
    """Read the rows of the table, in the order of the tasks."""
    order, shipped, found = list(tasks()), shipped_models(), []
    for card in sorted((ROOT / "models").glob("*/README.md")):
        name, text = card.parent.name, card.read_text(encoding="utf-8")
        task = _task(card.parent, text)
        if task not in order:
            continue
        link = f"[{name}](../models/{name}/README.md)"
        row = {
            "task": task,
            "command": f"`synthtf {_command(task, text)}`",
            "recipe": f"**{link}**" if name in shipped else link,
            "trained on": "not trained here",
            "reached": "",
        }
        found.append(row | _said(text))
    return sorted(found, key=lambda row: (order.index(row["task"]), row["recipe"]))


def _task(folder: Path, text: str) -> str | None:
    """Task of a network, or that for which a card says to take the recipe."""
    if (folder / "run.json").is_file():
        return json.loads((folder / "run.json").read_text(encoding="utf-8"))["task"]
    used = re.search(r"^ {4}synthtf train (\S+)", text, re.MULTILINE)
    return used and used.group(1)


def _command(task: str, text: str) -> str:
    """Name the command by which a card says to use the network; that of the task by default."""
    used = re.findall(r"^ {4}synthtf ([a-z-]+)", text, re.MULTILINE)
    others = [name for name in used if name not in ("train", "synthesize")]
    return others[0] if others else tasks()[task].command


def _said(text: str) -> dict[str, str]:
    """Find what a card says of its training and its results, each up to the next one."""
    found = {}
    for paragraph in text.split("\n\n"):
        lines = paragraph.split("\n")
        for number, line in enumerate(lines):
            if said := _SAID.match(line):
                rest = [] if line.startswith("|") else lines[number + 1 :]
                rest = itertools.takewhile(lambda other: not _SAID.match(other), rest)
                whole = " ".join([said["text"].rstrip(" |"), *rest]).rstrip(".")
                column = "reached" if said["what"] == "Reached" else "trained on"
                found.setdefault(
                    column, whole.partition("; ")[0] if "data" in said["what"] else whole
                )
    return found


def page() -> str:
    """Give the text of the page."""
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    lines += [f"| {' | '.join(row[column] for column in COLUMNS)} |" for row in cards()]
    lines += ["", "For all tasks:", "", *(f"- {clause}" for clause in ADVICE)]
    for name, task in tasks().items():
        lines += [
            "",
            f"## {name}",
            "",
            f"Learns to {task.summary}; used by `synthtf {task.command}`.",
        ]
        for title, clauses in (("Not for", task.unsuited), ("Advised", task.advice)):
            lines += ["", f"{title}:", "", *(f"- {clause}" for clause in clauses)]
    return _HEAD + "\n".join(lines) + "\n"


def main() -> int:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
