import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from synthtf.layers import Resample
from synthtf.networks import (
    DetectorConfig,
    HyperConv,
    RegistrationConfig,
    UNetConfig,
    network_multiple,
    registration_unet,
)

SMALL = {"encoder": (4, 6), "decoder": (6, 5, 4), "integration_steps": 3}
DETECTOR = {"encoder": (4,), "detector": DetectorConfig(4, UNetConfig(4, 1))}


def make_model(ndim=2, seed=0, **changes):
    """A small network whose velocities are a few voxels long."""
    keras.utils.set_random_seed(seed)
    model = registration_unet(ndim, RegistrationConfig(**{**SMALL, **changes}))
    kernel = model.get_layer("velocity_conv").kernel
    kernel.assign(np.random.default_rng(seed).normal(0, 0.3, kernel.shape))
    return model


def make_pair(*shape, batch=2, hyper=0, seed=0):
    generator = np.random.default_rng(seed)
    images = generator.uniform(size=(2, batch, *shape, 1)).astype("float32")
    pair = {"moving": images[0], "fixed": images[1]}
    if hyper:
        pair["regularization"] = generator.uniform(size=(batch, 1)).astype("float32")
    return pair


def swapped(pair):
    return {**pair, "moving": pair["fixed"], "fixed": pair["moving"]}


def predict(model, pair):
    # Compiled as a whole: JAX compiles each operation by itself otherwise.
    return model.predict_on_batch(pair)


# Configuration


def test_config_survives_json():
    config = RegistrationConfig((8, 8), (8, 8, 4, 2), 7, False, True, 16, 0.1)
    assert RegistrationConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert RegistrationConfig.from_dict({}) == RegistrationConfig()
    config = RegistrationConfig(detector=DetectorConfig(8, UNetConfig(4, 2)))
    assert RegistrationConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_config_refuses_unknown_names():
    with pytest.raises(ValueError, match="unknown RegistrationConfig option 'steps'; the"):
        RegistrationConfig.from_dict({"steps": 8})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"encoder": 16}, r"`encoder` must be whole numbers below 2\^31\. Received: encoder=16"),
        ({"encoder": (16, 0)}, "`encoder` must be whole numbers of at least 1"),
        ({"decoder": (16.5,)}, "`decoder` must be whole numbers"),
        ({"encoder": ()}, "`encoder` must be whole numbers of at least 1"),
        ({"encoder": (4, 4), "decoder": (4,)}, r"Received: encoder=\(4, 4\), decoder=\(4,\)"),
        ({"integration_steps": -1}, "`integration_steps` must lie in"),
        ({"integration_steps": True}, "`integration_steps` must be one number"),
        ({"hyper_units": 1.5}, "`hyper_units` must be a whole number. Received: hyper_units=1.5"),
        ({"symmetric": 1}, "`symmetric` must be True or False. Received: symmetric=1"),
        ({"full_resolution": None}, "`full_resolution` must be True or False"),
        ({"negative_slope": 2}, r"`negative_slope` must lie in \[0, 1\]"),
        ({"negative_slope": "0.2"}, "`negative_slope` must be one number"),
    ],
)
def test_config_refuses(values, message):
    with pytest.raises(ValueError, match=message):
        RegistrationConfig(**values)


def test_a_detector_is_at_half_the_resolution():
    with pytest.raises(ValueError, match="`full_resolution` is not for a U-Net on the maps"):
        RegistrationConfig(**{**SMALL, **DETECTOR}, full_resolution=True)


def test_axes_are_two_or_three():
    with pytest.raises(ValueError, match="ndim must be 2 or 3, received 4"):
        registration_unet(4)


def test_multiple():
    assert RegistrationConfig().multiple == 16
    model = make_model()
    assert network_multiple(model) == RegistrationConfig(**SMALL).multiple == 4
    assert RegistrationConfig(**{**SMALL, **DETECTOR}).multiple == 4
    deep = DetectorConfig(4, UNetConfig(4, 5))
    assert RegistrationConfig(**SMALL, detector=deep).multiple == deep.multiple == 32


# The oracle


@pytest.mark.parametrize("ndim", [2, 3])
def test_oracle(shared, ndim):
    import h5py

    recorded = np.load(shared(f"oracles/vxmdense_{ndim}d.npz"))
    config = RegistrationConfig((8, 16, 16), (16, 16, 16, 8), 7, symmetric=False)
    model = registration_unet(ndim, config)
    names = [*(f"encoder_{i}" for i in range(3)), *(f"decoder_{i}" for i in range(3))]
    with h5py.File(shared(f"oracles/vxmdense_{ndim}d.weights.h5")) as file:
        for index, name in enumerate([*names, "final_0", "velocity_conv"]):
            group = file[f"layers/conv{ndim}d{f'_{index}' if index else ''}/vars"]
            model.get_layer(name).set_weights([group["0"][()], group["1"][()]])
    pair = {"moving": recorded["source"], "fixed": recorded["target"]}
    outputs = predict(model, pair)
    assert np.abs(recorded["displacement"]).max() > 1
    for name, expected in (("velocity", "flow_param"), ("displacement", "displacement")):
        np.testing.assert_allclose(outputs[name], recorded[expected], atol=1e-4)
    moved = Resample(fill=None)(pair["moving"], outputs["displacement"])
    np.testing.assert_allclose(ops.convert_to_numpy(moved), recorded["moved"], atol=1e-4)


# What it computes


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize(
    "changes",
    [{}, {"symmetric": False}, {"full_resolution": True}, {"hyper_units": 4}, DETECTOR],
    ids=str,
)
def test_shapes(ndim, changes):
    model = make_model(ndim, **changes)
    unknown = (None,) * (ndim + 1)
    assert model.input["moving"].shape == model.input["fixed"].shape == (*unknown, 1)
    assert ("regularization" in model.input) == ("hyper_units" in changes)
    for batch, shape in ((1, (8, 12, 4)), (3, (4, 8, 8))):
        shape = shape[:ndim]
        pair = make_pair(*shape, batch=batch, hyper=changes.get("hyper_units", 0))
        outputs = predict(model, pair)
        assert sorted(outputs) == ["displacement", "inverse", "velocity"]
        half = tuple(n // 2 for n in shape)
        for name, size in (("velocity", half), ("displacement", shape), ("inverse", shape)):
            assert model.output[name].shape == (*unknown, ndim)
            assert outputs[name].shape == (batch, *size, ndim)
            assert outputs[name].dtype == "float32"
            assert np.isfinite(outputs[name]).all() and outputs[name].std() > 0.01


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize(
    ("hyper", "changes"), [(0, {}), (4, {}), (0, DETECTOR), (4, DETECTOR)], ids=str
)
def test_swapping_the_images_negates_the_velocity(ndim, hyper, changes):
    model = make_model(ndim, hyper_units=hyper, **changes)
    pair = make_pair(*(8, 12, 16)[:ndim], hyper=hyper)
    one, other = predict(model, pair), predict(model, swapped(pair))
    np.testing.assert_array_equal(one["velocity"], -other["velocity"])
    np.testing.assert_array_equal(one["displacement"], other["inverse"])
    np.testing.assert_array_equal(one["inverse"], other["displacement"])
    same = predict(model, {**pair, "fixed": pair["moving"]})
    np.testing.assert_array_equal(same["displacement"], 0)


def test_symmetric_velocity_is_half_the_difference():
    symmetric, plain = make_model(), make_model(symmetric=False)
    pair = make_pair(8, 12)
    for target, source in zip(symmetric.weights, plain.weights, strict=True):
        target.assign(source + 0)
    forward, backward = (predict(plain, x)["velocity"] for x in (pair, swapped(pair)))
    assert np.abs(forward + backward).max() > 0.1
    velocity = predict(symmetric, pair)["velocity"]
    np.testing.assert_allclose(velocity, (forward - backward) / 2, atol=1e-5)


@pytest.mark.parametrize(
    ("hyper", "changes"), [(0, {}), (4, {}), (0, DETECTOR), (4, DETECTOR)], ids=str
)
def test_each_sample_is_its_own(hyper, changes):
    model = make_model(hyper_units=hyper, **changes)
    pair = make_pair(8, 12, batch=3, hyper=hyper)
    together = predict(model, pair)
    for row in range(3):
        alone = predict(model, {name: x[row : row + 1] for name, x in pair.items()})
        np.testing.assert_allclose(
            alone["displacement"][0], together["displacement"][row], atol=1e-5
        )


@pytest.mark.parametrize("hyper", [0, 8])
def test_first_displacements_are_next_to_nothing(hyper):
    config = RegistrationConfig(**SMALL, hyper_units=hyper)
    outputs = predict(registration_unet(2, config), make_pair(16, 16, hyper=hyper))
    assert 0 < np.abs(outputs["displacement"]).max() < 1e-3


def test_regularization_changes_the_deformation():
    model = make_model(hyper_units=8)
    convolutions = [layer for layer in model.layers if isinstance(layer, HyperConv)]
    assert len(convolutions) == len(SMALL["encoder"]) + len(SMALL["decoder"]) + 1
    pair = make_pair(8, 12, batch=1, hyper=8)
    one, other = (
        predict(model, {**pair, "regularization": np.full((1, 1), value, "float32")})
        for value in (0, 1)
    )
    assert np.abs(one["velocity"] - other["velocity"]).max() > 1e-2


def test_final_convolutions_and_full_resolution():
    half = make_model(decoder=(6, 5))
    assert "final_0" not in [layer.name for layer in half.layers]
    full = make_model(full_resolution=True)
    # The last skip brings the four features of the first level.
    assert full.get_layer("final_0").kernel.shape == (3, 3, 5 + 4, 4)
    assert make_model().get_layer("final_0").kernel.shape == (3, 3, 5, 4)


# Training and files


@pytest.mark.parametrize("hyper", [0, pytest.param(4, marks=pytest.mark.slow)])
def test_learns_to_align(hyper):
    """A square is moved onto another one, two voxels away."""
    keras.utils.set_random_seed(0)
    network = registration_unet(2, RegistrationConfig((8,), (8, 8), 2, hyper_units=hyper))
    images = np.zeros((2, 1, 16, 16, 1), "float32")
    images[0, :, 4:10, 4:10] = images[1, :, 6:12, 4:10] = 1
    pair = {"moving": images[0], "fixed": images[1]}
    if hyper:
        pair["regularization"] = np.full((1, 1), 0.5, "float32")
    moved = Resample()(network.input["moving"], network.output["displacement"])
    model = keras.Model(network.input, moved)
    model.compile(keras.optimizers.Adam(0.005), "mse", jit_compile=False)
    before = np.mean((images[1] - images[0]) ** 2)
    many = {name: np.repeat(x, 40, axis=0) for name, x in pair.items()}
    model.fit(many, np.repeat(images[1], 40, axis=0), batch_size=1, verbose=0)
    after = np.mean((images[1] - predict(model, pair)) ** 2)
    assert after < 0.5 * before


@pytest.mark.parametrize("hyper", [0, 4])
def test_mixed_precision(hyper):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = make_model(hyper_units=hyper)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("encoder_0").compute_dtype == "bfloat16"
    assert {str(v.dtype) for v in model.trainable_variables} == {"float32"}
    pair = make_pair(8, 12, hyper=hyper)
    outputs = predict(model, pair)
    assert {str(x.dtype) for x in outputs.values()} == {"float32"}
    expected = predict(make_model(hyper_units=hyper), pair)
    np.testing.assert_allclose(outputs["velocity"], expected["velocity"], atol=0.1)


@pytest.mark.parametrize(
    "changes", [{}, {"hyper_units": 4}, {"full_resolution": True}, DETECTOR], ids=str
)
def test_keras_file(tmp_path, changes):
    model = make_model(**changes)
    pair = make_pair(8, 12, hyper=changes.get("hyper_units", 0))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    expected = predict(model, pair)
    for name, values in predict(again, pair).items():
        np.testing.assert_array_equal(values, expected[name])


ELSEWHERE = """
import sys
import numpy as np
import tensorflow as tf

served = tf.saved_model.load("exported")
for case in ("small", "large"):
    with np.load(f"{case}_in.npz") as pair:
        outputs = served.serve(dict(pair))
    np.savez(f"{case}_out.npz", **{name: x.numpy() for name, x in outputs.items()})
print([name for name in sys.modules if name.startswith("synthtf")])
"""


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a SavedModel of TensorFlow")
@pytest.mark.slow
@pytest.mark.parametrize(("hyper", "changes"), [(4, {}), (0, DETECTOR)], ids=str)
def test_saved_model_needs_no_synthtf(tmp_path, hyper, changes):
    model = make_model(3, hyper_units=hyper, **changes)
    model.export(tmp_path / "exported", format="tf_saved_model", verbose=False)
    pairs = {
        "small": make_pair(8, 8, 4, batch=1, hyper=hyper),
        "large": make_pair(12, 8, 16, batch=3, hyper=hyper),
    }
    for case, pair in pairs.items():
        np.savez(tmp_path / f"{case}_in.npz", **pair)
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
    for case, pair in pairs.items():
        expected = predict(model, pair)
        with np.load(tmp_path / f"{case}_out.npz") as outputs:
            assert sorted(outputs) == sorted(expected)
            for name in outputs:
                np.testing.assert_allclose(outputs[name], expected[name], atol=1e-5)
