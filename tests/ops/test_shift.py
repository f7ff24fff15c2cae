import numpy as np
import pytest
from keras import ops
from scipy import ndimage

from synthtf.ops.shift import shift_along_axis, translate


@pytest.mark.parametrize("shape", [(9, 7), (6, 8, 5), (6, 1, 5)])
@pytest.mark.parametrize("channels", [1, 2])
def test_agrees_with_scipy_along_each_axis(shape, channels):
    rng = np.random.default_rng(0)
    ndim = len(shape)
    volume = rng.standard_normal((ndim, *shape, channels)).astype("float32")
    displacement = rng.uniform(-3, 3, (ndim, *shape)).astype("float32")
    axis = np.arange(ndim, dtype="int32")
    for how, order in (("linear", 1), ("nearest", 0)):
        out = ops.convert_to_numpy(shift_along_axis(volume, displacement, axis, how))
        for k in range(ndim):
            at = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij")).astype("float64")
            at[k] = at[k] + displacement[k]
            for c in range(channels):
                expected = ndimage.map_coordinates(
                    volume[k, ..., c], at, order=order, mode="nearest"
                )
                np.testing.assert_allclose(out[k, ..., c], expected, atol=1e-5)


def test_translate_agrees_with_scipy():
    volume = np.random.default_rng(0).standard_normal((2, 80, 9, 8, 1)).astype("float32")
    shift = np.array([[3.25, -1.5, 0], [-4, 0, 2.75]], "float32")
    out = ops.convert_to_numpy(translate(volume, shift, [4, 2, 3]))
    for k in range(2):
        padded = np.pad(volume[k, ..., 0], 6)
        expected = ndimage.shift(padded, shift[k], order=1)[6:-6, 6:-6, 6:-6]
        np.testing.assert_allclose(out[k, ..., 0], expected, atol=1e-5)
