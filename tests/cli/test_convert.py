import h5py
import keras
import numpy as np
import pytest

from synthtf.cli.main import main


@pytest.fixture
def weights(tmp_path):
    """VoxelMorph's smallest network."""
    path = tmp_path / "weights ü.h5"
    with h5py.File(path, "w") as file:
        sizes = {"unet_enc_conv_0_0": (2, 3), "unet_dec_conv_0_0": (3, 4), "flow": (4, 2)}
        for name, (n, m) in sizes.items():
            file[f"vxm_dense_{name}/vxm_dense_{name}/kernel:0"] = np.ones((3, 3, n, m), "f4")
            file[f"vxm_dense_{name}/vxm_dense_{name}/bias:0"] = np.ones(m, "f4")
    return path


@pytest.mark.parametrize("words", [[], ["--kind", "voxelmorph"]])
def test_convert(weights, tmp_path, capsys, words):
    output = tmp_path / "model.keras"
    assert main(["convert", str(weights), "-o", str(output), *words]) == 0
    assert capsys.readouterr().out == f"{output}: voxelmorph, 243 weights\n"
    model = keras.models.load_model(output)
    assert sorted(model.output) == ["displacement", "inverse", "velocity"]
    np.testing.assert_array_equal(model.get_layer("decoder_0").kernel, 1)


def test_synthseg(shared, tmp_path):
    output = tmp_path / "model.keras"
    weights = shared("oracles/synthseg_unet_2d.h5")
    recorded = np.load(shared("oracles/synthseg_unet_2d.npz"))
    assert main(["convert", str(weights), "-o", str(output)]) == 0
    posteriors = keras.models.load_model(output).predict_on_batch(recorded["image"])
    np.testing.assert_allclose(posteriors, recorded["posteriors"], atol=1e-4)


@pytest.mark.parametrize(
    "name, message", [("x.h5", "extension .keras"), ("none/x.keras", "no such")]
)
def test_wrong_output(weights, tmp_path, capsys, name, message):
    assert main(["convert", str(weights), "-o", str(tmp_path / name)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("synthtf convert: -o") and message in error
    assert error.count("\n") == 1


def test_wrong_files(weights, tmp_path, capsys):
    output = tmp_path / "model.keras"
    text = tmp_path / "text.h5"
    text.write_text("not at all")
    for path, words, status, message in (
        (tmp_path / "none.h5", [], 2, "does not exist"),
        (text, [], 1, "is not a readable HDF5 file"),
        (weights, ["--kind", "synthseg"], 1, "of SynthSeg's networks"),
    ):
        assert main(["convert", str(path), "-o", str(output), *words]) == status
        error = capsys.readouterr().err
        assert error.startswith("synthtf convert: ") and message in error
        assert error.count("\n") == 1
    assert not output.exists()
