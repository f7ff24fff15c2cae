import keras
import numpy as np
import pytest

from synthtf.data import LabelMaps
from synthtf.layers import RandomBiasField, RandomIntensity, RandomNoise
from synthtf.networks import UNetConfig
from synthtf.synthesis import Recipe
from synthtf.tasks import SegmentationTask
from synthtf.training import LearnRanges

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="ranges are learned on TensorFlow"
)
START = Recipe([RandomIntensity(), RandomBiasField(drop=(0, 0.2)), RandomNoise(std=(0, 0.05))])


@pytest.fixture(scope="module")
def labels():
    labels = np.zeros((16, 16), "int32")
    labels[3:13, 3:12], labels[6:10, 5:9] = 1, 2
    return [labels, labels.T.copy()]


def maps_of(labels, seed):
    return LabelMaps(labels, seed=seed, batch_size=4, num_batches=2)


def model_of(recipe=START):
    keras.utils.set_random_seed(1)
    model = SegmentationTask(UNetConfig(4, 2)).make((16, 16), [0, 1, 2], 1.0, recipe)
    model.compile("adam")
    return model


def real_of(labels):
    recipe = START.change("noise", std=(0.2, 0.3))
    samples = recipe.build((16, 16), [0, 1, 2])(maps_of(labels, 9)[0][0])
    return {name: keras.ops.convert_to_numpy(samples[name]) for name in ("image", "labels")}


def test_the_gradient_is_that_of_the_real_loss_after_a_step(labels):
    """Against the real loss itself, for ranges a little lower and higher."""
    import tensorflow as tf

    model, real = model_of(), real_of(labels)
    learn = LearnRanges(["noise.std"], real, maps_of(labels, 5))
    learn.set_model(model)
    learn.on_train_begin()
    model.train_on_batch(maps_of(labels, 3)[0][0])
    batch = maps_of(labels, 5)[0][0]
    (gradient,) = learn._hypergradient(batch, real)
    weights = model.task_model.trainable_variables
    before = [tf.identity(w.value) for w in weights]
    expected = []
    for index in range(2):
        losses = []
        for moved in (-0.5, 0.5):
            learn.ranges[0].moved.assign(np.eye(2)[index] * moved)
            with tf.GradientTape() as tape:
                loss = model.compute_loss(y_pred=model(batch))
            steps = tape.gradient(loss, [w.value for w in weights])
            length = tf.linalg.global_norm(steps)
            for weight, first, step in zip(weights, before, steps, strict=True):
                weight.assign(first - 0.05 * step / length)
            learner = model.on_samples()
            losses.append(float(learner.compute_loss(y_pred=learner(real))))
            for weight, first in zip(weights, before, strict=True):
                weight.assign(first)
        expected.append(losses[1] - losses[0])
    found = keras.ops.convert_to_numpy(gradient)
    cosine = found @ expected / np.linalg.norm(found) / np.linalg.norm(expected)
    assert cosine > 0.9
    for weight, first in zip(weights, before, strict=True):
        np.testing.assert_array_equal(weight, first)


@pytest.mark.slow
@pytest.mark.slow
def test_ranges_are_learned_and_kept(labels, tmp_path):
    model = model_of()
    learn = LearnRanges(["noise.std", "bias.drop"], real_of(labels), maps_of(labels, 5), 0.1)
    history = model.fit(maps_of(labels, 3), epochs=2, verbose=0, callbacks=[learn]).history
    values = learn.values()
    assert values["noise.std"] != (0, 0.05) and values["bias.drop"] != (0, 0.2)
    assert all(0 <= low <= high for low, high in values.values()) and values["bias.drop"][1] <= 1
    assert history["noise.std.high"][-1] == pytest.approx(values["noise.std"][1])
    # The samples are those of the learned ranges: of the model, and of the recipe in the run.
    run = model.save_run(tmp_path / "run")
    assert run.recipe["noise"].std == pytest.approx(values["noise.std"])
    batch = maps_of(labels, 7)[0][0]
    images = [m(batch)["image"] for m in (model.synthesis, run.recipe.build((16, 16), [0, 1, 2]))]
    np.testing.assert_allclose(*images, atol=1e-5)
    first = START.build((16, 16), [0, 1, 2])(batch)["image"]
    assert np.abs(first - images[0]).max() > 1e-3


def test_what_cannot_be_learned_is_refused(labels):
    real = real_of(labels)
    for name in ("noise.num_coils", "noise", "blur.std", "intensity.groups"):
        learn = LearnRanges([name], real, maps_of(labels, 5))
        learn.set_model(model_of())
        with pytest.raises(ValueError, match=f"such as intensity.mean, .* Received: {name}"):
            learn.on_train_begin()
    learn = LearnRanges(["bias.control_points"], real, maps_of(labels, 5))
    learn.set_model(model_of())
    learn.on_train_begin()
    with pytest.raises(ValueError, match=r"change the image smoothly.*bias\.control_points"):
        learn._hypergradient(maps_of(labels, 5)[0][0], real)
    with pytest.raises(ValueError, match="a label map for each image"):
        LearnRanges(["noise.std"], {**real, "image": real["image"][:1]}, maps_of(labels, 5))
