import json

import keras
import numpy as np
import pytest
from scipy.special import softmax

from synthtf.networks import UNetConfig, network_multiple, unet
from synthtf.networks.unets import _log_likelihood

TINY = UNetConfig(features=4, levels=2)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def predict(model, image):
    # Compiled as a whole: JAX compiles each operation by itself otherwise.
    return model.predict_on_batch(image)


@pytest.fixture
def bfloat16():
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy("float32")


def test_config_survives_json():
    config = UNetConfig(features=16, max_features=64, activation="relu", normalization=None)
    assert UNetConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert UNetConfig.from_dict({}) == UNetConfig()


def test_config_refuses_unknown_names():
    with pytest.raises(ValueError, match="unknown UNetConfig option 'feature'; the options are"):
        UNetConfig.from_dict({"feature": 8})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"features": 0}, r"`features` must lie in \[1, inf\]. Received: features=0"),
        ({"levels": 2.5}, "`levels` must be a whole number"),
        ({"convolutions": True}, "`convolutions` must be one number"),
        ({"max_features": -1}, "`max_features` must lie in"),
        ({"kernel_size": "3"}, "`kernel_size` must be one number"),
        ({"mixture_channels": -1}, "`mixture_channels` must lie in"),
        ({"fine_features": -1}, "`fine_features` must lie in"),
        ({"mixture_channels": True}, "`mixture_channels` must be one number"),
        ({"multiplier": 0}, "`multiplier` must lie in"),
        ({"multiplier": None}, "`multiplier` must be one number"),
        ({"normalization": "layer"}, "`normalization` must be one of"),
    ],
)
def test_config_refuses(values, message):
    with pytest.raises(ValueError, match=message):
        UNetConfig(**values)


def test_features_double_up_to_the_limit():
    config = UNetConfig(features=16, levels=7, max_features=64)
    assert [config.level_features(level) for level in range(7)] == [16, 32, 64, 64, 64, 64, 64]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_outputs": 0}, "num_outputs must be an integer of at least 1, received 0"),
        (
            {"num_outputs": 2, "config": UNetConfig(activation="elo")},
            "`activation` must name a Keras activation",
        ),
        ({"num_outputs": 2, "ndim": 4}, "ndim must be 2 or 3, received 4"),
        ({"num_outputs": 2, "final_activation": "tanh"}, "final_activation must be one of"),
    ],
)
def test_unet_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        unet(**arguments)


@pytest.mark.parametrize("mixture", [0, 1])
@pytest.mark.parametrize("ndim", [2, 3])
def test_a_fine_level_lies_above_the_others(ndim, mixture):
    config = UNetConfig(
        features=4, levels=2, max_features=6, fine_features=3, mixture_channels=mixture
    )
    assert config.multiple == 4
    model = unet(3, ndim, config, pairs=[(1, 2)])
    assert network_multiple(model) == 4
    assert predict(model, noise(2, *(8,) * ndim, 1)).shape == (2, *(8,) * ndim, 3)
    # All but the thin level is the network of half the resolution, which it can begin from.
    half = weight_shapes(unet(3, ndim, UNetConfig(4, 2, max_features=6), pairs=[(1, 2)]))
    other = {name for name, shapes in weight_shapes(model).items() if half.get(name) != shapes}
    thin = {f"fine_{way}_{kind}" for way in ("down", "up") for kind in ("conv", "norm")}
    first = {"mixture_conv", "prior_logits"} if mixture else {"structure_logits"}
    assert other == {"down_0_conv_0", *thin, *first, "side_logit"}


def weight_shapes(model):
    return {x.name: [w.shape for w in x.weights] for x in model.layers if x.weights}


def test_a_fine_level_tells_voxels_of_a_block_apart():
    model = unet(2, 2, UNetConfig(features=2, levels=2, fine_features=2))
    posteriors = predict(model, noise(1, 8, 8, 1))
    assert np.ptp(posteriors[0, :2, :2, 0]) > 1e-4


@pytest.mark.parametrize("ndim", [2, 3])
def test_posteriors(ndim):
    model = unet(3, ndim, TINY)
    assert model.input_shape == (None,) * (ndim + 1) + (1,)
    assert model.input.name == "image"
    for shape in ((8, 12, 4)[:ndim], (4, 4, 16)[:ndim]):
        posteriors = predict(model, noise(2, *shape, 1))
        assert posteriors.shape == (2, *shape, 3)
        np.testing.assert_allclose(posteriors.sum(-1), 1, atol=1e-5)
        assert posteriors.std() > 0


def test_size_is_that_of_synthseg():
    config = UNetConfig()
    assert (config.features, config.levels, config.convolutions) == (24, 5, 2)
    assert (config.multiplier, config.kernel_size, config.activation) == (2, 3, "elu")
    features = [4, 8, 16]
    down = sum(9 * (a * b + b * b) + 2 * b for a, b in zip([1, *features], features, strict=False))
    # On the way up, 2a upsampled features and a from the skip enter each level of a features.
    up = sum(9 * (3 * a * a + a * a) + 2 * a for a in features[:-1])
    norm = 2 * (sum(features) + sum(features[:-1]))
    model = unet(5, 2, UNetConfig(features=4, levels=3))
    assert model.count_params() == down + up + norm + 4 * 5 + 5
    assert network_multiple(model) == 4
    assert config.multiple == 16


def test_final_activations():
    image = noise(1, 8, 8, 1)
    linear = unet(1, 2, TINY, None)
    sigmoid = unet(1, 2, TINY, "sigmoid")
    for target, source in zip(sigmoid.weights, linear.weights, strict=True):
        target.assign(source + 0)
    logits = predict(linear, image)
    assert linear.layers[-1].name == "logits"
    assert logits.min() < 0 or logits.max() > 1
    np.testing.assert_allclose(predict(sigmoid, image), 1 / (1 + np.exp(-logits)), atol=1e-5)


def test_instance_normalization_is_per_sample_and_channel():
    model = unet(2, 2, TINY)
    features = keras.Model(model.input, model.get_layer("down_1_norm").output)
    image = noise(2, 16, 16, 1)
    values = predict(features, image)
    np.testing.assert_allclose(values.mean((1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(values.std((1, 2)), 1, atol=1e-2)
    image[0] *= 7
    np.testing.assert_array_equal(predict(features, image)[1], values[1])
    # No moving averages that inference would have to rely on.
    assert not model.non_trainable_variables


def test_skips_are_taken_before_normalization():
    model = unet(2, 2, TINY)
    inputs = model.get_layer("up_0_concat").input
    names = [tensor._keras_history.operation.name for tensor in inputs]
    assert names == ["down_0_conv_1", "up_0_upsample"]


@pytest.mark.parametrize("normalization", ["batch", None])
def test_other_normalizations(normalization):
    model = unet(2, 2, UNetConfig(features=4, levels=2, normalization=normalization))
    kinds = {type(layer).__name__ for layer in model.layers}
    assert ("BatchNormalization" in kinds) == (normalization == "batch")
    assert "GroupNormalization" not in kinds


# Keras 3.15 saves variables through an interface that NumPy 2 deprecates.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("normalization, mixture", [("instance", 0), ("batch", 0), ("instance", 2)])
def test_file_holds_standard_layers_only(tmp_path, normalization, mixture):
    config = UNetConfig(
        features=4,
        levels=2,
        activation="leaky_relu",
        normalization=normalization,
        mixture_channels=mixture,
    )
    model = unet(2, 3, config)
    model.save(tmp_path / "unet.keras")
    assert {layer.__class__.__module__.split(".")[0] for layer in model.layers} == {"keras"}
    assert "synthtf" not in model.to_json()
    loaded = keras.models.load_model(tmp_path / "unet.keras")
    image = noise(1, 4, 4, 8, 1)
    np.testing.assert_array_equal(predict(loaded, image), predict(model, image))
    assert network_multiple(loaded) == config.multiple == 2


@pytest.mark.parametrize("mixture", [0, 2])
def test_mixed_precision(bfloat16, mixture):
    model = unet(3, 2, UNetConfig(features=4, levels=2, mixture_channels=mixture))
    assert model.get_layer("down_0_conv_0").compute_dtype == "bfloat16"
    assert model.output.dtype == "float32"
    # bfloat16 has three digits: sums of posteriors rounded to it would be off by 1e-3.
    np.testing.assert_allclose(predict(model, noise(1, 8, 8, 1)).sum(-1), 1, atol=1e-5)
    assert {str(v.dtype) for v in model.trainable_variables} == {"float32"}
    linear = unet(1, 2, TINY, None)
    assert predict(linear, noise(1, 8, 8, 1)).dtype == "float32"


@pytest.mark.parametrize(
    "policy", ["mixed_bfloat16", pytest.param("float32", marks=pytest.mark.slow)]
)
def test_fit_learns(policy):
    keras.config.set_dtype_policy(policy)
    try:
        keras.utils.set_random_seed(1)
        model = unet(2, 2, UNetConfig(features=4, levels=2, convolutions=1))
    finally:
        keras.config.set_dtype_policy("float32")
    image = noise(2, 16, 16, 1)
    target = np.concatenate([image < 0, image >= 0], -1).astype("float32")
    model.compile(keras.optimizers.Adam(0.01), keras.losses.CategoricalCrossentropy())
    losses = model.fit(image, target, epochs=12, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]


# Mixture


@pytest.mark.parametrize("mixture", [0, 2])
def test_pairs_share_all_but_the_side(mixture):
    config = UNetConfig(features=4, levels=2, mixture_channels=mixture)
    model = unet(5, 2, config, pairs=[(1, 4), (3, 2)])
    outputs = [model.get_layer(name).output for name in ("structure_logits", "side_logit")]
    both = keras.Model(model.input, [*outputs, model.output])
    structures, side, posteriors = (np.asarray(x) for x in predict(both, noise(2, 16, 16, 1)))
    structures, left = softmax(structures, -1), 1 / (1 + np.exp(-side[..., 0]))
    expected = [
        structures[..., 0],
        structures[..., 1] * left,
        structures[..., 2] * (1 - left),
        structures[..., 2] * left,
        structures[..., 1] * (1 - left),
    ]
    np.testing.assert_allclose(posteriors, np.stack(expected, -1), atol=1e-6)


def test_pairs_are_spread_by_weights_that_stay():
    model = unet(3, 2, TINY, pairs=[(1, 2)])
    assert not model.get_layer("logits").trainable_weights
    assert model.get_layer("logits").output.shape[-1] == 3


@pytest.mark.parametrize("pairs, on", [((), True), ([(1, 2)], False)])
def test_without_pairs_or_side_channel_it_is_the_plain_network(pairs, on):
    model = unet(3, 2, UNetConfig(features=4, levels=2, side_channel=on), pairs=pairs)
    assert model.get_layer("logits").trainable
    assert len(model.get_layer("logits").trainable_weights) == 2


@pytest.mark.parametrize("pairs", [[(1, 1)], [(1, 2), (2, 3)], [(1, 9)]])
def test_pairs_are_of_different_channels(pairs):
    with pytest.raises(ValueError, match="expected pairs of different channels of 4"):
        unet(4, 2, TINY, pairs=pairs)


def test_pairs_need_classes_that_compete():
    with pytest.raises(ValueError, match="pairs need final_activation='softmax'"):
        unet(3, 2, TINY, final_activation=None, pairs=[(1, 2)])


def test_mixture_needs_classes_that_compete():
    with pytest.raises(ValueError, match="mixture_channels needs final_activation='softmax'"):
        unet(1, 2, UNetConfig(features=4, levels=2, mixture_channels=1), final_activation=None)


def em_likelihood(channels, prior_logits, steps):
    """Log-likelihood of Gaussians whose moments are those of every other voxel of each axis."""
    ndim = channels.ndim - 1
    sparse = (slice(None, None, 2),) * ndim
    c, prior = (x[sparse].reshape(-1, x.shape[-1]) for x in (channels, prior_logits))
    posterior = softmax(prior, axis=-1)
    for _ in range(steps):
        weight = posterior.sum(0)[:, None] + 1e-3
        mean = posterior.T @ c / weight
        variance = posterior.T @ c**2 / weight - mean**2 + 0.01
        posterior = softmax(prior + gaussian_log_density(c, mean, variance), axis=-1)
    return gaussian_log_density(channels, mean, variance)


def gaussian_log_density(channels, mean, variance):
    square = (channels[..., None, :] - mean) ** 2 / variance
    return -0.5 * (square + np.log(variance)).sum(-1)


@pytest.mark.parametrize("ndim", [2, 3])
def test_mixture_is_expectation_maximisation_from_the_prior(ndim):
    """Logits are the prior's plus the log-density of Gaussians, up to a constant per voxel."""
    model = unet(3, ndim, UNetConfig(features=4, levels=2, mixture_channels=2))
    outputs = [model.get_layer(name).output for name in ("mixture_norm", "prior_logits")]
    inner = keras.Model(model.input, [*outputs, model.output])
    channels, logits, posteriors = map(np.asarray, predict(inner, noise(1, *(8,) * ndim, 1)))
    expected = softmax(logits[0] + em_likelihood(channels[0], logits[0], steps=4), axis=-1)
    np.testing.assert_allclose(posteriors[0], expected, atol=1e-4)


def test_mixture_follows_the_contrast_of_each_image():
    """A prior that is right on average labels each voxel by its intensity, bright or dark."""
    truth = np.random.default_rng(0).integers(0, 2, (16, 16))
    hint = np.where(truth == 1, 0.6, 0.4)
    prior = np.log(np.stack([1 - hint, hint], -1))[None].astype("float32")
    for sign in (1, -1):
        channels = (sign * (2.0 * truth - 1))[None, ..., None].astype("float32")
        likelihood = np.asarray(_log_likelihood(channels, prior, 2))
        np.testing.assert_array_equal(likelihood[0].argmax(-1), truth)


def test_mixture_recovers_from_a_broad_prior():
    """A structure that fills a third of the place where it may be is found by its intensity."""
    image = np.zeros((32, 32)) + np.random.default_rng(0).normal(0, 0.1, (32, 32))
    truth = np.zeros((32, 32), int)
    truth[10:18, 10:18] = 1
    place = np.zeros((32, 32), bool)
    place[7:21, 7:21] = True
    hint = np.where(place, 0.6, 1e-3)
    prior = np.log(np.stack([1 - hint, hint], -1))[None].astype("float32")
    channels = (image + 2.0 * truth)[None, ..., None].astype("float32")
    logits = prior + np.asarray(_log_likelihood(channels, prior, 2))
    np.testing.assert_array_equal(logits[0].argmax(-1), truth)


@pytest.mark.parametrize("image", ["constant", "bright"])
def test_mixture_is_finite_for_odd_images(image):
    model = unet(5, 2, UNetConfig(features=4, levels=2, mixture_channels=2))
    x = np.zeros((1, 8, 8, 1), "float32") if image == "constant" else 1e6 * noise(1, 8, 8, 1)
    posteriors = np.asarray(predict(model, x))
    assert np.isfinite(posteriors).all()
    np.testing.assert_allclose(posteriors.sum(-1), 1, atol=1e-4)


def test_mixture_of_each_sample_is_its_own():
    model = unet(3, 2, UNetConfig(features=4, levels=2, mixture_channels=2))
    x = noise(3, 16, 16, 1) * np.array([1, 5, 0.1], "float32").reshape(3, 1, 1, 1)
    together = np.asarray(predict(model, x))
    for row in range(3):
        alone = np.asarray(predict(model, x[row : row + 1]))
        np.testing.assert_allclose(alone[0], together[row], atol=1e-5)


def test_levels_without_skips_see_only_what_comes_up():
    model = unet(3, 2, UNetConfig(features=4, levels=3, without_skips=1))
    names = {layer.name for layer in model.layers}
    assert "up_1_concat" in names and "up_0_concat" not in names
    assert model.get_layer("up_0_conv_0").kernel.shape[-2] == 8
