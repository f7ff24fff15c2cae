import types

import keras
import numpy as np
import pytest

from synthtf.data.volumes import Volume
from synthtf.inference import segment
from synthtf.inference.absent import absent

SPACING = (2.0, 2.0, 2.0)


def head(empty=0.0, lowest=0.0):
    """A ball of tissue with a hole and a gap, both without signal, in what a mask left."""
    grid = np.indices((32, 32, 32)) - 15.5
    image = np.random.default_rng(0).uniform(50, 100, (32, 32, 32)).astype("float32")
    radius = np.linalg.norm(grid, axis=0)
    image[radius > 14] = empty
    image[radius < 5] = empty
    image[:12, 16, :] = empty
    image[16, 16, 30] = lowest
    return image, radius


@pytest.mark.parametrize(("empty", "lowest"), [(0.0, 0.0), (-7.0, -7.0), (0.0, -0.5)])
def test_what_a_mask_cut_away_is_absent_and_a_hole_is_not(empty, lowest):
    image, radius = head(empty, lowest)
    found = absent(image, SPACING)
    assert found[radius > 16].mean() > 0.999
    assert not found[radius < 5].any() and not found[8, 16, 8:24].any()
    assert not found[image > 0].any()


def test_noise_shows_that_something_was_measured():
    image, _ = head()
    assert absent(image + np.random.default_rng(1).random(image.shape), SPACING) is None


@pytest.mark.parametrize("conformed", [True, False])
def test_nothing_is_found_where_there_is_nothing(contrast_run, conformed):
    image = keras.Input((None, None, None, 1))
    ones = keras.ops.ones_like(image)
    network = keras.Model(image, keras.ops.concatenate([0.1 * ones, 0.9 * ones, 0 * ones], -1))
    fields = vars(contrast_run) | {"task_model": network, "spacing": SPACING}
    run = types.SimpleNamespace(**fields)
    data, radius = head()
    scan = Volume(data, np.diag([*SPACING, 1.0]))
    found = segment(scan, run, refine=False, cleaning=None, conformed=conformed)
    assert (found.labels.data[(data > 0) | (radius < 5)] == 10).all()
    assert not found.labels.data[radius > 16].any()
    tissue = np.count_nonzero(radius <= 14) * 8
    assert found.volumes[10] == pytest.approx(0.9 * tissue, rel=0.2)
