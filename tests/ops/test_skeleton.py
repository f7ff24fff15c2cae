import numpy as np
import pytest
from keras import ops
from scipy import ndimage

from synthtf.evaluation.centre_lines import centre_line
from synthtf.ops.skeleton import soft_skeleton


@pytest.mark.parametrize("shape", [(30, 33), (16, 15, 17)])
def test_of_a_mask_it_is_its_centre_line(shape):
    noise = np.random.default_rng(0).normal(size=shape)
    mask = ndimage.gaussian_filter(noise, 2) > 0.02
    found = soft_skeleton(mask[None, ..., None].astype("float32"), 15)
    np.testing.assert_array_equal(ops.convert_to_numpy(found)[0, ..., 0], centre_line(mask))
    assert 0 < centre_line(mask).sum() < mask.sum()
