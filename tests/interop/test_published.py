import h5py
import numpy as np
import pytest
from published_weights import save_synthsr, strip_state, synthsr_tensors, wmh_state
from torch_files import save

from synthtf.interop import load_published


@pytest.fixture
def voxelmorph(tmp_path):
    """Weights of the smallest network, in the layout of Keras 3."""
    path = tmp_path / "v.h5"
    with h5py.File(path, "w") as file:
        for index, (n, m) in enumerate([(2, 3), (3, 4), (4, 2)]):
            group = f"layers/conv2d{f'_{index}' if index else ''}/vars"
            file[f"{group}/0"] = np.ones((3, 3, n, m), "f4")
            file[f"{group}/1"] = np.ones(m, "f4")
    return path


@pytest.fixture
def synthseg(tmp_path):
    """A part of SynthSeg's weights."""
    path = tmp_path / "s.h5"
    with h5py.File(path, "w") as file:
        file["unet_conv_downarm_0_0/kernel:0"] = np.ones((3, 3, 1, 4), "f4")
    return path


def test_kind_follows_from_the_file(voxelmorph, synthseg, tmp_path):
    model = load_published(voxelmorph)
    assert model.name == "voxelmorph"
    assert [model.get_layer(name).filters for name in ("encoder_0", "decoder_0")] == [3, 4]
    with pytest.raises(ValueError, match="lacks the tensor unet_conv_downarm_0_0/bias"):
        load_published(synthseg)
    torch = tmp_path / "t.pt"
    torch.write_bytes(b"PK\x03\x04 and more")
    with pytest.raises(ValueError, match="is not a file of PyTorch weights"):
        load_published(torch)


def test_kind_can_be_given(voxelmorph, synthseg):
    assert load_published(voxelmorph, "voxelmorph").name == "voxelmorph"
    with pytest.raises(ValueError, match="of SynthSeg's networks"):
        load_published(voxelmorph, "synthseg")
    with pytest.raises(ValueError, match="lacks the tensor vxm_dense_unet_enc_conv_0_0/kernel"):
        load_published(synthseg, "voxelmorph")
    with pytest.raises(ValueError, match=r"`kind` must be one of .* Received: kind='other'"):
        load_published(voxelmorph, "other")


def test_other_files(tmp_path):
    path = tmp_path / "none.h5"
    with pytest.raises(FileNotFoundError, match=r"none\.h5 does not exist"):
        load_published(path)
    path.write_text("not at all")
    with pytest.raises(ValueError, match="is not a readable HDF5 file"):
        load_published(path)


def test_networks_of_freesurfer(tmp_path):
    for channels in (1, 2):
        save_synthsr(tmp_path / "x", synthsr_tensors(channels))
        model = load_published(tmp_path / "x")
        assert (model.name, model.input.shape[-1]) == ("synthsr", channels)
    save_synthsr(tmp_path / "x", synthsr_tensors(outputs=5))
    assert load_published(tmp_path / "x").output.shape[-1] == 5
    save(tmp_path / "x", strip_state())
    assert load_published(tmp_path / "x").name == "synthstrip"
    with pytest.raises(ValueError, match=r"lacks the tensor encoders.0.basic_module.SingleConv1"):
        load_published(tmp_path / "x", "wmh-synthseg")
    save(tmp_path / "x", wmh_state())
    assert load_published(tmp_path / "x").name == "wmh_synthseg"
