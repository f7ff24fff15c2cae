import numpy as np
import pytest
from keras import ops
from scipy.interpolate import BSpline

from synthtf.ops.splines import spline_matrix


def matrix(points, size, capacity, **arguments):
    points = np.array([points], "int32")
    return ops.convert_to_numpy(spline_matrix(points, size, capacity, **arguments))[0]


@pytest.mark.parametrize(("points", "size"), [(4, 9), (5, 11), (7, 23)])
@pytest.mark.parametrize("slope", [False, True])
def test_agrees_with_scipy(points, size, slope):
    coefficients = np.random.default_rng(0).standard_normal(points)
    spline = BSpline(np.arange(-2, points + 2) - 1.0, coefficients, 3)
    step = (points - 3) / (size - 1)
    expected = spline(np.arange(size) * step, nu=int(slope)) * (step if slope else 1)
    out = matrix(points, size, points, slope=slope) @ coefficients
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_points_beyond_those_in_use_do_nothing():
    few, many = matrix(5, 12, 5), matrix(5, 12, 8)
    np.testing.assert_array_equal(many[:, :5], few)
    assert not many[:, 5:].any()
    np.testing.assert_allclose(few.sum(1), 1, atol=1e-6)
