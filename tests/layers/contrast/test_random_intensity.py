import numpy as np
import pytest

from synthtf.layers import RandomIntensity
from synthtf.testing import LABELS, RandomLayerContract, check_mean, make_keys, repeat, to_arrays


class TestRandomIntensity(RandomLayerContract):
    layer = RandomIntensity
    kind = "labels"
    arguments = {"labels": LABELS, "std": (0, 0.1), "background_probability": 0.5}
    variants = [
        {"std": 0},
        {"groups": (0, 1, 1, 2)},
        {"labels": (2, 41, 70000)},
        {"priors": [(0, 0), (0.1, 0.2), (0.5, 0.6), (2, 3)]},
        {"channels": 3, "std_priors": [(0, 0), (0.1, 0.2), (0.5, 0.6), (2, 3)]},
        {"tissues": (0, 1, 1, 2), "tissue_probability": 0.5, "groups": (0, 1, 1, 2)},
        {"tissues": (0, 1, 1, 2), "tissue_probability": 1, "channels": 2},
    ]
    identity_arguments = {"probability": 0}
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
        ({"mean": (1, 0)}, "low <= high"),
        ({"std": -1}, "`std` must lie in"),
        ({"groups": (1, 2)}, r"`groups` must have one entry per label \(4\)"),
        ({"priors": [(0, 1)]}, r"`priors` must have one entry per label \(4\)"),
        ({"std_priors": [(0, 1)]}, r"`std_priors` must have one entry per label \(4\)"),
        ({"std_priors": [(-1, 1)] * 4}, "`std_priors` must lie in"),
        ({"channels": 0}, "`channels` must lie in"),
        ({"channels": 1.5}, "`channels` must be a whole number"),
        ({"background_probability": 2}, "`background_probability` must lie in"),
        ({"tissues": (1, 2)}, r"`tissues` must have one entry per label \(4\)"),
        ({"tissue_probability": 0.5}, "`tissue_probability` needs `tissues`"),
        ({"tissue_probability": 2}, "`tissue_probability` must lie in"),
        ({"tissue_spread": -1}, "`tissue_spread` must lie in"),
    ]

    def expected_identity(self, inputs):
        """A sample that is left alone keeps its label values as intensities."""
        return inputs.astype("float32")


def paint(values, num, **arguments):
    """Intensity of each label value, for several keys."""
    labels = np.array(values, "int32").reshape(1, -1, 1, 1)
    given = {"labels": [v for v in values if v], "background_probability": 0}
    layer = RandomIntensity(**{**given, **arguments})
    return to_arrays(layer(repeat(labels, num), make_keys(num)))[0].reshape(num, -1)


@pytest.mark.parametrize("largest", [77, 2035, 14175, 70000])
def test_sparse_labels_have_their_own_mean(largest):
    low = {2: 0.1, 1002: 0.4, largest: 0.7}
    priors = [(v, v + 0.01) for v in low.values()]
    out = paint([*low, 0, 3], 5, labels=list(low), priors=priors)
    for k, v in enumerate(low.values()):
        assert ((out[:, k] >= v) & (out[:, k] <= v + 0.01)).all()
    assert (out[:, 3:] == 0).all(), "the background and what is not listed are zero"


def test_order_of_the_labels_does_not_move_priors():
    out = paint([5, 3], 3, labels=[5, 3], priors=[(0.9, 0.9), (0.1, 0.1)])
    np.testing.assert_allclose(out, [[0.9, 0.1]] * 3, rtol=1e-6)


def test_constant_mean_is_exact():
    assert (paint([1, 2035], 3, mean=0.25) == 0.25).all()


def test_groups_share_mean_and_deviation():
    out = paint([1, 2, 3], 20, labels=[1, 2, 3], groups=[8, 5, 8])
    np.testing.assert_array_equal(out[:, 0], out[:, 2])
    assert (out[:, 0] != out[:, 1]).all()


def test_means_are_uniform_and_independent():
    out = paint([1, 2, 14175], 400)
    check_mean(out, 1 / 2)
    check_mean(out**2, 1 / 3)
    centred = out - 0.5
    for a, b in ((0, 1), (0, 2), (1, 2)):
        check_mean(centred[:, a] * centred[:, b], 0)


def test_background_shows_with_its_probability():
    out = paint([0, 1], 400, background_probability=0.3)
    check_mean(out[:, 0] != 0, 0.3)
    check_mean(out[:, 0][out[:, 0] != 0], 0.5)


@pytest.mark.parametrize("shape", [(40, 40), (12, 12, 12)])
def test_deviation_within_a_label(shape):
    labels = np.full((4, *shape, 1), 2035, "int32")
    layer = RandomIntensity(labels=[2035], mean=0.5, std=0.1, background_probability=0)
    out = to_arrays(layer(labels, make_keys(4)))[0]
    check_mean(out, 0.5)
    check_mean((out - 0.5) ** 2, 0.1**2)


def test_background_without_probability_has_no_noise():
    assert not paint([0, 0], 3, labels=[1], std=0.5).any()


def test_deviation_follows_the_prior_of_each_label():
    labels = np.repeat(np.array([7, 3, 0], "int32"), 2000).reshape(1, 3, 2000, 1)
    layer = RandomIntensity([7, 3], 0.5, std=9, std_priors=[0.02, 0.3], background_probability=0)
    out = to_arrays(layer(labels, make_keys(1)))[0][0, ..., 0] - 0.5
    check_mean(out[0] ** 2, 0.02**2)
    check_mean(out[1] ** 2, 0.3**2)
    np.testing.assert_array_equal(out[2], -0.5)


def test_range_of_a_deviation_is_uniform():
    """The mean square of a draw from (a, b) is (a² + ab + b²) / 3."""
    out = paint([4] * 8, 150, labels=[4], mean=0, std_priors=[(0.1, 0.4)])
    check_mean((out**2).mean(1), (0.1**2 + 0.1 * 0.4 + 0.4**2) / 3)


@pytest.mark.parametrize("largest", [2035, 70000])
def test_channels_are_independent_contrasts_of_one_anatomy(largest):
    labels = np.array([[1, 1, largest, 0]] * 200, "int32").reshape(200, 2, 2, 1)
    priors = [(0, 1), (2, 3)]
    layer = RandomIntensity([1, largest], priors=priors, channels=2, background_probability=0)
    out = to_arrays(layer(labels, make_keys(200)))[0].reshape(200, 4, 2)
    np.testing.assert_array_equal(out[:, 0], out[:, 1])
    np.testing.assert_array_equal(out[:, 3], 0)
    assert (out[:, 2] >= 2).all() and (out[:, 2] <= 3).all()
    centred = out - [[[0.5], [0.5], [2.5], [0]]]
    check_mean(centred[:, [0, 2]], 0)
    check_mean(centred[:, 0, 0] * centred[:, 0, 1], 0)
    check_mean(centred[:, 0, 1] * centred[:, 2, 1], 0)


def test_background_shows_in_all_channels_or_in_none():
    labels = np.zeros((60, 1, 1, 1), "int32")
    layer = RandomIntensity(labels=[1], background_probability=0.5, channels=2)
    seen = to_arrays(layer(labels, make_keys(60)))[0].reshape(60, 2) > 0
    np.testing.assert_array_equal(seen[:, 0], seen[:, 1])
    assert 0 < seen[:, 0].sum() < 60


def test_labels_of_one_tissue_are_similar():
    tissues = {"labels": (1, 2, 3, 4), "tissues": (0, 0, 0, 1), "tissue_probability": 1}
    drawn = paint((1, 2, 3, 4), 1500, tissue_spread=0.05, **tissues)
    # Far from the limits of the range, by a label that is in neither side of the difference.
    within = (drawn[:, 0] - drawn[:, 1])[(drawn[:, 2] > 0.3) & (drawn[:, 2] < 0.7)]
    assert abs(within.std() - 0.05 * 2**0.5) < 0.007
    assert abs(np.corrcoef(drawn[:, 0], drawn[:, 3])[0, 1]) < 0.09
    assert drawn.min() >= 0 and drawn.max() <= 1
    same = paint((1, 2, 3, 4), 50, tissue_spread=0, **tissues)
    assert np.ptp(same[:, :3], axis=1).max() == 0


def test_tissues_are_similar_with_their_probability():
    arguments = {"labels": (1, 2), "tissues": (0, 0), "tissue_probability": 0.3}
    drawn = paint((1, 2), 1500, tissue_spread=0, **arguments)
    check_mean((drawn[:, 0] == drawn[:, 1]).astype(float), 0.3)


def test_refuses_floats():
    with pytest.raises(ValueError, match="must be integer"):
        RandomIntensity(labels=[1])(np.zeros((1, 4, 4, 1), "float32"))
