"""VoxelMorph's network against arrays recorded from its code."""

import keras
import numpy as np
import pytest

from synthtf import compat

SMALL = [[4, 4], [4, 4, 4]]


@pytest.mark.parametrize("ndim", ["2d", "3d"])
def test_a_file_of_voxelmorph_gives_its_outputs(ndim, shared):
    oracle = np.load(shared(f"oracles/vxmdense_{ndim}.npz"))
    model = compat.VxmDense.load(shared(f"oracles/vxmdense_{ndim}.weights.h5"))
    images = [oracle["source"], oracle["target"]]
    moved, field = model.predict(images, verbose=0)
    np.testing.assert_allclose(moved, oracle["moved"], atol=1e-4)
    np.testing.assert_allclose(field, oracle["flow_param"], atol=1e-4)
    np.testing.assert_allclose(model.register(*images), oracle["displacement"], atol=1e-4)
    again = model.apply_transform(*images, oracle["source"])
    np.testing.assert_allclose(again, moved, atol=1e-5)


def test_outputs_follow_the_arguments():
    assert [x.shape[1:] for x in compat.VxmDense((16, 32), SMALL, bidir=True).outputs] == [
        (16, 32, 1),
        (16, 32, 1),
        (8, 16, 2),
    ]
    model = compat.VxmDense((16, 16), SMALL, reg_field="warp", unet_half_res=True)
    assert [x.shape[1:] for x in model.outputs] == [(16, 16, 1), (16, 16, 2)]
    with pytest.raises(ValueError, match="two lists"):
        compat.VxmDense((16, 16), [16, 16])


def test_it_trains_and_is_saved(tmp_path):
    model = compat.VxmDense((16, 16), SMALL)
    model.compile("adam", loss=["mse", "mse"], loss_weights=[1, 0.01])
    images = np.random.default_rng(0).random((2, 2, 16, 16, 1)).astype("float32")
    zero = np.zeros((2, 8, 8, 2), "float32")
    history = model.fit(list(images), [images[1], zero], epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    model.save(tmp_path / "vxm.keras")
    loaded = keras.saving.load_model(tmp_path / "vxm.keras")
    assert isinstance(loaded, compat.VxmDense)
    before, after = (m.predict(list(images), verbose=0)[0] for m in (model, loaded))
    np.testing.assert_array_equal(before, after)
