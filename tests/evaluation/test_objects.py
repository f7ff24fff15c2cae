import math

import numpy as np
import pytest

from synthtf.cli.main import main
from synthtf.data.volume_writer import write_volume
from synthtf.evaluation import match_objects


def rows(*lengths):
    """Objects beside each other on a line, of these lengths."""
    return np.repeat(np.arange(len(lengths)), lengths)[None]


def test_objects_are_matched_one_to_one():
    true = rows(2, 8, 2, 8, 0, 6)
    found = match_objects(true, true)
    assert (found.objects, found.reference_objects, found.matched) == (4, 4, 4)
    assert found.average_precision == 1 and found.mean_iou == 1
    split = np.where((true == 1) & (np.arange(true.size) < 5), 9, true)  # 3 and 5 of 8 voxels
    found = match_objects(split, true)
    assert (found.objects, found.matched) == (5, 4)
    assert found.average_precision == 4 / 5 and found.mean_iou == pytest.approx((3 + 5 / 8) / 4)
    merged = np.where(true == 2, 1, true)  # 8 of 10 voxels
    assert match_objects(merged, true).average_precision == 3 / 4


def test_as_many_as_possible_are_matched_before_the_best_ones():
    """The larger overlap of one pair would leave two objects alone."""
    iou_first = np.array([[1] * 6 + [2] * 4])
    true = np.array([[1] * 5 + [2] * 5])
    assert match_objects(iou_first, true, threshold=0.05).matched == 2


def test_without_objects_there_is_nothing_to_match():
    empty, true = np.zeros((1, 9), int), rows(3, 6)
    assert math.isnan(match_objects(empty, empty).average_precision)
    assert match_objects(true, empty).average_precision == 0
    assert math.isnan(match_objects(empty, true).mean_iou)


@pytest.mark.parametrize("other", [np.zeros((2, 9), int), np.zeros((1, 9))])
def test_what_does_not_fit_is_refused(other):
    with pytest.raises(ValueError, match="expected label maps of"):
        match_objects(rows(3, 6), other)


def test_files_are_compared(tmp_path, capsys):
    true = np.zeros((8, 9, 10), "int32")
    true[1:4, 1:4, 1:4], true[5:8, 1:8, 5:8] = 1, 2
    for name, data in (("true", true), ("found", np.where(true == 2, 7, 0))):
        (tmp_path / name).mkdir()
        for scan in ("a", "b"):
            write_volume(tmp_path / name / f"{scan}.nii.gz", data.astype("int32"), affine=np.eye(4))
    folders = [str(tmp_path / "found"), str(tmp_path / "true")]
    table = tmp_path / "table.csv"
    assert main(["evaluate", *folders, "--instances", "--csv", str(table)]) == 0
    assert "0.500" in capsys.readouterr().out
    header, first, *_ = table.read_text().splitlines()
    assert header == "scan,objects,reference_objects,matched,average_precision,mean_iou"
    assert first.split(",")[1:4] == ["1", "2", "1"]
    assert main(["evaluate", *folders, "--centre-lines"]) == 0
    assert "centre_line_dice" in capsys.readouterr().out
