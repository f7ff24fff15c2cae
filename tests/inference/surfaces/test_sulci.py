import numpy as np
import pytest

from synthtf.inference.surfaces.sulci import open_sulci


@pytest.mark.parametrize(("width", "opened"), [(5, True), (9, True)])
def test_banks_share_the_cortex_between_them(width, opened):
    """Two slabs of white matter, and nothing but cortex seen between them."""
    within = np.zeros((10 + width, 8, 8), bool)
    within[:5] = within[5 + width :] = True
    pial = np.full(within.shape, 0.5, np.float32)
    found = open_sulci(pial, within, 1.0)
    inside = found[:, 4, 4] > 0
    middle = 5 + width // 2
    assert (not inside[middle]) == opened and inside[:6].all() and inside[-6:].all()
    assert 1 <= (~inside).sum() <= 3
    np.testing.assert_array_equal(inside, inside[::-1])


def test_one_bank_and_thin_cortex_stay_as_they_are():
    within = np.zeros((12, 8, 8), bool)
    within[:4] = True
    pial = np.where(np.arange(12)[:, None, None] < 8, 0.5, -0.5) * np.ones((12, 8, 8))
    np.testing.assert_array_equal(open_sulci(pial, within, 1.0) > 0, pial > 0)
    within[6:] = True  # a gap of two voxels, which is no more than white matter that was missed
    assert (open_sulci(np.full(pial.shape, 0.5), within, 1.0) > 0).all()
