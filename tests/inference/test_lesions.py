import types

import numpy as np
import pytest

from synthtf.data.label_table import LabelTable
from synthtf.inference.lesions import check_lesions, count_lesions, lesion_labels


def run_of(rows, outputs, tmp_path):
    (tmp_path / "labels.tsv").write_text("id\tname\toutput\n" + rows)
    table = LabelTable.read(tmp_path / "labels.tsv")
    return types.SimpleNamespace(name="a run", table=table, output_labels=outputs)


@pytest.mark.parametrize(
    "name", ["lesion", "WMH", "WM-hypointensities", "white matter hyperintensity", "MS Lesions"]
)
def test_lesions_are_known_by_their_names(tmp_path, name):
    run = run_of(f"2\twhite matter\t2\n77\t{name}\t77\n", (0, 2, 77), tmp_path)
    assert lesion_labels(run) == check_lesions(run) == (77,)


def test_what_counts_as_white_matter_is_no_lesion(tmp_path):
    run = run_of("2\twhite matter\t2\n25\tlesion-like white matter\t2\n", (0, 2), tmp_path)
    assert lesion_labels(run) == ()
    with pytest.raises(ValueError, match="a run: has no label for lesions"):
        check_lesions(run)


def test_lesions_are_counted_across_corners():
    labels = np.zeros((5, 5, 5), np.int32)
    labels[0, 0, 0], labels[1, 1, 1], labels[4, 4, 4], labels[0, 4, 4] = 77, 78, 77, 2
    assert count_lesions(labels, (77, 78)) == 2
    assert count_lesions(labels, (77,)) == 2
    assert count_lesions(labels, (5,)) == 0
