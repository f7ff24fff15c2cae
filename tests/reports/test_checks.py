"""Warnings of reports: each where it belongs, and none where all is well."""

import numpy as np
import pytest

from synthtf.data.label_table import LabelTable
from synthtf.data.volumes import Volume
from synthtf.reports.checks import check_labels, check_mask, check_total, fragments

TABLE = """id\tname\tside\tpartner\toutput\ttissue\tbrain
0\tbackground\tnone\t-\t0\tbackground\tno
2\tleft white matter\tleft\t41\t2\tWM\tyes
41\tright white matter\tright\t2\t41\tWM\tyes
16\tbrain stem\tnone\t-\t16\tstem\tyes
99\tscalp\tnone\t-\t0\toutside\tno
"""


@pytest.fixture
def table(tmp_path):
    (tmp_path / "labels.tsv").write_text(TABLE)
    return LabelTable.read(tmp_path / "labels.tsv")


def brain():
    labels = np.zeros((30, 20, 20), np.int32)
    labels[4:14, 4:14, 8:16] = 2
    labels[16:26, 4:14, 8:16] = 41
    labels[12:18, 6:12, 2:8] = 16
    return labels


def check(labels, table, named=True, spacing=2.0):
    volume = Volume(labels, np.diag([spacing, spacing, spacing, 1]))
    counts = {int(v): float(n) for v, n in zip(*np.unique(labels, return_counts=True), strict=True)}
    counts.pop(0, None)
    return check_labels(volume, counts, table, named)


def test_nothing_is_wrong_with_a_good_segmentation(table):
    labels = brain()
    labels[0, :, :] = 99  # what is not brain may touch the border, and be in pieces
    labels[-1, :, :] = 99
    assert check(labels, table) == []


def test_values_that_the_table_does_not_list(table):
    labels = brain()
    labels[20, 6, 10] = 77
    assert check(labels, table) == ["labels that the table does not list: 77 (1 mm³)"]
    assert check(labels, table, named=False) == []


def test_empty_structures(table):
    labels = brain()
    assert check(np.where(labels == 16, 0, labels), table) == ["empty structures: brain stem"]
    assert check(np.where(labels == 41, 0, labels), table) == [
        "empty structures: right white matter"
    ]


def test_a_long_table_lists_more_than_to_expect(tmp_path):
    lines = [f"{i}\tregion {i}" for i in range(100, 120)]
    path = tmp_path / "long.tsv"
    path.write_text("id\tname\n2\tleft thalamus\n41\tright thalamus\n" + "\n".join(lines) + "\n")
    table = LabelTable.read(path)
    assert check(brain() * (brain() != 16), table) == []
    # The other side of what occurs is missed all the same.
    assert check(brain() * (brain() == 2), table) == ["empty structures: right thalamus"]


def test_swapped_sides(table):
    warnings = check(np.flip(brain(), axis=0), table)
    assert len(warnings) == 1
    assert "are the sides swapped?" in warnings[0]


@pytest.mark.parametrize(
    "axis, index, border",
    [
        (0, 0, "left"),
        (0, -1, "right"),
        (1, 0, "posterior"),
        (2, 0, "inferior"),
        (2, -1, "superior"),
    ],
)
def test_structures_at_the_border(table, axis, index, border):
    labels = brain()
    place = [15, 8, 5]
    place[axis] = index
    labels[tuple(place)] = 16
    assert f"touches the {border} border of the field of view: brain stem (1 voxel)" in check(
        labels, table
    )


def test_a_slice_of_one_voxel_has_no_border_across(table):
    assert check(brain()[:, :, 8:9] * (brain()[:, :, 8:9] != 16), table)[1:] == []


def test_pieces_of_notable_size(table):
    labels = brain()
    labels[12:18, 16:18, 2:4] = 16  # 24 voxels of 8 mm³
    warnings = check(labels, table)
    assert warnings == ["more than one piece: brain stem (2 pieces: 1,728, 192 mm³)"]
    assert check(labels, table, spacing=1.0) == []  # 24 mm³


def test_a_piece_of_a_large_structure_needs_a_share_of_it(table):
    labels = np.zeros((40, 30, 30), np.int32)
    labels[2:37, 2:28, 2:24] = 16
    labels[10:15, 10:15, 26:28] = 16  # 50 voxels of 20020
    quiet = check(labels, table, spacing=2.0)
    assert not any("piece" in line for line in quiet)
    assert any("2 pieces" in line for line in check(labels, table, spacing=3.0))  # 1.35 mL


def test_fragments_of_values_that_are_large():
    labels = np.zeros((3, 3, 9), np.int32)
    labels[0, 0, 0] = labels[1, 1, 1] = labels[0, 0, 8] = 2**31 - 1
    labels[2, 2, 5] = 4
    # Voxels that share a corner are one component.
    assert fragments(labels, 0.5) == {4: [0.5], 2**31 - 1: [1.0, 0.5]}
    assert fragments(np.zeros((2, 2, 2), np.int32), 1) == {}


def mask(**changes):
    data = np.zeros((20, 20, 20), np.int32)
    data[3:17, 3:17, 3:17] = 255
    return Volume(data, np.diag([1.0, 1, 1, 1]))


def test_masks():
    good = mask()
    assert check_mask(good) == []
    holed = mask()
    holed.data[6:12, 6:12, 6:12] = 0
    assert check_mask(holed) == ["holes in the mask: 216 mm³"]
    cut = mask()
    cut.data[8, 8, 17:] = 255
    assert check_mask(cut) == ["touches the superior border of the field of view: mask (1 voxel)"]
    empty = Volume(np.zeros((4, 4, 4), np.int32), np.eye(4))
    assert check_mask(empty) == ["every voxel is background"]


def test_volumes_of_a_brain():
    assert check_total("mask", 1.4e6) == []
    assert check_total("mask", 0.0) == []
    assert check_total("mask", 1300.0)[0].startswith("small volume (mask): 1.3 mL; most adult")
    assert check_total("brain", 2.5e6)[0].startswith("large volume (brain): 2,500 mL;")
