import keras
import numpy as np
import pytest

from synthtf.networks import pairwise_unet
from synthtf.networks.pairwise import UpsampleLinear


@pytest.mark.parametrize("ndim", [2, 3])
def test_shapes_and_file(tmp_path, ndim):
    model = pairwise_unet([3, 4], [5, 4, 3], ndim)
    images = np.random.default_rng(0).uniform(size=(2, 1, *(8, 12, 4)[:ndim], 1))
    pair = dict(zip(("moving", "fixed"), images.astype("float32"), strict=True))
    outputs = model.predict_on_batch(pair)
    assert sorted(outputs) == ["displacement", "inverse", "velocity"]
    for name, values in outputs.items():
        assert model.output[name].shape == (None,) * (ndim + 1) + (ndim,)
        assert values.shape == (*images.shape[1:-1], ndim)
        assert values.std() > 0
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras").predict_on_batch(pair)
    for name, values in outputs.items():
        np.testing.assert_array_equal(again[name], values)


def test_upsampling_is_linear_between_corners():
    x = np.array([0, 2, 8, 2], "float32").reshape(1, 2, 2, 1)
    out = np.asarray(UpsampleLinear()(x))[0, ..., 0]
    np.testing.assert_allclose(out[0], [0, 2 / 3, 4 / 3, 2], atol=1e-6)
    np.testing.assert_allclose(out[:, 0], [0, 8 / 3, 16 / 3, 8], atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([4], [4, 4], 1), "ndim must be 2 or 3, received 1"),
        (([4], [4]), "decoder must have one entry more than encoder"),
        (([], [4]), "decoder must have one entry more than encoder"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        pairwise_unet(*arguments)
