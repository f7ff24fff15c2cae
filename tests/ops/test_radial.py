import numpy as np
import pytest
from keras import ops

from synthtf.ops.radial import radial_compression, radial_scaling, shortest_decay

SHAPE, SPACING, CENTRE = (60, 50), (1.0, 1.2), (28.0, 30.0)


def eigenvalues(radius, decay, amount):
    """Of the Jacobian at each voxel, by differences of a tenth of a voxel's size."""
    fine = tuple(10 * n for n in SHAPE)
    row = (np.array([x], "float32") for x in (radius, decay, amount))
    centre = np.array([CENTRE], "float32")
    field = radial_scaling(centre, *row, fine, tuple(mm / 10 for mm in SPACING))
    field = [ops.convert_to_numpy(part)[0].astype("float64") for part in field]
    steps = [mm / 10 for mm in SPACING]
    slopes = [np.gradient(part, *steps) for part in field]
    return np.linalg.eigvalsh(np.moveaxis(np.array(slopes), (0, 1), (-2, -1)))


@pytest.mark.parametrize("amount", [-0.4, 0.2, 0.5])
@pytest.mark.parametrize("radius, decay", [(12, 6), (6, 15)])
def test_compression_is_a_tight_bound(radius, decay, amount):
    bound = float(radial_compression(np.float32(radius), np.float32(decay), np.float32(amount)))
    worst = -eigenvalues(radius, decay, amount).min()
    assert 0.7 * bound < worst < bound + 0.01


def test_scaling_inside_and_nothing_outside():
    values = eigenvalues(8, 5, 0.3)
    at = np.indices(values.shape[:2]).T / 10 * SPACING - CENTRE
    distance = np.linalg.norm(at, axis=-1).T
    np.testing.assert_allclose(values[distance < 7.8], 0.3, atol=1e-3)
    np.testing.assert_allclose(values[distance > 13.2], 0, atol=1e-3)


def test_shortest_decay_reaches_the_limit():
    radius, amount = np.array([10.0, 30.0], "float32"), np.array([0.2, 0.5], "float32")
    decay = shortest_decay(radius, amount, 0.8)
    bound = ops.convert_to_numpy(radial_compression(radius, decay, amount))
    np.testing.assert_allclose(bound, 0.8, rtol=1e-5)
    assert float(shortest_decay(np.float32(10), np.float32(-0.3), 0.8)) == 0
