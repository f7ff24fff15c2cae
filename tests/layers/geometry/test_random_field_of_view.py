import numpy as np
import pytest

from synthtf.layers import RandomFieldOfView
from synthtf.testing import RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomFieldOfView(RandomLayerContract):
    layer = RandomFieldOfView
    kind = "both"
    arguments = {"proportion": (0.2, 0.6)}
    variants = [{"axes": (1,)}]
    identity_arguments = {"proportion": 0}
    num_outcomes = 8
    invalid = [
        ({"proportion": 1}, r"`proportion` must lie in \[0, 0.99\]"),
        ({"proportion": (0.5, 0.1)}, "low <= high"),
        ({"axes": (0, 3)}, "`axes` must be different spatial axes"),
        ({"axes": (-1,)}, "`axes` must be different spatial axes"),
    ]


def views(shape, num, **arguments):
    layer = RandomFieldOfView(**arguments)
    return to_arrays(layer(np.ones((num, *shape, 1), "float32"), make_keys(num)))[0][..., 0]


@pytest.mark.parametrize("shape", [(10, 20), (10, 20, 30)])
@pytest.mark.parametrize("proportion", [0.1, 0.5, 0.9])
def test_loses_the_exact_number_of_voxels(shape, proportion):
    for image in views(shape, 5, proportion=proportion):
        kept = [n - round(proportion * n) for n in shape]
        assert image.sum() == np.prod(kept)
        box = [np.flatnonzero(image.any(tuple(set(range(len(shape))) - {d}))) for d in range(2)]
        for where, n in zip(box, kept, strict=False):
            assert len(where) == n == where[-1] - where[0] + 1, "not a box"


def test_only_the_given_axes_are_cropped():
    image = views((10, 10, 10), 1, proportion=0.5, axes=(2,))[0]
    assert image.sum() == 500
    np.testing.assert_array_equal(image, np.broadcast_to(image[:1, :1], image.shape))


def test_image_and_labels_are_masked_alike():
    image = np.ones((3, 8, 8, 1), "float32")
    labels = np.full((3, 8, 8, 1), 2035, "int32")
    out = to_arrays(RandomFieldOfView(proportion=0.5)([image, labels], make_keys(3)))
    np.testing.assert_array_equal(out[1], 2035 * out[0])


def test_axis_must_exist():
    with pytest.raises(ValueError, match="not all spatial"):
        views((8, 8), 1, axes=(2,))


def test_proportion_and_place_are_uniform():
    seen = views((41, 5), 300, proportion=(0, 0.8), axes=(0,)).any(axis=2)
    lost = 1 - seen.mean(1)
    check_mean(lost, 0.4)
    first, last = seen.argmax(1), seen[:, ::-1].argmax(1)
    check_mean(first - last, 0)
    assert (first > 0).any() and (last > 0).any()
