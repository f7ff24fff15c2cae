"""Published weights of SynthMorph are read by order, whatever the names and groups."""

import h5py
import numpy as np
import pytest
from published_weights import save_in_order, synthmorph_detector, synthmorph_hypernetwork

from synthtf.interop import load_published, load_synthmorph_deformable, load_synthmorph_detector
from synthtf.interop.synthmorph import synthmorph_parts


@pytest.fixture
def path(tmp_path):
    return tmp_path / "w.h5"


def weights_of(model):
    return [weight.numpy() for layer in model.layers for weight in layer.weights]


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("widths", [(3, 2), (3, 4, 2, 5)])
def test_detectors(path, nested, widths):
    tensors = synthmorph_detector(widths)
    save_in_order(path, tensors, nested=nested)
    assert synthmorph_parts(path) == ("detector",)
    model = load_synthmorph_detector(path)
    for found, (_, value) in zip(weights_of(model), tensors, strict=True):
        np.testing.assert_array_equal(found, value.astype("float32"))
    size = 2 ** (1 + len(widths) // 2)
    features = model(np.ones((1, size, 2 * size, size, 1), "float32")).numpy()
    assert features.shape == (1, 2, 4, 2, 5)
    assert features.min() >= 0


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize(
    ("encoder", "decoder", "dense"), [((3,), (2,), 1), ((3, 4), (5, 2, 3, 4), 3), ((2,), (2, 2), 2)]
)
def test_deformable_networks(path, nested, encoder, decoder, dense):
    tensors = synthmorph_hypernetwork(encoder, decoder, dense=dense)
    save_in_order(path, tensors, nested=nested)
    assert synthmorph_parts(path) == ("deformable",)
    model = load_synthmorph_deformable(path, 0.3)
    values = [value for _, value in tensors]
    hyper = np.array([0.3])
    for kernel, bias in zip(values[: 2 * dense : 2], values[1 : 2 * dense : 2], strict=True):
        hyper = np.maximum(hyper @ kernel + bias, 0)
    rest = values[2 * dense :]
    expected = [hyper @ slope + start for slope, start in zip(rest[::2], rest[1::2], strict=True)]
    for found, value in zip(weights_of(model), expected, strict=True):
        np.testing.assert_allclose(found, value.reshape(found.shape), atol=1e-6)
    assert [layer.filters for layer in model.layers if layer.weights] == [*encoder, *decoder, 3]
    assert model(np.zeros((1, 8, 4, 8, 2))).shape == (1, 8, 4, 8, 3)


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("nested", [True, False])
def test_a_file_may_hold_both(path, nested, swapped):
    both = [synthmorph_detector(), synthmorph_hypernetwork()]
    save_in_order(path, *both[:: -1 if swapped else 1], nested=nested)
    assert set(synthmorph_parts(path)) == {"detector", "deformable"}
    assert load_synthmorph_detector(path).output.shape[-1] == 5
    assert load_synthmorph_deformable(path, 0.5).output.shape[-1] == 3


def test_the_first_layer_that_fits_is_taken(path):
    other = [("dense/kernel:0", np.ones((2, 3)))]
    save_in_order(path, other, synthmorph_detector(), synthmorph_detector(seed=1))
    first = load_synthmorph_detector(path)
    np.testing.assert_allclose(weights_of(first)[0], synthmorph_detector()[0][1], rtol=1e-6)


def test_long_lists_of_names_are_cut_by_keras(path):
    save_in_order(path, synthmorph_detector(), nested=False)
    with h5py.File(path, "a") as file:
        names = file.attrs.pop("layer_names")
        file.attrs["layer_names0"], file.attrs["layer_names1"] = names[:2], names[2:]
    assert synthmorph_parts(path) == ("detector",)


def changed(tensors, index, shape):
    return [
        (name, np.ones(shape) if at == index else value) for at, (name, value) in enumerate(tensors)
    ]


@pytest.mark.parametrize(
    ("index", "shape", "fault"),
    [
        (0, (3, 3, 3, 2, 3), r"conv3d_0/kernel must be of the shape \(3, 3, 3, 1, any\)"),
        (2, (3, 3, 3, 4, 2), r"conv3d_1/kernel must be of the shape \(3, 3, 3, 3, any\)"),
        (2, (5, 5, 5, 3, 2), "conv3d_1/kernel must be"),
        (5, (4,), r"conv3d_2/bias must be of the shape \(5,\). Received: \(4,\)"),
        (3, (2, 1), r"conv3d_1/bias must be of the shape \(2,\)"),
    ],
)
def test_the_first_tensor_at_fault_of_a_detector_is_named(path, index, shape, fault):
    for nested in (True, False):
        save_in_order(path, changed(synthmorph_detector(), index, shape), nested=nested)
        with pytest.raises(ValueError, match=fault):
            load_synthmorph_detector(path)


@pytest.mark.parametrize(
    ("index", "shape", "fault"),
    [
        (0, (2, 4), r"dense_0/kernel must be of the shape \(1, any\)"),
        (3, (5,), r"dense_1/bias must be of the shape \(4,\)"),
        (4, (4, 99), r"hyper_conv_0/hyperkernel_bias must be of the shape \(99,\)"),
        (14, (3, 2), r"hyper_conv_2/hyperbias_kernel must be of the shape \(4, any\)"),
        (19, (4,), r"hyper_conv_3/hyperbias_bias must be of the shape \(3,\)"),
    ],
)
def test_the_first_tensor_at_fault_of_a_hypernetwork_is_named(path, index, shape, fault):
    save_in_order(path, changed(synthmorph_hypernetwork(), index, shape))
    with pytest.raises(ValueError, match=fault):
        load_synthmorph_deformable(path, 0.5)


def test_sizes_of_kernels_must_make_a_unet(path):
    tensors = synthmorph_hypernetwork()
    size = 27 * 4 * 2
    for index, shape in ((8, (4, size)), (9, (size,))):
        tensors = changed(tensors, index, shape)
    save_in_order(path, tensors)
    fault = rf"hyper_conv_1/hyperkernel_kernel must be of the shape \(4, {27 * 3 * 2}\)"
    with pytest.raises(ValueError, match=fault):
        load_synthmorph_deformable(path, 0.5)


def test_files_that_are_cut_or_go_on(path):
    for tensors in (synthmorph_detector(), synthmorph_hypernetwork()):
        save_in_order(path, tensors[:-1])
        with pytest.raises(ValueError, match="ends too early"):
            synthmorph_parts(path)
    save_in_order(path, synthmorph_hypernetwork()[:-4])
    with pytest.raises(ValueError, match=r"hyperbias_bias must be of the shape \(3,\)"):
        synthmorph_parts(path)
    save_in_order(path, synthmorph_detector(), [("conv3d_9/kernel:0", np.ones((3, 3, 3, 5, 2)))])
    assert synthmorph_parts(path) == ("detector",)
    save_in_order(path, synthmorph_detector()[:4])
    with pytest.raises(ValueError, match="an odd number of convolutions, at least 3, not 2"):
        synthmorph_parts(path)
    save_in_order(path)
    with pytest.raises(ValueError, match="ends too early"):
        synthmorph_parts(path)


def test_other_networks_and_files(path, tmp_path):
    save_in_order(path, synthmorph_detector())
    with pytest.raises(ValueError, match=r"must hold a deformable network .* Received: an affine"):
        load_synthmorph_deformable(path, 0.5)
    with pytest.raises(ValueError, match=r"`regularization` must lie in \(0, 1\). Received: .*=1"):
        load_synthmorph_deformable(path, 1)
    with h5py.File(path, "a") as file:
        del file.attrs["layer_names"]
    with pytest.raises(ValueError, match="lacks the attribute layer_names"):
        synthmorph_parts(path)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        synthmorph_parts(tmp_path / "none.h5")
    path.write_bytes(b"no file")
    with pytest.raises(ValueError, match="is not a readable HDF5 file"):
        synthmorph_parts(path)


def test_names_that_lead_nowhere_or_elsewhere(path):
    save_in_order(path, synthmorph_detector())
    with h5py.File(path, "a") as file:
        del file["model_0/conv3d_1/bias:0"]
    with pytest.raises(ValueError, match="lacks the tensor model_0/conv3d_1/bias:0"):
        synthmorph_parts(path)
    with h5py.File(path, "a") as file:
        file["model_0/conv3d_1/bias:0"] = h5py.ExternalLink("other.h5", "x")
    with pytest.raises(ValueError, match="must not be a link"):
        synthmorph_parts(path)
    save_in_order(path, synthmorph_detector())
    with h5py.File(path, "a") as file:
        file["model_0/conv3d_1/bias:0"][0] = np.nan
    with pytest.raises(ValueError, match="conv3d_1/bias:0 must be finite"):
        load_synthmorph_detector(path)
    with h5py.File(path, "a") as file:
        file.attrs["layer_names"] = np.arange(3)
    with pytest.raises(ValueError, match="attribute layer_names of / is damaged"):
        synthmorph_parts(path)


def test_kernels_that_were_never_written(path):
    save_in_order(path, [(name, 0 * value) for name, value in synthmorph_detector()])
    with pytest.raises(ValueError, match="conv3d_0/kernel is all zero: it was never written"):
        load_synthmorph_detector(path)
    save_in_order(path, [(name, 0 * value) for name, value in synthmorph_hypernetwork()])
    with pytest.raises(ValueError, match="hyper_conv_0/hyperkernel_kernel is all zero"):
        load_synthmorph_deformable(path)


def test_load_published_knows_them(path):
    for tensors, name in (
        (synthmorph_detector(), "synthmorph_detector"),
        (synthmorph_hypernetwork(), "synthmorph_deformable"),
    ):
        save_in_order(path, tensors)
        assert load_published(path).name == load_published(path, "synthmorph").name == name
