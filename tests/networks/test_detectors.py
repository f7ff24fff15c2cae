import json

import keras
import numpy as np
import pytest

from synthtf.networks import DetectorConfig, UNetConfig, affine_detector
from synthtf.networks.detectors import FitTransform, feature_detector
from synthtf.ops import affine_matrix

TINY = DetectorConfig(6, UNetConfig(features=4, levels=2))
COMPETING = DetectorConfig(6, UNetConfig(features=4, levels=2, mixture_channels=2), halve=False)
SHAPES = {2: (24, 32), 3: (16, 24, 20)}


def matrix(ndim, rigid=False):
    """A rotation of 20°, a translation, and unless rigid, scaling and shear, about the centre."""
    rotation = np.full((1, 2 * ndim - 3), 0.0, "float32")
    rotation[:, 0] = 20
    free = 0.0 if rigid else 1.0
    return np.asarray(
        affine_matrix(
            np.array([[2.0, -3.0, 1.0][:ndim]], "float32"),
            rotation,
            1 + free * np.array([[0.1, -0.1, 0.05][:ndim]], "float32"),
            free * np.full(rotation.shape, 0.1, "float32"),
        )
    )


def blobs(points, shape):
    """A Gaussian about each point (voxels from the centre), on voxels of twice the size."""
    axes = [2 * (np.arange(n // 2) - (n // 2 - 1) / 2) for n in shape]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    distance = ((grid[..., None, :] - points) ** 2).sum(-1)
    return np.exp(-distance / 18).astype("float32")[None]


def fit(kind, truth, shape, num_points=12, empty=False):
    rng = np.random.default_rng(0)
    ndim = len(shape)
    fixed = rng.uniform(-0.2, 0.2, (num_points, ndim)) * shape
    moving = fixed @ truth[0, :ndim, :ndim].T + truth[0, :ndim, ndim]
    maps = np.concatenate([blobs(moving, shape), blobs(fixed, shape)])
    images = np.zeros((2, *shape, 1), "float32")
    return np.asarray(FitTransform(kind)([maps * (not empty), images]))


@pytest.mark.parametrize("ndim", [2, 3])
def test_fit_finds_the_transform_of_points(ndim):
    shape = tuple(4 * n for n in SHAPES[ndim])
    truth = matrix(ndim)
    np.testing.assert_allclose(fit("affine", truth, shape), truth, atol=0.02)
    rigid = matrix(ndim, rigid=True)
    np.testing.assert_allclose(fit("rigid", rigid, shape), rigid, atol=0.02)
    assert np.abs(fit("affine", truth, shape) - np.eye(ndim + 1)).max() > 1


@pytest.mark.parametrize("ndim", [2, 3])
def test_rigid_is_a_rotation_whatever_the_points(ndim):
    found = fit("rigid", matrix(ndim), tuple(4 * n for n in SHAPES[ndim]))[0, :ndim, :ndim]
    np.testing.assert_allclose(found @ found.T, np.eye(ndim), atol=1e-5)
    assert np.linalg.det(found) > 0


def test_nothing_detected_gives_the_identity():
    np.testing.assert_allclose(fit("affine", matrix(3), (32, 32, 32), empty=True)[0], np.eye(4))


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("kind", ["affine", "rigid"])
def test_swapping_the_images_inverts(ndim, kind):
    keras.utils.set_random_seed(0)
    model = affine_detector(ndim, kind, TINY)
    rng = np.random.default_rng(0)
    moving, fixed = rng.random((2, 2, *SHAPES[ndim], 1)).astype("float32")
    forward = model.predict_on_batch({"moving": moving, "fixed": fixed})
    backward = model.predict_on_batch({"moving": fixed, "fixed": moving})
    np.testing.assert_allclose(forward["affine"], backward["inverse"], rtol=1e-4, atol=1e-4)
    identity = np.broadcast_to(np.eye(ndim + 1), forward["affine"].shape)
    np.testing.assert_allclose(forward["affine"] @ forward["inverse"], identity, atol=1e-4)
    same = model.predict_on_batch({"moving": moving, "fixed": moving})["affine"]
    np.testing.assert_allclose(same, identity, atol=1e-4)


def test_a_peak_counts_the_same_in_a_small_structure():
    """Of nine points, one is off: with large maps by power it pulls, by the peak it does not."""
    rng = np.random.default_rng(0)
    shape = (64, 64)
    points = rng.uniform(-24, 24, (9, 2))
    wrong = points + np.array([[6.0, 0.0]]) * (np.arange(9) == 0)[:, None]
    maps = np.concatenate([blobs(wrong, shape), blobs(points, shape)])
    maps[..., 0] = np.sqrt(maps[..., 0])  # a wide blob of the same height
    images = np.zeros((2, *shape, 1), "float32")
    errors = {}
    for confidence in ("power", "peak"):
        found = np.asarray(FitTransform("rigid", confidence)([maps, images]))[0]
        errors[confidence] = np.linalg.norm(found[:2, 2])
    assert errors["peak"] < errors["power"]
    again = FitTransform.from_config(FitTransform("rigid", "peak").get_config())
    assert again.confidence == "peak"


@pytest.mark.parametrize("config", [TINY, COMPETING])
def test_maps_are_non_negative_and_of_the_stated_size(config):
    image = np.random.default_rng(0).random((1, *SHAPES[3], 1)).astype("float32")
    maps = feature_detector(3, config).predict_on_batch(image)
    assert maps.shape == (1, *(n // config.step for n in SHAPES[3]), 6)
    assert maps.min() >= 0 and maps.max() > 0


def test_maps_of_a_mixture_compete():
    """They are squares of posteriors, which sum to one with that of the background."""
    image = np.random.default_rng(0).random((1, *SHAPES[2], 1)).astype("float32")
    maps = feature_detector(2, COMPETING).predict_on_batch(image)
    assert np.sqrt(maps).sum(-1).max() < 1


@pytest.mark.parametrize("config", [TINY, COMPETING])
def test_saves_and_loads(tmp_path, config):
    model = affine_detector(2, config=config)
    image = np.random.default_rng(0).random((2, 1, *SHAPES[2], 1)).astype("float32")
    inputs = dict(zip(("moving", "fixed"), image, strict=True))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    expected = model.predict_on_batch(inputs)["affine"]
    np.testing.assert_array_equal(again.predict_on_batch(inputs)["affine"], expected)


def test_config_survives_json():
    assert DetectorConfig.from_dict(json.loads(json.dumps(TINY.to_dict()))) == TINY
    assert DetectorConfig.from_dict(COMPETING.to_dict()) == COMPETING
    assert (TINY.multiple, COMPETING.multiple) == (4, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: DetectorConfig(3), r"`num_features` must lie in \[4, inf\]"),
        (lambda: DetectorConfig(halve=1), "`halve` must be True or False"),
        (lambda: DetectorConfig(pairs=[(0, 1)]), "`pairs` are for maps that compete"),
        (lambda: DetectorConfig.from_dict({"maps": 4}), "unknown DetectorConfig option 'maps'"),
        (lambda: affine_detector(4), "ndim must be 2 or 3"),
        (lambda: affine_detector(2, "similarity"), "kind must be one of"),
        (lambda: FitTransform("similarity"), "`kind` must be one of"),
        (lambda: FitTransform(confidence="size"), "`confidence` must be one of"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()
