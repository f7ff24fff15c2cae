import numpy as np
import pytest

from synthtf.layers import RandomFieldOfView
from synthtf.testing import RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomFieldOfView(RandomLayerContract):
    layer = RandomFieldOfView
    kind = "both"
    arguments = {"proportion": (0.2, 0.6)}
    variants = [{"axes": (1,)}, {"num_axes": (1, 3)}]
    identity_arguments = {"proportion": 0}
    num_outcomes = 8
    invalid = [
        ({"proportion": 1}, r"`proportion` must lie in \[0, 0.99\]"),
        ({"proportion": (0.5, 0.1)}, "low <= high"),
        ({"axes": (0, 3)}, "`axes` must be different spatial axes"),
        ({"axes": (-1,)}, "`axes` must be different spatial axes"),
        ({"num_axes": 0}, "`num_axes` must lie in"),
        ({"num_axes": 1.5}, "`num_axes` must be whole numbers"),
    ]


def views(shape, num, **arguments):
    layer = RandomFieldOfView(**arguments)
    return to_arrays(layer(np.ones((num, *shape, 1), "float32"), make_keys(num)))[0][..., 0]


@pytest.mark.parametrize("shape", [(10, 20), (10, 20, 30)])
@pytest.mark.parametrize("proportion", [0.1, 0.5, 0.9])
def test_loses_the_exact_number_of_voxels(shape, proportion):
    for image in views(shape, 5, proportion=proportion, num_axes=3):
        kept = [n - round(proportion * n) for n in shape]
        assert image.sum() == np.prod(kept)
        box = [np.flatnonzero(image.any(tuple(set(range(len(shape))) - {d}))) for d in range(2)]
        for where, n in zip(box, kept, strict=False):
            assert len(where) == n == where[-1] - where[0] + 1, "not a box"


def cropped_axes(image):
    """Which axes of a volume are cropped; `(batch, ndim)`."""
    ndim = image.ndim - 1
    others = [tuple(d + 1 for d in range(ndim) if d != axis) for axis in range(ndim)]
    return np.stack([~image.any(axes).all(axis=1) for axes in others], axis=1)


@pytest.mark.parametrize("shape", [(10, 20), (10, 20, 30)])
def test_one_random_axis_is_cropped(shape):
    """A fixed share is lost, all of it along one axis, and each axis is as likely."""
    image = views(shape, 200, proportion=0.5)
    assert (image.reshape(200, -1).mean(1) == 0.5).all()
    cropped = cropped_axes(image)
    assert (cropped.sum(1) == 1).all()
    for axis in range(len(shape)):
        check_mean(cropped[:, axis], 1 / len(shape))


def test_only_the_given_axes_are_cropped():
    image = views((10, 10, 10), 1, proportion=0.5, axes=(2,))[0]
    assert image.sum() == 500
    np.testing.assert_array_equal(image, np.broadcast_to(image[:1, :1], image.shape))
    cropped = cropped_axes(views((10, 10, 10), 100, proportion=0.5, axes=(0, 2)))
    assert (cropped.sum(1) == 1).all() and not cropped[:, 1].any()
    check_mean(cropped[:, 0], 0.5)


def test_number_of_axes_is_uniform():
    count = cropped_axes(views((10, 10, 10), 200, proportion=0.5, num_axes=(1, 3))).sum(1)
    check_mean(count, 2)
    check_mean((count - 2) ** 2, 2 / 3)
    some = cropped_axes(views((10, 10, 10), 20, proportion=0.5, num_axes=3, axes=(0, 2)))
    assert (some == [True, False, True]).all()


def test_all_axes_lose_what_they_lost_before_one_could_be_chosen():
    """The draws of the axes that are cropped do not depend on how many are."""
    draws = {
        n: to_arrays(RandomFieldOfView(num_axes=n, name="view").sample(make_keys(9), (9, 4, 4, 1)))
        for n in (1, 2)
    }
    for one, both in zip(draws[1], draws[2], strict=True):
        assert ((one == both) | (one == 0)).all()


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
