import numpy as np
import pytest

from synthtf.inference.brain_mask import brain_mask


def ball(radius, spacing=(1.0, 1.0, 1.0), extent=40.0):
    axes = [np.arange(-extent / 2, extent / 2 + s / 2, s) for s in spacing]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    return x**2 + y**2 + z**2 <= radius**2


def test_a_ball_is_closed_to_itself_and_a_cavity_filled():
    labels = 2 * ball(14).astype(np.int32)
    labels[20, 20, 20] = 0
    mask = brain_mask(labels, (1, 1, 1), closing_mm=5)
    assert np.array_equal(mask, ball(14))


def test_csf_counts_only_where_the_closing_reaches_it():
    labels = np.where(ball(12), 3, 0) + np.where(ball(16) & ~ball(12), 24, 0)
    labels[18:22, 20:, 18:22][labels[18:22, 20:, 18:22] == 3] = 24  # a sulcus to the middle
    assert np.array_equal(brain_mask(labels, (1, 1, 1), closing_mm=0), labels == 3)
    mask = brain_mask(labels, (1, 1, 1), closing_mm=4)
    assert mask[20, 28, 20], "the sulcus is closed"
    assert not mask[20, 20 + 15, 20], "the CSF around is not taken in"
    everything = brain_mask(labels, (1, 1, 1), closing_mm=0, exclude=())
    assert np.array_equal(everything, ball(16))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 1.0, 3.0), (2.0, 2.0, 2.0)])
def test_the_radius_is_in_mm(spacing):
    # A gap of 8 mm along the first axis is closed by a ball of 5 mm and not by one of 3 mm.
    num = [int(60 / s) for s in spacing]
    x = (np.arange(num[0]) + 0.5) * spacing[0]
    labels = np.zeros(num, np.int32)
    labels[(x > 10) & (x < 50)] = 3
    labels[(x > 26) & (x < 34)] = 0
    gap = (slice(int(29 / spacing[0]), int(31 / spacing[0])), num[1] // 2, num[2] // 2)
    assert brain_mask(labels, spacing, closing_mm=5)[gap].all()
    assert not brain_mask(labels, spacing, closing_mm=3)[gap].any()


def test_tissue_at_the_edge_of_the_scan_stays():
    labels = np.full((12, 12, 6), 3, np.int32)
    assert brain_mask(labels, (1, 1, 3)).all()


def test_nothing_gives_nothing():
    assert not brain_mask(np.full((5, 5, 5), 24), (1, 1, 1)).any()


@pytest.mark.parametrize(
    "spacing, closing, message",
    [((1, 1), 5, "spacing as 3 positive mm"), ((1, 1, 1), -1, "closing_mm.*received -1")],
)
def test_wrong_arguments_are_refused(spacing, closing, message):
    with pytest.raises(ValueError, match=message):
        brain_mask(np.ones((3, 3, 3), int), spacing, closing)
