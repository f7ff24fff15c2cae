import math

import numpy as np
import pytest

from synthtf.layers import RandomTexture
from synthtf.testing import LABELS, RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomTexture(RandomLayerContract):
    layer = RandomTexture
    kind = "both"
    arguments = {"labels": LABELS, "std": (0.05, 0.1), "size": (3, 6)}
    variants = [{"labels": (2, 70000)}, {"groups": (0, 1, 1, 2), "spacing": 2}]
    identity_arguments = {"std": 0}
    invalid = [
        ({"labels": ()}, "`labels` must be distinct labels"),
        (
            {"labels": (1, 1)},
            "`labels` must be distinct labels",
        ),
        (
            {"labels": (-1, 2)},
            "`labels` must be distinct labels",
        ),
        ({"std": -1}, "`std` must lie in"),
        ({"size": 0}, "`size` must lie in"),
        ({"groups": (1, 2)}, r"`groups` must have one entry per label \(4\)"),
        ({"spacing": 0}, "`spacing` must be positive"),
    ]

    def expected_identity(self, inputs):
        """The image."""
        return inputs[0]


def texture(shape, num, maps=1, channels=1, edit=None, **arguments):
    """Texture added to an image of zeros, for several keys."""
    maps = np.broadcast_to(np.int32(maps), (num, *shape, 1))
    image = np.zeros((num, *shape, channels), "float32")
    layer = RandomTexture(**{"labels": [1, 2], "name": "texture", **arguments})
    draws = {**layer.sample(make_keys(num), image.shape), **(edit or {})}
    return to_arrays(layer.apply([image, maps], draws))[0]


def lattices(shape, num, **arguments):
    """One field each from many lattices of independent normal numbers, with variance one."""
    layer = RandomTexture(labels=[1], std=1, **arguments)
    image = np.zeros((num, *shape, 1), "float32")
    draws = layer.sample(make_keys(1), (1, *shape, 1))
    draws = {name: np.repeat(x, num, axis=0) for name, x in draws.items()}
    noise = np.random.default_rng(0).normal(size=draws["noise"].shape).astype("float32")
    draws = {**draws, "noise": noise}
    return to_arrays(layer.apply([image, np.ones_like(image, "int32")], draws))[0][..., 0]


@pytest.mark.parametrize("size", [3, 11])
def test_deviation_is_the_same_everywhere(size):
    """At the borders and between control points, too."""
    out = lattices((13, 12), 2000, size=size)
    for place in ((0, 0), (6, 6), (1, 11), (7, 4), (12, 5)):
        check_mean(out[:, *place], 0)
        check_mean(out[:, *place] ** 2, 1)


@pytest.mark.parametrize("mm", [1, 2])
def test_correlation_is_that_of_noise_blurred_to_the_size(mm):
    """Noise blurred by a Gaussian of deviation s has the correlation exp(-d² / 4s²)."""
    size, distance = 12, 6
    out = lattices((40, 3), 2000, size=size, spacing=mm)
    s = size / (2 * math.sqrt(2 * math.log(2)))
    for first in (0, 3, 9):
        product = out[:, first, 1] * out[:, first + distance // mm, 1]
        check_mean(product, math.exp(-(distance**2) / (4 * s**2)))


def test_labels_correlate_by_the_cosine_of_their_angles():
    angle = np.array([[[0.3], [1.2]]] * 4, "float32")
    one, other = (texture((80, 80), 4, k, std=1, size=2, edit={"angle": angle}) for k in (1, 2))
    check_mean((one * other)[:, ::6, ::6], math.cos(0.9))


def test_groups_share_deviation_and_angle():
    maps = [[[1], [2], [1], [2]]]
    same = {"size": 4, "edit": {"noise": np.ones((3, 7, 7, 2), "float32")}}
    apart = texture((4, 4), 3, maps, **same)
    shared = texture((4, 4), 3, maps, groups=[8, 8], **same)
    np.testing.assert_allclose(shared[:, :, 0] / shared[:, :, 1], 1, atol=0.01)
    assert np.abs(apart[:, :, 0] / apart[:, :, 1] - 1).max() > 0.1


def test_deviation_is_uniform():
    edit = {"angle": np.zeros((150, 2, 1), "float32")}
    std, unit = (texture((2, 2), 150, std=s, size=4, edit=edit) for s in ((0.1, 0.4), 1))
    ratio = (std / unit)[:, 0, 0]
    check_mean(ratio, 0.25)
    check_mean((ratio - 0.25) ** 2, 0.3**2 / 12)


def test_background_and_labels_that_are_not_listed_are_left_alone():
    out = texture((4, 4), 2, [[[0], [1], [2], [3]]], labels=[0, 2, 1], std=(0.1, 0.2))
    assert not out[:, :, [0, 3]].any()
    assert (np.abs(out[:, :, 1:3]) > 0).all()


def test_channels_have_textures_of_their_own():
    out = texture((5, 5), 3, channels=2, std=0.1)
    assert np.abs(out[..., 0] - out[..., 1]).max() > 1e-3
