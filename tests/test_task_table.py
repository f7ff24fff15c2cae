"""The table of tasks is what the cards and the tasks say."""

from scripts_as_modules import load_script

from synthtf.data.shipped_models import shipped_models
from synthtf.tasks.registry import tasks

script = load_script("task_table")


def test_the_page_is_up_to_date():
    """If not: python scripts/task_table.py"""
    assert script.PAGE.read_text(encoding="utf-8") == script.page()


def test_each_network_says_what_it_reached_and_each_task_is_there():
    rows = script.cards()
    assert {row["task"] for row in rows} <= set(tasks())
    for name in shipped_models():
        (row,) = [row for row in rows if f"**[{name}]" in row["recipe"]]
        assert row["reached"] and row["trained on"] != "not trained here"
    for name, task in tasks().items():
        assert f"## {name}\n" in script.page() and all(c in script.page() for c in task.unsuited)


def test_lines_of_a_card_are_found_to_the_next_one_or_the_end_of_their_paragraph():
    text = "# a\n\nTrained on: ten maps,\nfive of them old.\nReached: Dice 0.5\nof two.\n\nMore.\n"
    found = script._said(text)
    assert found == {"trained on": "ten maps, five of them old", "reached": "Dice 0.5 of two"}
    row = script._said(
        "| | |\n|---|---|\n| Training data | 18 maps; 2 left out |\n| Reached | 1 |\n"
    )
    assert row == {"trained on": "18 maps", "reached": "1"}
