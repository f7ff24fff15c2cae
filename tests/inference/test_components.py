import numpy as np

from synthtf.inference.components import keep_largest_component


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
