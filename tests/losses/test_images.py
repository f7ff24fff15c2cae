import numpy as np
import pytest
from keras import ops

from synthtf.losses import images, local_ncc, mutual_information


def array(x):
    return ops.convert_to_numpy(x)


def smooth_image(shape, seed=0):
    """Waves along each axis, in [0, 1]."""
    rng = np.random.default_rng(seed)
    grid = np.meshgrid(*[np.linspace(0, 1, n) for n in shape], indexing="ij")
    image = sum(np.sin(2 * np.pi * (rng.uniform(0.5, 2) * g + rng.uniform())) for g in grid)
    image = (image - image.min()) / (image.max() - image.min())
    return image[None, ..., None].astype("float32")


def histogram_information(a, b, bins):
    """Mutual information of a joint histogram, in nats."""
    edges = (np.arange(bins + 1) - 0.5) / (bins - 1)
    joint = np.histogram2d(a.ravel(), b.ravel(), bins=[edges, edges])[0]
    joint = joint / joint.sum()
    product = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    seen = joint > 0
    return np.sum(joint[seen] * np.log(joint[seen] / product[seen]))


@pytest.mark.parametrize("ndim", [2, 3])
def test_oracles(shared, ndim):
    z = np.load(shared(f"oracles/geometry_{ndim}d.npz"))
    ncc = array(local_ncc(z["im_a"], z["im_b"], 9))
    np.testing.assert_allclose(ncc, z["ncc9"], atol=1e-4, rtol=1e-4)


def test_local_ncc_ignores_brightness_and_contrast():
    a = np.random.default_rng(0).normal(size=(2, 12, 10, 8, 1)).astype("float32")
    b = 3 * a + 1
    b[1] *= -1
    ncc = array(local_ncc(a, b, 5))
    # Only where the cube lies inside of the image; outside is 0 in both.
    assert -1 <= ncc[0] < -0.6
    np.testing.assert_allclose(array(local_ncc(a, 3 * a, 5))[0], -1, atol=1e-3)
    np.testing.assert_allclose(array(local_ncc(a, -3 * a, 5)), 0, atol=1e-3)
    assert ncc[1] > -0.2


@pytest.mark.parametrize("window", [4, 5])
def test_local_ncc_of_channels(window):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 1, 6, 7, 2)).astype("float32")
    pad = (window - 1) // 2, window // 2
    values = []
    cubes = [
        np.lib.stride_tricks.sliding_window_view(
            np.pad(x[0], (pad, pad, (0, 0))), (window, window), (0, 1)
        )
        for x in (a, b)
    ]
    for i in np.ndindex(6, 7):
        u, v = (cube[i].ravel() - cube[i].mean() for cube in cubes)
        values.append(max(u @ v, 1e-5) ** 2 / (u @ u) / (v @ v))
    np.testing.assert_allclose(array(local_ncc(a, b, window)), -np.mean(values), rtol=1e-3)


@pytest.mark.parametrize("shape", [(30, 34), (16, 14, 18)])
def test_information_is_largest_of_an_image_and_itself(shape):
    a, b = smooth_image(shape), smooth_image(shape, seed=1)
    of_itself = array(mutual_information(a, a))[0]
    assert -np.log(32) < of_itself < -2
    for other in (b, np.roll(a, 3, axis=1), 0.5 * (a + b)):
        assert array(mutual_information(a, other))[0] > of_itself + 0.3
    # As much as one image tells about the other, the other tells about it.
    np.testing.assert_allclose(
        array(mutual_information(a, b)), array(mutual_information(b, a)), rtol=1e-4
    )


def test_information_ignores_inversion_of_contrast():
    a, b = smooth_image((40, 44)), smooth_image((40, 44), seed=1)
    for other in (a, b):
        expected = array(mutual_information(a, other))
        np.testing.assert_allclose(array(mutual_information(a, 1 - other)), expected, rtol=1e-4)
        np.testing.assert_allclose(array(mutual_information(1 - a, other)), expected, rtol=1e-4)
    # Correlation does not: of an image and its inverse it counts next to none.
    assert array(local_ncc(a, 1 - a))[0] > -0.2 > -0.9 > array(local_ncc(a, a))[0]


@pytest.mark.parametrize("bins", [8, 32])
def test_information_of_independent_noise_is_near_zero(bins):
    a, b = np.random.default_rng(0).random((2, 2, 48, 48, 48, 1), dtype="float32")
    information = -array(mutual_information(a, b, bins))
    assert (np.abs(information) < 0.01).all()


@pytest.mark.parametrize("bins", [16, 32])
def test_information_is_close_to_that_of_a_histogram(bins):
    """The windows blur the joint distribution, so that its value is a little lower."""
    rng = np.random.default_rng(0)
    a = smooth_image((64, 64, 8))
    for noise in (0.1, 0.2, 0.4):
        b = np.clip(a + noise * rng.normal(size=a.shape), 0, 1).astype("float32")
        expected = histogram_information(a, b, bins)
        found = -array(mutual_information(a, b, bins))[0]
        np.testing.assert_allclose(found, expected, rtol=0.2)
        assert found < expected


def test_bounds_rescale_intensities():
    a, b = smooth_image((20, 22)), smooth_image((20, 22), seed=1)
    expected = array(mutual_information(a, b))
    moved = mutual_information(200 * a - 50, 200 * b - 50, bounds=(-50, 150))
    np.testing.assert_allclose(array(moved), expected, rtol=1e-4)
    # Beyond the bounds there is but one intensity.
    np.testing.assert_allclose(array(mutual_information(a + 2, b)), 0, atol=1e-4)


def test_pieces_add_up(monkeypatch, gradient):
    a, b = (np.concatenate([smooth_image((20, 22), s), smooth_image((20, 22), 9)]) for s in (1, 2))
    results = []
    for piece in (10**6, 100):
        monkeypatch.setattr(images, "_PIECE", piece)
        slope = gradient(lambda x: ops.sum(mutual_information(x, b)), a)
        results.append((array(mutual_information(a, b)), slope))
    assert results[0][0].shape == (2,)
    for whole, pieces in zip(*results, strict=True):
        np.testing.assert_allclose(pieces, whole, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("loss", [mutual_information, local_ncc])
def test_each_sample_has_its_own_loss(loss):
    a, b = (np.concatenate([smooth_image((9, 8, 7), s), smooth_image((9, 8, 7))]) for s in (1, 2))
    both = array(loss(a, b))
    assert both.shape == (2,)
    for i in range(2):
        alone = array(loss(a[i : i + 1], b[i : i + 1]))
        np.testing.assert_allclose(alone, both[i : i + 1], rtol=1e-4)


@pytest.mark.parametrize("shape", [(12, 14), (8, 7, 9)])
def test_gradient_of_information(gradient, shape):
    """By finite differences; and finite where an image is constant."""
    a, b = smooth_image(shape), smooth_image(shape, seed=1)
    a, b = 0.1 + 0.8 * a, 0.1 + 0.8 * b
    step = np.random.default_rng(0).normal(size=a.shape).astype("float32")
    slope = gradient(lambda x: ops.sum(mutual_information(x, b, 8)), a)
    there, here = (array(mutual_information(a + s * 2e-3 * step, b, 8))[0] for s in (1, -1))
    np.testing.assert_allclose(np.sum(slope * step), (there - here) / 4e-3, rtol=0.05, atol=1e-3)
    for constant in (0 * a, 0 * a + 0.5, 0 * a + 1):
        for other in (b, constant):
            slope = gradient(lambda x, y=other: ops.sum(mutual_information(x, y)), constant)
            assert np.isfinite(slope).all()


@pytest.mark.parametrize("shift", [-0.1, -0.02, 0.02, 0.1])
def test_descent_aligns_an_image_with_its_inverse(gradient, shift):
    x = np.linspace(0, 1, 400, dtype="float32")

    def loss(shift):
        place = ops.convert_to_tensor(x) - shift
        image = ops.reshape(0.5 + 0.4 * ops.sin(7.0 * place), (1, 20, 20, 1))
        inverse = (0.5 - 0.4 * np.sin(7 * x)).reshape(1, 20, 20, 1)
        return ops.sum(mutual_information(image, inverse))

    assert gradient(loss, np.float32(shift)) * np.sign(shift) > 1


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: local_ncc(np.zeros((1, 3, 3, 1)), np.zeros((1, 3, 3, 1)), 1), "`window` must lie"),
        (lambda: mutual_information(np.zeros((1, 3, 1)), np.zeros((1, 4, 1))), "same shape"),
        (
            lambda: mutual_information(np.zeros((1, 3, 1)), np.zeros((1, 3, 1)), 1),
            "`bins` must lie in .* Received: bins=1",
        ),
        (
            lambda: mutual_information(np.zeros((1, 3, 1)), np.zeros((1, 3, 1)), bounds=(1, 1)),
            r"`bounds` must be \(low, high\) with low < high. Received: bounds=\(1, 1\)",
        ),
    ],
)
def test_refusals(function, message):
    with pytest.raises(ValueError, match=message):
        function()
