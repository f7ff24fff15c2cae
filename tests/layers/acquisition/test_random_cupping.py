import numpy as np
import pytest

from synthtf.layers import RandomCupping
from synthtf.testing import RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomCupping(RandomLayerContract):
    layer = RandomCupping
    arguments = {"drop": (0.2, 0.6)}
    identity_arguments = {"drop": 0}
    invalid = [
        ({"drop": 1.5}, r"`drop` must lie in \[0, 1\]"),
        ({"drop": (0.3, 0.1)}, "low <= high"),
    ]


def ellipsoid(shape, centre, radius):
    grid = np.meshgrid(*map(np.arange, shape), indexing="ij")
    return sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radius, strict=True))


@pytest.mark.parametrize(
    ("shape", "centre", "radius"),
    [((61, 50), (33, 22), (20, 17)), ((40, 46, 43), (18, 25, 21), (14, 17, 12))],
)
def test_parabola_within_an_ellipsoid(shape, centre, radius):
    square = ellipsoid(shape, centre, radius)
    image = (3.0 * (square <= 1)).astype("float32")
    out = to_arrays(RandomCupping(drop=0.4)(image[None, ..., None], make_keys(1)))[0][0, ..., 0]
    assert out[centre] == pytest.approx(3 * 0.6, rel=1e-3)
    expected = image * (1 - 0.4 * np.maximum(1 - square, 0))
    np.testing.assert_allclose(out, expected, atol=0.03)


def test_noise_around_the_head_is_left_alone():
    square = ellipsoid((40, 40), (20, 20), (10, 12))
    image = np.where(square <= 1, 1, -1e-3).astype("float32")[None, ..., None]
    out = to_arrays(RandomCupping(drop=0.5)(image, make_keys(1)))[0]
    outside = (square > 1.1)[None, ..., None]
    np.testing.assert_array_equal(out[outside], image[outside])


@pytest.mark.parametrize("lit", [0, 1])
def test_black_images_and_single_voxels(lit):
    image = np.zeros((1, 7, 8, 1), "float32")
    image[0, 2, 3] = lit
    out = to_arrays(RandomCupping(drop=0.5)(image, make_keys(1)))[0]
    assert np.isfinite(out).all()
    np.testing.assert_array_equal(out == 0, image == 0)


def test_drop_is_uniform():
    image = np.ones((200, 9, 9, 1), "float32")
    out = to_arrays(RandomCupping(drop=(0.1, 0.5))(image, make_keys(200)))[0]
    check_mean(1 - out[:, 4, 4], 0.3)
