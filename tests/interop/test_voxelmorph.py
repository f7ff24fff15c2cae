import json

import h5py
import keras
import numpy as np
import pytest
from keras import ops

from synthtf.interop import load_voxelmorph
from synthtf.layers import Resample
from synthtf.networks import RegistrationConfig, registration_unet

CONFIG = RegistrationConfig((4, 5), (6, 7, 8, 4), 7, symmetric=False)
NAMES = {
    "encoder_0": "vxm_dense_unet_enc_conv_0_0",
    "encoder_1": "vxm_dense_unet_enc_conv_1_0",
    "decoder_0": "vxm_dense_unet_dec_conv_1_0",
    "decoder_1": "vxm_dense_unet_dec_conv_0_0",
    "final_0": "vxm_dense_unet_dec_final_conv_0",
    "final_1": "vxm_dense_unet_dec_final_conv_1",
    "velocity_conv": "vxm_dense_flow",
}


def make_model(ndim=2, config=CONFIG):
    model = registration_unet(ndim, config)
    generator = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(generator.normal(0, 0.3, variable.shape))
    return model


def array(variable):
    return ops.convert_to_numpy(variable + 0)


def predict(model, shape=(8, 12)):
    images = np.random.default_rng(1).uniform(size=(2, 1, *shape, 1)).astype("float32")
    return model.predict_on_batch({"moving": images[0], "fixed": images[1]})


def same(actual, expected):
    assert sorted(actual) == sorted(expected)
    assert np.abs(expected["displacement"]).max() > 0.1
    for name in actual:
        np.testing.assert_allclose(actual[name], expected[name], atol=1e-6)


def write_legacy(path, model, names=NAMES, root="", config=None):
    """Write a file in the layout of legacy Keras, with the layers in the order of their names."""
    with h5py.File(path, "w") as file:
        group = file.require_group(root) if root else file
        for ours, theirs in names.items():
            layer = model.get_layer(ours)
            group[f"{theirs}/{theirs}/kernel:0"] = array(layer.kernel)
            group[f"{theirs}/{theirs}/bias:0"] = array(layer.bias)
        group.create_group("vxm_dense_unet_enc_pooling_0")
        group.create_group("vxm_dense_transformer")
        if config is not None:
            file.attrs["model_config"] = json.dumps({"class_name": "VxmDense", "config": config})
    return path


def write_counted(path, model, ndim=2, names=tuple(NAMES)):
    """Write a file in the layout of the weights of Keras 3."""
    with h5py.File(path, "w") as file:
        for index, name in enumerate(names):
            layer = model.get_layer(name)
            group = f"layers/conv{ndim}d{f'_{index}' if index else ''}/vars"
            file[f"{group}/0"] = array(layer.kernel)
            file[f"{group}/1"] = array(layer.bias)
        file.create_group("layers/leaky_re_lu/vars")
        file.create_group("vars")
    return path


@pytest.fixture
def model():
    return make_model()


@pytest.fixture
def path(model, tmp_path):
    return write_legacy(tmp_path / "weights.h5", model)


@pytest.mark.parametrize("ndim", [2, 3])
def test_oracle(shared, ndim):
    recorded = np.load(shared(f"oracles/vxmdense_{ndim}d.npz"))
    model = load_voxelmorph(shared(f"oracles/vxmdense_{ndim}d.weights.h5"))
    pair = {"moving": recorded["source"], "fixed": recorded["target"]}
    outputs = model.predict_on_batch(pair)
    for name, expected in (("velocity", "flow_param"), ("displacement", "displacement")):
        np.testing.assert_allclose(outputs[name], recorded[expected], atol=1e-4)
    moved = Resample(fill=None)(pair["moving"], outputs["displacement"])
    np.testing.assert_allclose(ops.convert_to_numpy(moved), recorded["moved"], atol=1e-4)


def test_legacy_layout(model, path):
    same(predict(load_voxelmorph(path)), predict(model))


def test_file_of_a_whole_model(model, tmp_path):
    path = write_legacy(tmp_path / "model.h5", model, root="model_weights")
    with h5py.File(path, "a") as file:
        file["optimizer_weights/iterations"] = 5
    same(predict(load_voxelmorph(path)), predict(model))


def test_older_names(model, tmp_path):
    names = {ours: theirs.removeprefix("vxm_dense_") for ours, theirs in NAMES.items()}
    same(predict(load_voxelmorph(write_legacy(tmp_path / "w.h5", model, names))), predict(model))


def test_shapes_network_of_synthmorph(tmp_path):
    """Four and six times the same features, half resolution, three axes; few of them here."""
    config = RegistrationConfig((3,) * 4, (3,) * 6, 5, symmetric=False)
    model = make_model(3, config)
    names = {
        **{f"encoder_{level}": f"vxm_dense_unet_enc_conv_{level}_0" for level in range(4)},
        **{f"decoder_{index}": f"vxm_dense_unet_dec_conv_{3 - index}_0" for index in range(4)},
        **{f"final_{index}": f"vxm_dense_unet_dec_final_conv_{index}" for index in range(2)},
        "velocity_conv": "vxm_dense_flow",
    }
    facts = {"inshape": [160, 160, 192], "int_steps": 5, "int_resolution": 2}
    path = write_legacy(tmp_path / "shapes.h5", model, names, "model_weights", facts)
    loaded = load_voxelmorph(path)
    same(predict(loaded, (16, 32, 16)), predict(model, (16, 32, 16)))
    assert loaded.output["velocity"].shape[-1] == 3


@pytest.mark.parametrize("encoder, decoder", [((4, 4), (4, 4)), ((3,), (5, 6)), ((3,), (3,))])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("counted", [False, True])
def test_resolution_follows_from_the_file(tmp_path, encoder, decoder, full, counted):
    config = RegistrationConfig(encoder, decoder, 7, symmetric=False, full_resolution=full)
    model = make_model(2, config)
    names = {name: theirs for name, theirs in NAMES.items() if has_layer(model, name)}
    if len(encoder) == 1:
        names["decoder_0"] = "vxm_dense_unet_dec_conv_0_0"
    path = tmp_path / "weights.h5"
    if counted:
        write_counted(path, model, names=tuple(names))
    else:
        write_legacy(path, model, names)
    same(predict(load_voxelmorph(path)), predict(model))


def has_layer(model, name):
    return name in [layer.name for layer in model.layers]


def test_many_counted_layers(tmp_path):
    """The eleventh convolution comes after the third."""
    config = RegistrationConfig((2,) * 4, (2,) * 6, 7, symmetric=False)
    model = make_model(2, config)
    names = [f"encoder_{i}" for i in range(4)] + [f"decoder_{i}" for i in range(4)]
    path = tmp_path / "w.h5"
    write_counted(path, model, names=(*names, "final_0", "final_1", "velocity_conv"))
    same(predict(load_voxelmorph(path), (16, 16)), predict(model, (16, 16)))


@pytest.mark.parametrize(
    "facts, steps", [({}, 7), ({"int_steps": 5}, 5), ({"int_steps": 3, "int_downsize": 2}, 3)]
)
def test_steps_follow_from_the_file(model, tmp_path, facts, steps):
    path = write_legacy(tmp_path / "model.h5", model, root="model_weights", config=facts)
    loaded = load_voxelmorph(path)
    assert loaded.get_layer("displacement_integrate").steps == steps
    assert load_voxelmorph(path, 4).get_layer("inverse_integrate").steps == 4


def damage_config(value):
    def damage(file):
        file.attrs["model_config"] = value

    return damage


def facts(**values):
    return damage_config(json.dumps({"config": values}))


def rename(old, new):
    def damage(file):
        file.move(old, new)

    return damage


def resize(layer, name, shape):
    def damage(file):
        del file[f"{layer}/{layer}/{name}:0"]
        file[f"{layer}/{layer}/{name}:0"] = np.zeros(shape, "f4")

    return damage


def external(file):
    del file["vxm_dense_flow/vxm_dense_flow/kernel:0"]
    file["vxm_dense_flow/vxm_dense_flow/kernel:0"] = h5py.ExternalLink("other.h5", "/kernel")


FLOW = "vxm_dense_flow"
BREAKS = {
    "external link": (external, "kernel:0 must not be a link to another place or file"),
    "nothing known": (
        rename("vxm_dense_unet_enc_conv_0_0", "other"),
        "lacks the tensor vxm_dense_unet_enc_conv_0_0/kernel",
    ),
    "missing level": (
        rename("vxm_dense_unet_enc_conv_1_0", "vxm_dense_unet_enc_conv_5_0"),
        "lacks the tensor vxm_dense_unet_enc_conv_1_0/kernel",
    ),
    "far level": (
        rename("vxm_dense_unet_enc_conv_1_0", "vxm_dense_unet_enc_conv_99999999999_0"),
        "lacks the tensor vxm_dense_unet_enc_conv_1_0/kernel",
    ),
    "missing flow": (rename(FLOW, "flaw"), "lacks the tensor vxm_dense_flow/kernel"),
    "missing bias": (
        lambda file: file.__delitem__(f"{FLOW}/{FLOW}/bias:0"),
        r"lacks the tensor vxm_dense_flow/bias, of shape \(2,\)",
    ),
    "extra layer": (
        lambda file: file.__setitem__("vxm_dense_log_sigma/kernel:0", np.zeros(3, "f4")),
        "holds the tensor vxm_dense_log_sigma/kernel, which the network does not have",
    ),
    "second convolution": (
        lambda file: file.__setitem__("vxm_dense_unet_enc_conv_0_1/kernel:0", np.zeros(3, "f4")),
        "holds the tensor vxm_dense_unet_enc_conv_0_1/kernel",
    ),
    "two channels": (
        resize("vxm_dense_unet_enc_conv_0_0", "kernel", (3, 3, 4, 4)),
        r"enc_conv_0_0/kernel has the shape \(3, 3, 4, 4\), but the network expects \(3, 3, 2, 4\)",
    ),
    "wrong skip": (
        resize("vxm_dense_unet_dec_conv_0_0", "kernel", (3, 3, 9, 7)),
        r"dec_conv_0_0/kernel has the shape \(3, 3, 9, 7\), but the network expects \(3, 3, 11, 7",
    ),
    "wrong flow": (
        resize(FLOW, "kernel", (3, 3, 4, 3)),
        r"vxm_dense_flow/kernel has the shape \(3, 3, 4, 3\), but",
    ),
    "mixed axes": (resize(FLOW, "kernel", (3, 3, 3, 4, 2)), "must be a 2D kernel"),
    "one axis": (
        resize("vxm_dense_unet_enc_conv_0_0", "kernel", (3, 2, 4)),
        "must be a 2D or 3D kernel",
    ),
    "scalar": (resize(FLOW, "kernel", ()), "must be a 2D kernel"),
    "empty axis": (
        resize("vxm_dense_unet_enc_conv_1_0", "kernel", (3, 3, 4, 0)),
        r"enc_conv_1_0/bias has the shape \(5,\), but the network expects \(0,\)",
    ),
    "no JSON": (damage_config("{"), "the attribute model_config is damaged"),
    "no text": (damage_config(3), "model_config is damaged: it is not a text"),
    "no dictionary": (damage_config("[3]"), "model_config is damaged: it is not a dictionary"),
    "deep": (damage_config("[" * 20_000), "the attribute model_config is damaged"),
    "other resolution": (
        facts(int_resolution=4),
        r"integrated at 1 / 2 of the resolution. Received: 1 / 4",
    ),
    "no steps": (facts(int_steps=0), r"`int_steps` must lie in \[1, 20\]. Received: int_steps=0"),
    "many steps": (facts(int_steps=10**9), r"`int_steps` must lie in \[1, 20\]"),
}


@pytest.mark.parametrize(("damage", "message"), BREAKS.values(), ids=BREAKS.keys())
def test_broken_files_are_refused(path, damage, message):
    with h5py.File(path, "a") as file:
        damage(file)
    with pytest.raises(ValueError, match=message) as error:
        load_voxelmorph(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


COUNTED_BREAKS = {
    "missing": ("conv2d_6", r"must hold at least 5 convolutions .* Received: 4", 4),
    "gap": ("conv2d_3", "has the shape", 7),
    "missing flow": ("conv2d_6", "has the shape", 7),
}


@pytest.mark.parametrize("layer, message, kept", COUNTED_BREAKS.values(), ids=COUNTED_BREAKS)
def test_broken_counted_files_are_refused(model, tmp_path, layer, message, kept):
    path = write_counted(tmp_path / "w.h5", model)
    with h5py.File(path, "a") as file:
        del file[f"layers/{layer}"]
        for index in range(kept, 6):
            del file[f"layers/conv2d_{index}"]
    with pytest.raises(ValueError, match=message):
        load_voxelmorph(path)


def test_no_convolutions(tmp_path):
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["layers/dense/vars/0"] = np.zeros((3, 3), "f4")
    with pytest.raises(ValueError, match="lacks the tensor vxm_dense_unet_enc_conv_0_0/kernel"):
        load_voxelmorph(tmp_path / "w.h5")


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.h5 does not exist"):
        load_voxelmorph(tmp_path / "none.h5")


def test_real_files_of_keras_3(model, tmp_path):
    """Weights that Keras itself saves for a model of unnamed layers, as VoxelMorph's users have."""
    x = inputs = keras.Input((None, None, 2))
    skips = []
    for name in NAMES:
        layer = model.get_layer(name)
        if name.startswith("decoder_1"):
            x = keras.layers.Concatenate()([keras.layers.UpSampling2D()(x), skips.pop()])
        conv = keras.layers.Conv2D(layer.filters, 3, padding="same")
        x = conv(x)
        conv.set_weights(layer.get_weights())
        if name.startswith("encoder"):
            skips.append(x)
            x = keras.layers.MaxPooling2D()(x)
    path = tmp_path / "model.weights.h5"
    keras.Model(inputs, x).save_weights(path)
    same(predict(load_voxelmorph(path)), predict(model))
