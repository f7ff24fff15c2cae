import numpy as np
import pytest

from synthtf.layers import RandomTruncation
from synthtf.testing import RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomTruncation(RandomLayerContract):
    layer = RandomTruncation
    arguments = {"proportion": (0.3, 0.7)}
    variants = [{"axes": [1]}]
    identity_arguments = {"proportion": 1}
    num_outcomes = 4
    invalid = [
        ({"proportion": 1.2}, r"`proportion` must lie in \[0, 1\]"),
        ({"proportion": (0.5, 0.1)}, "low <= high"),
        ({"axes": [4]}, "`axes` must be different spatial axes"),
    ]


@pytest.mark.parametrize("shape", [(16, 11), (8, 9, 10)])
def test_high_frequencies_are_zero(shape):
    """Cut k-space in the Fourier transform of NumPy."""
    image = np.random.default_rng(0).uniform(size=(3, *shape, 1)).astype("float32")
    layer = RandomTruncation(proportion=(0.2, 0.9))
    draws = layer.sample(make_keys(3), image.shape)
    proportion = to_arrays(draws["proportion"])[0]
    actual = to_arrays(layer.apply(image, draws))[0]
    for row in range(3):
        kspace = np.fft.fftn(image[row, ..., 0].astype("float64"))
        for axis, size in enumerate(shape):
            frequency = np.abs(np.fft.fftfreq(size))
            line = [-1 if a == axis else 1 for a in range(len(shape))]
            kspace = kspace * (frequency <= proportion[row, axis] / 2).reshape(line)
        expected = np.abs(np.fft.ifftn(kspace))
        np.testing.assert_allclose(actual[row, ..., 0], expected, atol=1e-5)


def test_edges_overshoot_by_nine_per_cent():
    """Gibbs: next to a jump the partial sums overshoot by 8.95 % of it, at any cut."""
    image = np.full((1, 512, 2, 1), 1.0, "float32")
    image[:, 128:384] = 2
    for proportion in (0.1, 0.2):
        out = to_arrays(RandomTruncation(proportion=proportion, axes=[0])(image))[0]
        assert out.max() == pytest.approx(2.0895, abs=0.003)
        assert out.min() == pytest.approx(0.9105, abs=0.003)
        assert out.mean() == pytest.approx(1.5, abs=1e-4)


def test_each_axis_draws_its_proportion():
    layer = RandomTruncation(proportion=(0.2, 0.8))
    proportion = to_arrays(layer.sample(make_keys(200), (200, 4, 4, 4, 1))["proportion"])[0]
    assert (np.ptp(proportion, axis=1) > 0).all()
    check_mean(proportion, 0.5)
    check_mean((proportion - 0.5) ** 2, 0.36 / 12)


def test_an_axis_that_the_input_lacks():
    with pytest.raises(ValueError, match="not all spatial"):
        RandomTruncation(axes=[2])(np.zeros((1, 8, 8, 1), "float32"))
