from dataclasses import replace

from synthtf.data.label_table import LabelTable
from synthtf.data.volume_shares import volume_shares


def table(*brain):
    return replace(LabelTable.from_labels(range(4)), outputs=(0, 1, 1, 3), brain=("no", *brain))


def test_the_range_over_maps():
    """Labels count as their output; the rest, and maps without a brain, do not."""
    counts = [{0: 50, 1: 10, 2: 20, 3: 10}, {1: 9, 3: 1}, {3: 5}, {0: 7}]
    known = table("yes", "yes", "yes")
    assert volume_shares(counts, known) == {"1": [0.0, 0.9], "3": [0.1, 1.0]}
    assert volume_shares(counts, table("yes", "yes", "no")) == {"1": [1.0, 1.0]}


def test_nothing_is_known_without_a_brain():
    assert volume_shares([{1: 3}], table("no", "no", "no")) == {}
    assert volume_shares([{0: 3}], table("yes", "yes", "yes")) == {}
