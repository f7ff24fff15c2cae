"""Masks of `RandomMask` whose border is too tight or too wide."""

import keras
import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from synthtf.layers import RandomMask
from synthtf.testing import LABELS, RandomLayerContract, check_mean, make_keys, repeat, to_arrays


class TestRandomMaskBorder(RandomLayerContract):
    layer = RandomMask
    kind = "both"
    arguments = {
        "labels": (2, 2035),
        "optional": (41,),
        "border": (-1, 1.2),
        "roughness": (0, 0.5),
        "roughness_size": (2, 5),
        "spacing": 0.7,
    }
    # Labels are speckles here, so that some other border may give the same mask.
    identity_arguments = {"labels": LABELS, "border": 0, "roughness": 0}
    num_outcomes = 4
    invalid = [
        ({"border": (1, -1)}, "low <= high"),
        ({"roughness": (-1, 0)}, "`roughness` must lie in"),
        ({"roughness_size": 0}, "`roughness_size` must lie in"),
        ({"spacing": 0}, "`spacing` must be positive"),
    ]

    def expected_identity(self, inputs):
        return inputs[0]


def ball(shape, radius, spacing):
    at = np.indices(shape).T - (np.array(shape) - 1) / 2
    distance = np.linalg.norm(at * spacing, axis=-1).T
    return np.where(distance <= radius, 2, 0).astype("int32")[None, ..., None]


def masks(labels, num=1, **arguments):
    inputs = [np.ones((num, *labels.shape[1:]), "float32"), repeat(labels, num)]
    layer = RandomMask([2], name="mask", **arguments)
    return to_arrays(layer(inputs, make_keys(num)))[0][..., 0] == 1


@pytest.mark.parametrize("border", [-4.3, -0.8, 2.1, 5.2])
def test_agrees_with_scipy_in_mm(border):
    labels, spacing = ball((26, 40, 20), 13, (1.5, 1, 2)), (1.5, 1, 2)
    inside = labels[0, ..., 0] == 2
    out = distance_transform_edt(~inside, spacing)
    distance = np.where(inside, 0.5 - distance_transform_edt(inside, spacing), out - 0.5)
    mask = masks(labels, border=border, spacing=spacing)[0]
    np.testing.assert_array_equal(mask, distance < border)
    assert (mask != inside).any()


def test_same_mm_at_half_the_voxel_size():
    for spacing, side in ((1.0, 71), (2.0, 36)):
        area = masks(ball((side, side), 20, spacing), border=7, spacing=spacing).sum()
        np.testing.assert_allclose(np.sqrt(area * spacing**2 / np.pi), 27, atol=0.5)


def test_border_is_drawn_per_sample_and_varies_in_space():
    labels = np.zeros((1, 40, 30, 1), "int32")
    labels[:, :20] = 2
    moved = masks(labels, 200, border=(-5, 5)).sum(1) - 20.0
    assert (moved == moved[:, :1]).all()
    # A border at t lies between voxels: up to half a voxel is rounded either way.
    check_mean(moved[:, 0], 0)
    np.testing.assert_allclose(moved[:, 0].std(), 10 / np.sqrt(12), rtol=0.15)
    rough = masks(labels, 200, roughness=1.5, roughness_size=8).sum(1) - 20.0
    check_mean(rough[:, 7], 0)
    np.testing.assert_allclose(rough.std(), 1.5, rtol=0.15)
    assert np.corrcoef(rough[:, 10], rough[:, 11])[0, 1] > 0.7


def test_a_border_of_zero_is_the_mask_of_the_labels():
    labels = ball((20, 20), 6, (1, 1))
    still = masks(labels)
    np.testing.assert_array_equal(still, labels[..., 0] == 2)
    # By distances, too: the mean is zero, the variation almost.
    np.testing.assert_array_equal(masks(labels, roughness=1e-4), still)


def test_an_unknown_shape_will_do_only_if_nothing_moves():
    image, labels = (keras.Input((None, None, 1), dtype=d) for d in ("float32", "int32"))
    assert RandomMask([2])([image, labels], keras.Input((2,))).shape == image.shape
    with pytest.raises(ValueError, match="the spatial shape must be known"):
        layer = RandomMask([2], border=1)
        layer.sample(np.zeros((1, 2), "int32"), image.shape)
