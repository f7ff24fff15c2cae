import time

import numpy as np
import pytest

from synthtf.data.label_table import LabelTable
from synthtf.inference.components import (
    Cleaning,
    keep_largest_component,
    one_piece_classes,
    remove_islands,
)


def two_pieces():
    labels = np.zeros((12, 12, 12), int)
    labels[1:4, 1:4, 1:4] = 1
    labels[4:6, 1:4, 1:4] = 2  # touches label 1: one piece with it
    labels[8:11, 8:11, 8:11] = 1
    return labels


def test_the_union_of_the_labels_counts():
    labels = two_pieces()
    posteriors = np.eye(3, dtype=np.float32)[labels]
    keep_largest_component(posteriors)
    expected = labels.copy()
    expected[8:, 8:, 8:] = 0
    np.testing.assert_array_equal(posteriors.argmax(-1), expected)
    np.testing.assert_allclose(posteriors.sum(-1), 1)


def test_faint_tails_go_and_the_border_of_the_piece_stays():
    posteriors = np.zeros((8, 8, 8, 2), np.float32)
    posteriors[..., 1] = 0.01
    posteriors[2:5, 2:5, 2:5, 1] = 0.9
    posteriors[5, 2:5, 2:5, 1] = 0.3
    posteriors[..., 0] = 1 - posteriors[..., 1]
    keep_largest_component(posteriors)
    np.testing.assert_allclose(posteriors[..., 1].sum(), 27 * 0.9 + 9 * 0.3, rtol=1e-5)


def test_an_empty_segmentation_stays_empty():
    posteriors = np.eye(2, dtype=np.float32)[np.zeros((4, 4, 4), int)]
    before = posteriors.copy()
    keep_largest_component(posteriors)
    np.testing.assert_array_equal(posteriors, before)


def soft(labels, num_labels, runner_up):
    """Posteriors of 0.7 for the labels, 0.2 for another one, and the rest for all."""
    posteriors = 0.7 * np.eye(num_labels)[labels] + 0.2 * np.eye(num_labels)[runner_up]
    return (posteriors + 0.1 / num_labels).astype(np.float32)


def test_an_island_goes_to_the_next_best_label():
    labels = np.full((10, 10, 10), 1)
    labels[1:4, 1:4, 1:4] = 2
    labels[7, 7, 7] = 2
    posteriors = soft(labels, 4, np.full(labels.shape, 3))
    before = posteriors.copy()
    remove_islands(posteriors, [[2]])
    expected = labels.copy()
    expected[7, 7, 7] = 3
    np.testing.assert_array_equal(posteriors.argmax(-1), expected)
    np.testing.assert_allclose(posteriors.sum(-1), 1, rtol=1e-6)
    assert posteriors[7, 7, 7, 2] == 0
    same = labels == expected
    np.testing.assert_array_equal(posteriors[same], before[same])


def test_labels_of_a_class_hold_together_and_others_are_left_alone():
    labels = np.zeros((12, 4, 4), int)
    labels[0:3], labels[3:5], labels[7:8], labels[10:11] = 1, 2, 1, 3
    posteriors = soft(labels, 4, np.zeros_like(labels))
    remove_islands(posteriors, [[1, 2]])
    expected = labels.copy()
    expected[7:8] = 0
    np.testing.assert_array_equal(posteriors.argmax(-1), expected)


def test_an_island_of_which_nothing_else_is_likely_becomes_background():
    labels = np.zeros((8, 3, 3), int)
    labels[:3], labels[5:6] = 1, 1
    posteriors = np.eye(2, dtype=np.float32)[labels]
    remove_islands(posteriors, [[1]])
    np.testing.assert_array_equal(posteriors[5:6, ..., 0], 1)
    np.testing.assert_allclose(posteriors.sum(-1), 1)


def test_a_minimum_size_is_in_cubic_millimetres():
    labels = np.ones((12, 6, 6), int)
    labels[1:4, 1:3, 1:3] = 2  # 12 voxels of 8 mm³
    labels[8:9, 1:3, 1:3] = 2  # 4 voxels
    posteriors = soft(labels, 3, np.ones_like(labels))
    for size, left in ((32, 16), (33, 12), (97, 0)):
        cleaned = posteriors.copy()
        Cleaning(largest_pieces=False, minimum_size=size).apply(cleaned, [], voxel=8.0)
        assert np.count_nonzero(cleaned.argmax(-1) == 2) == left


@pytest.mark.parametrize("size", [-1, float("nan"), float("inf")])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(ValueError, match="at least 0 mm³, received"):
        Cleaning(minimum_size=size)


TABLE = """id\tname\tside\tpartner\toutput\ttissue\tbrain
0\tbackground\tnone\t-\t0\tbackground\tno
2\tleft cerebral white matter\tleft\t41\t2\tWM\tyes
10\tLeft-Thalamus-Proper\tleft\t49\t10\tdeep grey\tyes
16\tBrain-Stem\tnone\t-\t16\tbrainstem\tyes
24\tCSF around the brain\tnone\t-\t24\tCSF\tcsf
41\tright cerebral white matter\tright\t2\t41\tWM\tyes
49\tRight-Thalamus-Proper\tright\t10\t49\tdeep grey\tyes
"""


def test_classes_follow_from_the_table(tmp_path):
    (tmp_path / "labels.tsv").write_text(TABLE)
    table = LabelTable.read(tmp_path / "labels.tsv")
    found = one_piece_classes(table, (0, 2, 10, 16, 24, 41, 49))
    # The brain, its sides, then thalami and brain stem; not the CSF, not white matter by itself.
    assert found == [[1, 2, 3, 5, 6], [1, 2], [5, 6], [2], [3], [6]]
    plain = LabelTable.from_labels([10, 20])
    assert one_piece_classes(plain, (0, 10, 20)) == [[1, 2]]


def test_thirty_labels_take_less_than_half_a_second():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 33, (10, 12, 10))
    labels = coarse.repeat(8, 0).repeat(8, 1).repeat(8, 2)
    posteriors = np.eye(33, dtype=np.float32)[labels]
    start = time.process_time()
    Cleaning().apply(posteriors, [[*range(1, 33)], *([i] for i in range(1, 33))], 8.0)
    assert time.process_time() - start < 2  # 0.4 s here; slower machines run tests, too
