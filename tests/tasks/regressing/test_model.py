import keras
import numpy as np
import pytest
from keras import ops

from synthtf.data import LabelMaps
from synthtf.layers import (
    KeepGain,
    KeepImage,
    RandomBiasField,
    RandomIntensity,
    RandomNoise,
    RandomResolution,
    RenderContrast,
)
from synthtf.networks import UNetConfig
from synthtf.runs import Run
from synthtf.tasks import image_regression

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
    np.testing.assert_allclose(float(model.objective(model(batch))), expected, rtol=1e-4)


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


def test_a_recipe_without_targets_is_refused():
    with pytest.raises(ValueError, match="must keep what the network shall return"):
        make(recipe=[RandomIntensity()])


def test_residuals_need_as_many_channels():
    contrasts = [RandomIntensity(channels=2), KeepImage(), RandomBiasField(), KeepGain()]
    with pytest.raises(ValueError, match="`residual` must be False"):
        make(recipe=contrasts, residual=True)
