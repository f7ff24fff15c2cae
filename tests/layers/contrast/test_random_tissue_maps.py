import numpy as np
import pytest

from synthtf.data import LabelTable
from synthtf.data.phantoms import phantom_table
from synthtf.layers import RandomTissueMaps
from synthtf.layers.contrast.tissues import TISSUES, tissue_ranges
from synthtf.testing import LABELS, RandomLayerContract, check_mean, make_keys, repeat, to_arrays

NAMES = ("background", "WM", "cortex", "CSF")
FIXED = [(0.5, 1000, 100, 60), (0.25, 500, 50, 40), (1, 4000, 2000, 900)]


class TestRandomTissueMaps(RandomLayerContract):
    layer = RandomTissueMaps
    kind = "labels"
    arguments = {"labels": LABELS, "tissues": NAMES}
    variants = [
        {"groups": (0, 1, 1, 2)},
        {"labels": (2, 41, 70000), "tissues": ("fat", *FIXED[:2])},
    ]
    identity_arguments = {"probability": 0}
    invalid = [
        (
            {"labels": (1, 1, 2, 3)},
            "`labels` must be distinct labels",
        ),
        ({"tissues": ("WM",)}, r"`tissues` must have one entry per label \(4\)"),
        ({"tissues": ("WM", "WM", "WM", (1, 2, 3))}, "names or four ranges each"),
        ({"tissues": ("WM", "WM", "WM", 5)}, "names or four ranges each"),
        ({"tissues": ("WM", "WM", "WM", (2, 2, 3, 4))}, "proton density` must lie in"),
        ({"tissues": ("WM", "WM", "WM", (1, (9, 2), 3, 4))}, "low <= high"),
        ({"groups": (1, 2)}, r"`groups` must have one entry per label \(4\)"),
    ]

    def expected_identity(self, inputs):
        """The middle of each range."""
        middle = [[np.mean(r) for r in tissue_ranges(name)] for name in NAMES]
        return np.array(middle, "float32")[np.searchsorted(LABELS, inputs[..., 0])]


def maps_of(values, num=1, **arguments):
    """Maps of each label value, for several keys: `(num, values, 4)`."""
    labels = np.array(values, "int32").reshape(1, -1, 1, 1)
    layer = RandomTissueMaps(**{"labels": values, **arguments})
    return to_arrays(layer(repeat(labels, num), make_keys(num)))[0].reshape(num, -1, 4)


@pytest.mark.parametrize("largest", [2035, 70000])
def test_labels_have_their_own_numbers(largest):
    out = maps_of([0, 9, largest, 3], labels=[largest, 3, 0], tissues=FIXED)[0]
    np.testing.assert_allclose(out, [FIXED[2], [0] * 4, FIXED[0], FIXED[1]])


def test_names_of_label_tables_are_known(shared):
    tables = [phantom_table(), LabelTable.read(shared("data/label_maps/labels.tsv"))]
    soft = TISSUES["soft tissue"]
    for table in tables:
        unknown = {g for g in table.groups if tissue_ranges(g) == soft} - {"outside"}
        assert not unknown
    assert tissue_ranges("Grey Matter") == TISSUES["gray matter"]
    assert tissue_ranges("something else") == soft


def test_numbers_are_uniform_and_in_the_range_of_the_tissue():
    for name in ("gray matter", "CSF"):
        out = maps_of([1, 2], 150, tissues=[name, name])
        for k, (low, high) in enumerate(TISSUES[name][:3]):
            assert (out[..., k] >= low).all() and (out[..., k] <= high).all()
            check_mean(out[..., k], (low + high) / 2)
            check_mean((out[..., k] - (low + high) / 2) ** 2, (high - low) ** 2 / 12)
        assert np.abs(out[:, 0] - out[:, 1]).min(axis=0).max() > 0


def test_decay_without_refocusing_is_never_the_slower_one():
    out = maps_of([1], 200, tissues=[(1, 900, (20, 100), (20, 100))])
    assert (out[..., 3] <= out[..., 2]).all()
    check_mean(out[..., 3], 20 + 80 / 3)  # the mean of the smaller of two uniform numbers
    for ranges in TISSUES.values():
        assert ranges[3][1] <= ranges[2][1] <= ranges[1][1]


def test_groups_share_their_numbers():
    out = maps_of([1, 2, 3], 20, tissues=["WM"] * 3, groups=[8, 5, 8])
    np.testing.assert_array_equal(out[:, 0], out[:, 2])
    assert (out[:, 0] != out[:, 1]).all()


def test_refuses_floats():
    with pytest.raises(ValueError, match="must be integer"):
        RandomTissueMaps([1], ["WM"])(np.zeros((1, 4, 4, 1), "float32"))
