import numpy as np
import pytest
from scipy import ndimage

from synthtf.layers import RandomCord
from synthtf.testing import RandomLayerContract, make_keys, to_arrays


class TestRandomCord(RandomLayerContract):
    layer = RandomCord
    kind = "labels"
    arguments = {"spacing": 4.0}
    identity_arguments = {"probability": 0}
    invalid = [
        ({"radius": 0}, "`radius` must lie in"),
        ({"flatness": (0.8, 0.5)}, "low <= high"),
        ({"canal": 0}, "`canal` must lie in"),
        ({"body": -1}, "`body` must lie in"),
        ({"spacing": 0}, "`spacing` must be positive"),
    ]


def maps(shape, num=6, **arguments):
    labels = RandomCord(name="cord", **arguments)(
        np.zeros((num, *shape, 1), "int32"), make_keys(num)
    )
    return to_arrays(labels)[0][..., 0]


@pytest.mark.parametrize("shape, spacing", [((96, 96), 0.4), ((96, 96, 6), (0.4, 0.4, 4.0))])
def test_grey_matter_lies_in_a_cord_of_the_size_in_a_canal(shape, spacing):
    for labels in maps(shape, radius=7, flatness=0.7, spacing=spacing):
        cord, grey = np.isin(labels, (1, 2)), labels == 2
        area = cord.sum() / np.prod(shape[2:]) * 0.4**2
        np.testing.assert_allclose(area, np.pi * 7 * 4.9, rtol=0.06)
        assert 0.05 < grey.sum() / cord.sum() < 0.4
        plane = grey.reshape(*shape[:2], -1)[..., 0]
        assert ndimage.label(plane, np.ones((3, 3)))[1] == 1
        np.testing.assert_array_equal(plane, plane[::-1])
        around = ndimage.binary_dilation(cord) & ~cord
        assert set(np.unique(labels[around])) == {3}


def test_vertebrae_and_discs_alternate_along_the_cord():
    for labels in maps((64, 64, 80)):
        front = np.argmax(np.isin(labels, (5, 6)).sum(axis=(0, 2)))
        line = labels[32, front]
        bones = np.flatnonzero(np.diff(line.astype(int)))
        assert set(line) == {5, 6} and np.diff(bones).min() > 13 / 2 * 0.4


def test_the_body_ends_in_air_at_the_distance():
    labels = maps((160, 160), num=2, body=20)
    assert not labels[:, 0].any() and set(np.unique(labels)) >= {0, 1, 2, 3, 4, 8, 9, 10}
