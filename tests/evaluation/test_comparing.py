import subprocess
import sys

import numpy as np
import pytest

from synthtf.data.grid import check_same_grid
from synthtf.data.label_table import LabelTable
from synthtf.data.volumes import Volume
from synthtf.evaluation.comparing import dice, evaluate, hausdorff95, volumes


def label_map(*boxes, shape=(12, 10, 8)):
    data = np.zeros(shape, "int32")
    for label, box in boxes:
        data[box] = label
    return data


def test_dice_of_boxes():
    a = label_map((1, np.s_[2:6, :4, :4]), (70000, np.s_[8:]))
    b = label_map((1, np.s_[4:8, :4, :4]), (2, np.s_[8:]))
    found = dice(a, b, [1, 2, 70000, 5])
    assert found[1] == 0.5
    assert found[2] == found[70000] == 0
    assert np.isnan(found[5])


def test_dice_of_negative_labels():
    a = label_map((-1, np.s_[2:6]))
    assert dice(a, a, [-1, 0]) == {-1: 1, 0: 1}


def test_volumes():
    data = label_map((3, np.s_[:2, :3, :4]))
    assert volumes(data, (0.5, 1, 2), [3, 9]) == {3: 24, 9: 0}
    with pytest.raises(ValueError, match=r"a spacing for each of 3 axes, received \(1, 1\)"):
        volumes(data, (1, 1), [3])


def test_hausdorff_of_a_shifted_box_is_the_shift():
    a = label_map((1, np.s_[1:4, 2:6, 2:6]))
    b = np.roll(a, 5, axis=0)
    assert hausdorff95(a, b, 1, (1.5, 1, 1)) == pytest.approx(7.5)
    assert hausdorff95(a, a, 1, (1, 1, 1)) == 0
    assert np.isnan(hausdorff95(a, 0 * b, 1, (1, 1, 1)))
    assert np.isnan(hausdorff95(a, b, 2, (1, 1, 1)))


def test_hausdorff_is_symmetric_and_takes_the_larger_direction():
    a = label_map((1, np.s_[0:2]), shape=(20, 6))
    b = label_map((1, np.s_[0:2]), (1, np.s_[12]), shape=(20, 6))
    # All of a's surface is on b's; of b's 18 surface voxels, 6 are 11 voxels away.
    assert hausdorff95(a, b, 1, (2, 1)) == hausdorff95(b, a, 1, (2, 1)) == pytest.approx(22)


def test_hausdorff_leaves_out_five_percent():
    a = label_map((1, np.s_[2:42, 2:42]), shape=(100, 60))
    b = a.copy()
    b[90, 50] = 1
    assert hausdorff95(a, b, 1, (1, 1)) == 0


def test_distances_are_between_surfaces():
    # A hole in the middle is surface, although the boxes have the same outline.
    a = label_map((1, np.s_[:]), shape=(9, 9, 9))
    b = a.copy()
    b[4, 4, 4] = 0
    distances = [3] * 6 + [0] * (9**3 - 7**3)
    assert hausdorff95(a, b, 1, (1, 1, 1)) == np.percentile(distances, 95)


@pytest.fixture
def table():
    return LabelTable.from_labels([1, 2, 3])


def test_evaluate(table):
    a = label_map((1, np.s_[1:4, 2:6, 2:6]), (3, np.s_[8:10]))
    b = label_map((1, np.s_[2:5, 2:6, 2:6]))
    affine = np.diag([2.0, 1, 1, 1])
    rows = evaluate(Volume(a, affine), Volume(b, affine), table)
    assert [row["label"] for row in rows] == [1, 3]
    assert rows[0] == {
        "label": 1,
        "name": "label 1",
        "dice": pytest.approx(2 / 3),
        "hausdorff95_mm": pytest.approx(2),
        "volume_mm3": pytest.approx(96),
        "reference_volume_mm3": pytest.approx(96),
    }
    assert rows[1]["dice"] == 0
    assert rows[1]["reference_volume_mm3"] == 0
    assert np.isnan(rows[1]["hausdorff95_mm"])


def test_other_grids_are_refused(table, tmp_path):
    data = label_map((1, np.s_[2:4]))
    affine = np.diag([1.0, 1, 1, 1])
    shifted = affine.copy()
    shifted[0, 3] = 0.5
    reference = Volume(data, affine, path=tmp_path / "reference.nii.gz")
    with pytest.raises(ValueError, match=r"reference.nii.gz have the shapes \(11, 10, 8\) and"):
        evaluate(Volume(data[1:], affine), reference, table)
    with pytest.raises(ValueError, match=r"put a corner 0.5 mm apart: resample one of them"):
        evaluate(Volume(data, shifted), reference, table)
    rotated = affine.copy()
    rotated[:2, :2] = [[np.cos(0.01), -np.sin(0.01)], [np.sin(0.01), np.cos(0.01)]]
    with pytest.raises(ValueError, match=r"put a corner 0\.142 mm apart"):
        check_same_grid(Volume(data, rotated), reference)


def test_rounding_of_an_affine_is_accepted():
    data = label_map((1, np.s_[2:4]))
    affine = np.diag([0.7, 1, 1.3, 1])
    check_same_grid(
        Volume(data, affine.astype("float32")), Volume(data, affine + 1e-5 * (affine > 0))
    )


@pytest.mark.parametrize(
    "function", [lambda a, b: dice(a, b, [1]), lambda a, b: hausdorff95(a, b, 1, (1, 1, 1))]
)
def test_arrays_are_checked(function):
    a = label_map((1, np.s_[2:4]))
    with pytest.raises(ValueError, match=r"of one shape, received \(12, 10, 8\) and \(12, 10, 1\)"):
        function(a, a[..., :1])
    with pytest.raises(ValueError, match="a label map of integers, received float32"):
        function(a, a.astype("float32"))


def test_unknown_label_is_refused(table):
    data = label_map((7, np.s_[2:4]))
    volume = Volume(data, np.eye(4))
    with pytest.raises(ValueError, match="7"):
        evaluate(volume, volume, table)


def test_keras_is_not_imported():
    code = "import sys, synthtf.evaluation.comparing; print('keras' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "False"
