import numpy as np
import pytest

from synthtf.layers import RandomCoils
from synthtf.testing import RandomLayerContract, check_mean, make_keys, same_bits, to_arrays


class TestRandomCoils(RandomLayerContract):
    layer = RandomCoils
    arguments = {"num_coils": (1, 5)}
    identity_arguments = {"width": 1e4}
    invalid = [
        ({"num_coils": 0}, "`num_coils` must lie in"),
        ({"num_coils": (1, 2.5)}, "`num_coils` must be whole"),
        ({"width": 0}, "`width` must lie in"),
        ({"distance": -1}, "`distance` must lie in"),
    ]


def sensitivity(shape, position, width, num_coils=None, **arguments):
    """Of one array of coils, given their centres."""
    draws = {
        "position": np.array(position, "float32")[None],
        "width": np.array(width, "float32")[None],
        "num_coils": np.array([len(position) if num_coils is None else num_coils], "int32"),
    }
    ones = np.ones((1, *shape, 1), "float32")
    return to_arrays(RandomCoils(**arguments).apply(ones, draws))[0][0, ..., 0]


def root_sum_of_squares(shape, position, width):
    """One volume per coil, in NumPy."""
    x = np.stack(
        np.meshgrid(*((np.arange(n) - (n - 1) / 2) / n for n in shape), indexing="ij"), axis=-1
    )
    coils = []
    for p, w in zip(position, width, strict=True):
        coil = np.exp(-np.square(x - p).sum(-1) / (2 * w**2))
        coils.append(coil / coil.max())
    out = np.sqrt(np.square(coils).sum(0))
    return out / out.max()


@pytest.mark.parametrize("shape", [(24, 17), (12, 9, 10), (40, 40, 40)])
def test_is_the_root_sum_of_squares_of_gaussian_coils(shape):
    rng = np.random.default_rng(0)
    position, width = rng.uniform(-0.8, 0.8, (5, len(shape))), rng.uniform(0.1, 0.6, 5)
    expected = root_sum_of_squares(shape, position, width)
    np.testing.assert_allclose(sensitivity(shape, position, width), expected, atol=1e-5)


def test_coils_beyond_the_number_are_absent():
    position, width = [(0.5, 0), (0, 0.7), (-0.6, 0.1)], [0.3, 0.4, 0.5]
    two = sensitivity((20, 16), position, width, num_coils=2)
    np.testing.assert_allclose(two, sensitivity((20, 16), position[:2], width[:2]), atol=1e-6)
    assert np.abs(two - sensitivity((20, 16), position, width)).max() > 0.05


def test_two_coils_at_one_place_are_one():
    one = sensitivity((20, 16), [(0.5, 0.1)], [0.3])
    two = sensitivity((20, 16), [(0.5, 0.1)] * 2, [0.3] * 2)
    np.testing.assert_allclose(one, two, atol=1e-6)
    # Falls to exp(-1/2) one width from the coil.
    np.testing.assert_allclose(
        one[-1 - 6] / one[-1], np.exp(-(0.325**2 - 0.025**2) / 0.18), rtol=1e-4
    )


def test_a_ring_of_coils_is_darkest_at_its_centre():
    angle = 2 * np.pi * np.arange(12) / 12
    position = 0.6 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    out = sensitivity((31, 31), position, [0.3] * 12)
    assert np.unravel_index(out.argmin(), out.shape) == (15, 15)
    np.testing.assert_allclose(out, out[::-1], atol=1e-5)
    np.testing.assert_allclose(out, out.T, atol=1e-5)


def test_narrow_and_far_coils_stay_finite():
    out = sensitivity((20, 16, 12), [(3, 0, 0), (0, -3, 0)], [0.05, 0.05])
    assert np.isfinite(out).all()
    assert out.max() == 1


@pytest.mark.parametrize("ndim", [2, 3])
def test_draws(ndim):
    layer = RandomCoils(num_coils=(2, 5), width=(0.2, 0.6), distance=(1, 1.5))
    draws = layer.sample(make_keys(100), (100, *(4,) * ndim, 1))
    position, width, num_coils = to_arrays([draws[k] for k in ("position", "width", "num_coils")])
    check_mean(position, 0)
    check_mean(position[..., 0] * position[..., 1], 0)
    check_mean(2 * np.linalg.norm(position, axis=-1), 1.25)
    check_mean(width, 0.4)
    check_mean(num_coils, 3.5)
    assert set(num_coils) == {2, 3, 4, 5}


def test_bits_of_large_images():
    image = np.random.default_rng(0).uniform(size=(3, 150, 130, 1)).astype("float32")
    layer = RandomCoils(name="tested")
    whole = to_arrays(layer(image, make_keys(3)))
    for row in range(3):
        here = slice(row, row + 1)
        same_bits(to_arrays(layer(image[here], make_keys(3)[here])), [whole[0][here]])
