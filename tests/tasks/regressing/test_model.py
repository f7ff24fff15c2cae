import keras
import numpy as np
import pytest
from keras import ops

from synthtf.data import LabelMaps
from synthtf.layers import (
    KeepDistance,
    KeepGain,
    KeepImage,
    KeepScan,
    RandomBiasField,
    RandomIntensity,
    RandomNoise,
    RandomResolution,
    RenderContrast,
)
from synthtf.networks import UNetConfig
from synthtf.runs import Run
from synthtf.tasks import image_regression, segmentation
from synthtf.tasks.regressing.options import RegressionTask

SIZE = 16
NETWORK = UNetConfig(features=8, levels=2)
RECIPE = [
    RandomIntensity(std=0),
    KeepImage(),
    RenderContrast(),
    RandomBiasField(),
    KeepGain(),
    RandomNoise(std=0.1),
    RandomResolution(),
]


def maps(ndim=2):
    labels = np.zeros((SIZE,) * ndim, "int32")
    labels[4:12, 4:12] = 1
    labels[6:9, 6:9] = 2
    return LabelMaps([labels], batch_size=2)


def make(ndim=2, recipe=RECIPE, **options):
    options.setdefault("network", NETWORK)
    return image_regression((SIZE,) * ndim, [0, 1, 2], recipe=recipe, **options)


@pytest.mark.parametrize("ndim", [2, 3])
def test_returns_a_channel_for_each_target_of_the_recipe(ndim):
    model = make(ndim)
    assert model.targets == ("clean", "contrast", "log_gain")
    assert model.task_model.output.shape == (*(None,) * (ndim + 1), 3)


@pytest.mark.parametrize(("loss", "power"), [("l1", 1), ("l2", 2)])
@pytest.mark.parametrize("steps", [RECIPE, RECIPE[:2]], ids=["three targets", "one"])
def test_the_loss_is_the_difference_of_network_and_targets(loss, power, steps):
    model = make(recipe=steps, loss=loss)
    batch = maps()[0][0]
    samples = {k: ops.convert_to_numpy(v) for k, v in model.synthesis(batch).items()}
    found = ops.convert_to_numpy(model.task_model(samples["image"]))
    kept = np.concatenate([samples[name] for name in model.targets], axis=-1)
    expected = (np.abs(found - kept) ** power).mean(axis=(0, 1, 2)).sum()
    np.testing.assert_allclose(float(ops.mean(model.objective(model(batch)))), expected, rtol=1e-4)


def test_a_residual_network_begins_with_its_input():
    model = make(recipe=[RandomIntensity(), KeepImage(), RandomNoise()], residual=True)
    model.task_model.get_layer("logits").set_weights(
        [0 * w for w in model.task_model.get_layer("logits").get_weights()]
    )
    image = np.random.default_rng(0).uniform(size=(1, SIZE, SIZE, 1)).astype("float32")
    np.testing.assert_allclose(ops.convert_to_numpy(model.task_model(image)), image, atol=1e-6)


def test_learned_scales_weigh_a_target_by_its_error():
    """At the optimum, a scale is the mean error of its target."""
    model = make(balance="uncertainty")
    scales = next(layer for layer in model.layers if layer.name == NETWORK_NAME).get_layer("scales")
    losses = ops.convert_to_tensor(np.array([[0.1, 0.5, 2.0]], "float32"))
    scales.log_scale.assign(np.log([0.1, 0.5, 2.0]))
    best = float(scales(losses)[0])
    for change in (-0.1, 0.1):
        scales.log_scale.assign(np.log([0.1, 0.5, 2.0]) + change)
        assert float(scales(losses)[0]) > best
    assert any("log_scale" in weight.path for weight in model.trainable_variables)


NETWORK_NAME = "unet"


def test_training_lowers_each_error_and_the_model_is_kept(tmp_path):
    keras.utils.set_random_seed(0)
    model = make(balance="uncertainty")
    model.compile(keras.optimizers.Adam(0.01))
    history = model.fit(maps(), epochs=30, steps_per_epoch=1, verbose=0).history
    for name in model.targets:
        assert np.mean(history[f"{name}_l1"][-5:]) < np.mean(history[f"{name}_l1"][:5])
    run = model.save_run(tmp_path / "run")
    assert run.recipe.targets == model.targets and run.output_labels == ()
    image = np.random.default_rng(0).uniform(size=(1, SIZE, SIZE, 1)).astype("float32")
    np.testing.assert_allclose(
        Run.load(tmp_path / "run").task_model(image), model.task_model(image), atol=1e-5
    )
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.targets == model.targets and again.balance == "uncertainty"


def test_losses_are_weighed():
    batch = maps()[0][0]
    for balance in ("sum", "magnitude"):
        keras.utils.set_random_seed(0)
        model = make(balance=balance, weights=(2, 0, 1))
        outputs = {k: ops.convert_to_numpy(v) for k, v in model(batch).items()}
        expected = outputs["losses"] @ np.array([2, 0, 1], "float32")
        np.testing.assert_allclose(outputs["loss"], expected, rtol=1e-5)
        again = type(model).from_config(model.get_config())
        assert again.loss_factors == (2, 0, 1)
    for weights, message in (((1, 2), "one per loss, 3"), ((0, 0, 0), "one above it")):
        with pytest.raises(ValueError, match=message):
            make(weights=weights)
    with pytest.raises(ValueError, match="left out with balanced gradients"):
        make(weights=(1, 1, 1), balance="gradients")


def test_a_recipe_without_targets_is_refused():
    with pytest.raises(ValueError, match="must keep what the network shall return"):
        make(recipe=[RandomIntensity()])


def test_residuals_need_as_many_channels():
    contrasts = [RandomIntensity(channels=2), KeepImage(), RandomBiasField(), KeepGain()]
    with pytest.raises(ValueError, match="`residual` must be False"):
        make(recipe=contrasts, residual=True)


MANY = [*RECIPE, KeepDistance([1, [1, 2]])]


@pytest.mark.parametrize(
    ("ndim", "balance"),
    [
        (2, "gradients"),
        pytest.param(2, "sum", marks=pytest.mark.slow),
        pytest.param(3, "gradients", marks=pytest.mark.slow),
    ],
)
def test_one_network_returns_images_distances_and_posteriors(ndim, balance, tmp_path):
    keras.utils.set_random_seed(0)
    model = make(ndim, MANY, segment=True, balance=balance, residual=False)
    assert model.output_labels == (0, 1, 2)
    assert model.task_model.output.shape[-1] == 3 + 2 + 3
    if ndim == 2:
        model.compile(keras.optimizers.Adam(0.01))
        history = model.fit(maps(ndim), epochs=25, steps_per_epoch=1, verbose=0).history
        assert np.mean(history["label_loss"][-5:]) < 0.95 * np.mean(history["label_loss"][:5])
        assert np.mean(history["distance_l1"][-5:]) < np.mean(history["distance_l1"][:5])
    image = np.random.default_rng(0).uniform(size=(1, *(SIZE,) * ndim, 1)).astype("float32")
    found = ops.convert_to_numpy(model.task_model(image))
    np.testing.assert_allclose(found[..., 5:].sum(-1), 1, atol=1e-5)
    run = model.save_run(tmp_path / "run")
    assert run.output_labels == (0, 1, 2)
    assert run.metadata["target_channels"] == [1, 1, 1, 2] and run.metadata["segment"]
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.task_model(image), found, atol=1e-5)
    batch = maps(ndim)[0][0]
    one, other = (float(ops.mean(m.objective(m(batch)))) for m in (model, again))
    np.testing.assert_allclose(one, other, rtol=1e-5)


@pytest.mark.parametrize("residual", [False, True])
def test_balanced_gradients_leave_the_losses_as_they_are(residual):
    steps = [RandomIntensity(), KeepImage(), RandomNoise()]
    models = [make(recipe=steps, segment=True, balance=b, residual=residual) for b in BALANCES]
    models[1].task_model.set_weights(models[0].task_model.get_weights())
    batch = maps()[0][0]
    losses = [ops.convert_to_numpy(model(batch)["losses"]) for model in models]
    np.testing.assert_allclose(*losses, rtol=1e-4)


BALANCES = ("sum", "gradients")


def test_balanced_gradients_need_features_that_are_shared():
    image = keras.Input((None, None, 1))
    network = keras.Model(image, keras.layers.Conv2D(1, 1)(image))
    steps = [RandomIntensity(), KeepImage()]
    with pytest.raises(ValueError, match='a layer "logits" behind the features'):
        make(recipe=steps, balance="gradients", network=network)


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_frozen_segmentation_looks_at_the_image_that_is_returned(ndim, tmp_path):
    """SynthSR: a real scan as target, and the labels that a trained network finds in the result."""
    trained = segmentation((SIZE,) * ndim, [0, 1, 2], network=NETWORK)
    before = [w.copy() for w in trained.task_model.get_weights()]
    labels = np.zeros((SIZE,) * ndim, "int32")
    labels[4:12, 4:12] = 1
    data = LabelMaps([labels], batch_size=2, scans=[labels + 0.1])
    steps = [RandomIntensity(), RandomBiasField(), KeepGain(), KeepScan()]
    model = image_regression(
        (SIZE,) * ndim, [0, 1, 5], recipe=steps, network=NETWORK, segmentation=trained
    )
    assert model.segmenter_labels == ((0, 1, 2), (1,))
    assert model.segmenter_weight == 0.25
    batch = data[0][0]
    outputs = model(batch)
    samples = {k: ops.convert_to_numpy(v) for k, v in model.synthesis(batch).items()}
    image = ops.convert_to_numpy(model.task_model(samples["image"]))[..., 1:]
    posteriors = ops.convert_to_numpy(trained.task_model(image))[..., 1]
    wanted = samples["labels"][..., 0] == 1
    axes = tuple(range(1, ndim + 1))
    dice = 2 * (wanted * posteriors).sum(axes) / ((posteriors**2).sum(axes) + wanted.sum(axes))
    np.testing.assert_allclose(outputs["segmenter"], 1 - dice, atol=1e-4)
    learner = model.on_samples()
    assert learner.segmenter is model.segmenter and learner.task_model is model.task_model
    total = ops.convert_to_numpy(outputs["losses"]).sum(-1) + 0.25 * (1 - dice)
    np.testing.assert_allclose(float(ops.mean(model.objective(outputs))), total.mean(), rtol=1e-4)
    if ndim == 2:
        model.compile(keras.optimizers.Adam(0.01))
        model.fit(data, epochs=1, steps_per_epoch=2, verbose=0)
    for models in (model.segmenter, trained.task_model):
        for weight, old in zip(models.get_weights(), before, strict=True):
            np.testing.assert_array_equal(weight, old)
    assert trained.task_model.trainable
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    one, other = (float(ops.mean(m.objective(m(batch)))) for m in (model, again))
    np.testing.assert_allclose(one, other, rtol=1e-5)


def test_a_segmentation_that_does_not_fit_is_refused():
    steps = [RandomIntensity(), KeepImage()]
    other = segmentation((SIZE,) * 2, [0, 7], network=NETWORK)
    with pytest.raises(ValueError, match="knows an output label of the table"):
        make(recipe=steps, segmentation=other)
    coarse = segmentation((SIZE,) * 2, [0, 1], spacing=2.0, network=NETWORK)
    with pytest.raises(ValueError, match="`segmentation` must be a run of the task segmentation"):
        make(recipe=steps, segmentation=coarse)
    with pytest.raises(ValueError, match="of the task regression"):
        make(recipe=steps, segmentation=make(recipe=steps))
    gains = [RandomIntensity(), RandomBiasField(), KeepGain()]
    fitting = segmentation((SIZE,) * 2, [0, 1], network=NETWORK)
    with pytest.raises(ValueError, match="needs a target that is an image of one channel"):
        make(recipe=gains, segmentation=fitting)


def test_a_network_begins_with_the_features_of_another():
    """Of the same outputs, all weights are copied; of others, those up to the last features."""
    keras.utils.set_random_seed(0)
    target = make(recipe=RECIPE[:2])
    for other in (
        make(),
        make(recipe=RECIPE[:2]),
        segmentation((SIZE,) * 2, [0, 1, 2], network=NETWORK),
    ):
        head = [w.copy() for w in target.task_model.get_layer("logits").get_weights()]
        RegressionTask(network=NETWORK).copy_weights(other.run, target.run)
        for name in ("down_0_conv_0", "up_0_conv_1"):
            for found, given in zip(
                target.task_model.get_layer(name).get_weights(),
                other.task_model.get_layer(name).get_weights(),
                strict=True,
            ):
                np.testing.assert_array_equal(found, given)
        same = other.task_model.output.shape == target.task_model.output.shape
        kept = target.task_model.get_layer("logits").get_weights()[0]
        given = other.task_model.get_layer("logits").get_weights()[0] if same else head[0]
        np.testing.assert_array_equal(kept, given)
    larger = make(recipe=RECIPE[:2], network=UNetConfig(features=4, levels=2))
    with pytest.raises(ValueError, match="has another network than the one to be trained"):
        RegressionTask().copy_weights(larger.run, target.run)
