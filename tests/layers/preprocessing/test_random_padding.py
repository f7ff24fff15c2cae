import numpy as np
import pytest

from synthtf.layers import RandomPadding
from synthtf.testing import RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomPadding(RandomLayerContract):
    layer = RandomPadding
    arguments = {"proportion": (0.2, 0.7)}
    variants = [{"mode": "edge"}]
    identity_arguments = {"proportion": 0}
    invalid = [
        ({"proportion": 0.95}, r"`proportion` must lie in \[0, 0.9\]"),
        ({"value": (1, 0)}, "low <= high"),
        ({"mode": "wrap"}, "`mode` must be one of"),
    ]


def pad(image, start, **arguments):
    layer = RandomPadding(**arguments)
    start = np.broadcast_to(np.array(start, "float32"), (len(image), image.ndim - 2))
    draws = {**layer.sample(make_keys(len(image)), image.shape), "start": start}
    return to_arrays(layer.apply(image, draws))[0]


@pytest.mark.parametrize("shape", [(10, 20), (10, 20, 30)])
@pytest.mark.parametrize("mode", ["constant", "edge"])
def test_is_what_numpy_pads(shape, mode):
    image = np.random.default_rng(0).uniform(size=(1, *shape, 2)).astype("float32")
    # 40% of each axis: half of the padding and one voxel lie before the box.
    out = pad(image, 0.5, proportion=0.4, value=0.6, mode=mode)
    lost = [round(0.4 * n) for n in shape]
    first = [int(0.5 * (m + 1)) for m in lost]
    box = tuple(slice(f, f + n - m) for f, n, m in zip(first, shape, lost, strict=True))
    width = [(0, 0), *((f, m - f) for f, m in zip(first, lost, strict=True)), (0, 0)]
    extra = {"constant_values": np.float32(0.6) * image.max()} if mode == "constant" else {}
    expected = np.pad(image[(slice(None), *box)], width, mode, **extra)
    np.testing.assert_allclose(out, expected, rtol=1e-6)


def test_edges_of_long_axes():
    image = np.random.default_rng(1).uniform(size=(1, 150, 1, 1)).astype("float32").repeat(2, 2)
    x = image[0, :, 0, 0]
    for start, expected in (
        (0, np.pad(x[:60], (0, 90), "edge")),
        (0.999, np.pad(x[90:], (90, 0), "edge")),
    ):
        out = pad(image, start, proportion=0.6, mode="edge")
        np.testing.assert_array_equal(out[0, :, 0, 0], expected)


def test_padding_is_uniform():
    image = np.ones((300, 50, 40, 1), "float32")
    out = to_arrays(RandomPadding(proportion=(0, 0.4), value=(2, 4))(image, make_keys(300)))[0]
    inside = (out == 1)[..., 0]
    check_mean(1 - inside.any(2).mean(1), 0.2)
    check_mean(1 - inside.any(1).mean(1), 0.2)
    check_mean([x[x != 1].mean() for x in out if (x != 1).any()], 3)
    # As much padding before the box as after it.
    rows = np.arange(50) - 24.5
    check_mean([rows[x.any(1)].mean() for x in inside], 0)
