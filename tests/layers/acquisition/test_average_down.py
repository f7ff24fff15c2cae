import numpy as np
import pytest

from synthtf.layers import AverageDown
from synthtf.testing import LayerContract, to_arrays


class TestAverageDown(LayerContract):
    layer = AverageDown
    kind = "both"
    arguments = {"factor": 2}
    variants = [{"labels": "nearest"}]
    identity_arguments = {"factor": 1}
    invalid = [
        ({"factor": 0}, "`factor` must lie in"),
        ({"factor": 1.5}, "`factor` must be a whole number"),
        ({"labels": "mean"}, "`labels` must be one of"),
    ]

    def make_inputs(self, ndim):
        image, labels = super().make_inputs(ndim)[0]
        even = (slice(None), *(slice(0, -1),) * ndim)
        return ([image[even], labels[even]],)


def blocks(x, factor):
    """Members of the blocks of a batch of volumes with one channel, on the last axis."""
    ndim = x.ndim - 2
    sizes = [m for n in x.shape[1:-1] for m in (n // factor, factor)]
    x = x.reshape(len(x), *sizes)
    order = [0, *range(1, 2 * ndim, 2), *range(2, 2 * ndim + 1, 2)]
    return x.transpose(order).reshape(len(x), *sizes[::2], -1)


@pytest.mark.parametrize(
    "shape,factor", [((8, 12), 2), ((9, 6), 3), ((8, 6, 4), 2), ((6, 9, 3), 3)]
)
def test_means_and_majorities_of_blocks(shape, factor):
    generator = np.random.default_rng(0)
    image = generator.uniform(size=(2, *shape, 1)).astype("float32")
    labels = generator.integers(0, 4, (2, *shape, 1)).astype("int32")
    mean, majority = to_arrays(AverageDown(factor)([image, labels]))
    np.testing.assert_allclose(mean[..., 0], blocks(image, factor).mean(-1), atol=1e-6)
    votes = np.stack([(blocks(labels, factor) == v).sum(-1) for v in range(4)])
    # The last largest: a draw takes the larger label.
    np.testing.assert_array_equal(majority[..., 0], 3 - votes[::-1].argmax(0))
    assert majority.dtype == np.int32


@pytest.mark.parametrize("factor", [2, 3])
def test_nearest_takes_the_voxel_at_or_after_the_centre(factor):
    labels = np.arange(36 * 36, dtype="int32").reshape(1, 36, 36, 1)
    out = to_arrays(AverageDown(factor, labels="nearest")(labels))[0]
    np.testing.assert_array_equal(out, labels[:, factor // 2 :: factor, factor // 2 :: factor])


def test_channels_are_apart():
    image = np.random.default_rng(1).uniform(size=(1, 4, 6, 3)).astype("float32")
    out = to_arrays(AverageDown(2)(image))[0]
    for c in range(3):
        alone = to_arrays(AverageDown(2)(image[..., c : c + 1]))[0]
        np.testing.assert_array_equal(out[..., c : c + 1], alone)


def test_edges_mix_in_proportion_to_their_tissue():
    """A half-plane whose border lies within a block shows its share of the block."""
    image = (np.arange(12) < 7).astype("float32").reshape(1, 12, 1, 1).repeat(4, 2)
    out = to_arrays(AverageDown(4)(image))[0]
    np.testing.assert_allclose(out.ravel(), [1, 0.75, 0])


def test_refuses_axes_that_are_no_multiple():
    with pytest.raises(ValueError, match="multiple of 2"):
        AverageDown(2)(np.zeros((1, 5, 4, 1), "float32"))
