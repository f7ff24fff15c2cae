import numpy as np
from keras import ops
from scipy.interpolate import BSpline

from synthtf.ops.lattice import lattice_field, lattice_shape
from synthtf.testing import check_mean


def test_blends_by_cubic_splines_of_unit_norm():
    shape, spacing, size, shift = (9,), (2.0,), 5.0, 0.3
    lattice = lattice_shape(shape, spacing, size)
    values = np.random.default_rng(0).normal(size=(1, *lattice, 1)).astype("float32")
    args = (np.array([size], "float32"), np.array([[shift]], "float32"), shape, spacing)
    field = ops.convert_to_numpy(lattice_field(values, *args))[0, :, 0]
    spline = BSpline.basis_element([-2, -1, 0, 1, 2], extrapolate=False)
    for x, value in enumerate(field):
        at = 2.0 * x / size + shift + 1 - np.arange(lattice[0])
        weight = np.nan_to_num(spline(at))
        np.testing.assert_allclose(weight.sum(), 1, atol=1e-6)  # the lattice is large enough
        expected = weight @ values[0, :, 0] / np.linalg.norm(weight)
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5)


def test_unit_variance_everywhere():
    shape, spacing = (7, 5, 6), (1.0, 2.0, 1.5)
    lattice = lattice_shape(shape, spacing, 4.0)
    rng = np.random.default_rng(1)
    values = rng.normal(size=(500, *lattice, 1)).astype("float32")
    size = rng.uniform(4, 9, 500).astype("float32")
    shift = rng.uniform(size=(500, 3)).astype("float32")
    field = ops.convert_to_numpy(lattice_field(values, size, shift, shape, spacing))
    for at in ((0, 0, 0), (6, 4, 5), (3, 2, 1)):
        check_mean(field[(slice(None), *at)] ** 2, 1)
