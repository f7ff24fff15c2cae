import numpy as np
import pytest

from synthtf.layers import RandomPatchSwap
from synthtf.testing import RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomPatchSwap(RandomLayerContract):
    layer = RandomPatchSwap
    arguments = {"num_swaps": (4, 8), "size": (1, 3)}
    variants = [{"spacing": 2.0}, {"num_swaps": 1}]
    identity_arguments = {"num_swaps": 0}
    invalid = [
        ({"num_swaps": -1}, "`num_swaps` must lie in"),
        ({"num_swaps": 2.5}, "`num_swaps` must be whole numbers"),
        ({"size": 0}, "`size` must lie in"),
        ({"size": (3, 1)}, "low <= high"),
        ({"spacing": 0}, "`spacing` must be positive"),
    ]


def numbers(num, *shape):
    """Images in which each voxel has another value."""
    image = np.arange(np.prod(shape), dtype="float32").reshape(1, *shape, 1)
    return np.repeat(image, num, axis=0)


@pytest.mark.parametrize("shape", [(24, 30), (16, 14, 18)])
def test_is_a_permutation_that_undoes_itself(shape):
    image = numbers(4, *shape)
    layer = RandomPatchSwap(num_swaps=10, size=(2, 6))
    draws = layer.sample(make_keys(4), image.shape)
    once = layer.apply(image, draws)
    out, back = to_arrays([once, layer.apply(once, draws)])
    assert (out != image).any(axis=tuple(range(1, image.ndim))).all()
    np.testing.assert_array_equal(np.sort(out.reshape(4, -1)), image.reshape(4, -1))
    np.testing.assert_array_equal(back, image)


@pytest.mark.parametrize("shape", [(12, 10), (9, 12, 10)])
def test_known_pairs_change_places(shape):
    """The second pair overlaps the first, the third itself, and the fourth is not tried."""
    ndim = len(shape)
    place = np.array([[[1] * ndim, [2] * ndim, [0] * ndim, [7] * ndim]], "float32")
    other = np.array([[[5] * ndim, [7] * ndim, [1] * ndim, [0] * ndim]], "float32")
    size = np.array([[[2] * ndim, [1] * ndim, [2] * ndim, [1] * ndim]], "float32")
    draws = {"num_swaps": np.array([3], "int32"), "first": place, "second": other, "size": size}
    image = numbers(1, *shape)
    out = to_arrays(RandomPatchSwap(num_swaps=4).apply(image, draws))[0]
    expected = image.copy()
    here, there = ((0, *(slice(k, k + 2),) * ndim) for k in (1, 5))
    expected[here], expected[there] = image[there], image[here]
    np.testing.assert_array_equal(out, expected)


def test_patches_lie_inside_and_have_their_size_in_mm():
    layer = RandomPatchSwap(num_swaps=4, size=(4, 12), spacing=(1.0, 2.0))
    draws = layer.sample(make_keys(200), (200, 40, 9, 1))
    first, second, size = to_arrays([draws[n] for n in ("first", "second", "size")])
    for corner in (first, second):
        assert (corner >= 0).all() and (corner + size <= [40, 9]).all()
        check_mean(corner[..., 0] - (40 - size[..., 0]) / 2, 0)
    check_mean(size[..., 0], 8)
    assert set(np.unique(size[..., 1])) == {2, 3, 4}, "half of the volume at most"


def test_number_of_swaps_is_uniform():
    draws = RandomPatchSwap(num_swaps=(2, 6)).sample(make_keys(200), (200, 8, 8, 1))
    num = to_arrays(draws["num_swaps"])[0]
    check_mean(num, 4)
    check_mean((num - 4) ** 2, 2)
