import keras
import numpy as np
import pytest
from keras import ops

from synthtf.data import LabelMaps
from synthtf.layers import RandomAffine, RandomIntensity, RandomShapes
from synthtf.synthesis import ALWAYS, NEVER
from synthtf.tasks import in_context_segmentation
from synthtf.tasks.in_context.model import sharing
from synthtf.tasks.in_context.options import CrossConfig, InContextTask
from synthtf.tasks.registry import task_of

SIZE = 16
NETWORK = CrossConfig(4, 2)
RECIPE = [RandomAffine(2), RandomIntensity(std=0, background_probability=1)]


def maps(ndim=2):
    labels = np.zeros((SIZE,) * ndim, "int32")
    labels[2:14, 2:8] = 1
    labels[6:14, 8:14] = 2
    return LabelMaps([labels], batch_size=2)


def make(ndim=2, recipe=RECIPE, labels=(0, 1, 2), **options):
    options = {"network": NETWORK, "context": 3, **options}
    return in_context_segmentation((SIZE,) * ndim, labels, recipe=recipe, **options)


def samples(model, ndim=2):
    found = model.synthesis(maps(ndim)[0][0])
    return {name: ops.convert_to_numpy(x) for name, x in found.items()}


@pytest.mark.parametrize("ndim", [2, 3])
def test_each_sample_is_a_task(ndim):
    model = make(ndim, same_contrast=0, other_anatomy=0, several=0)
    found = samples(model, ndim)
    assert found["context"].shape == (2, 3, *(SIZE,) * ndim, 2)
    for row in range(2):
        labels, mask = found["labels"][row], found["foreground"][row]
        (chosen,) = set(np.unique(labels[mask == 1]))
        assert chosen in (1, 2)
        np.testing.assert_array_equal(mask, labels == chosen)
        for image, shown in np.moveaxis(found["context"][row], -1, 1):
            inside = image[shown == 1]
            assert inside.size and np.ptp(inside) < 1e-5  # one label has one intensity here
    outputs = model(maps(ndim)[0][0])
    assert outputs["posteriors"].shape == (2, *(SIZE,) * ndim, 2)
    assert np.isfinite(float(model.objective(outputs)))


def test_images_of_one_contrast():
    """Each label has its intensity in all images, but for the range that they are scaled to."""
    one = samples(make(recipe=RECIPE[1:], same_contrast=1, other_anatomy=0))
    many = samples(make(recipe=RECIPE[1:], same_contrast=0, other_anatomy=0))
    for found, same in ((one, True), (many, False)):
        images = found["context"][..., 0]
        assert np.allclose(images, found["image"][..., 0][:, None], atol=1e-5) == same


def test_steps_are_shared_by_what_they_do():
    shared = sharing(InContextTask(same_contrast=0.75, other_anatomy=0.25))
    assert shared(RandomShapes()) == (0.0, 0.75)
    assert shared(RandomAffine()) == NEVER
    assert shared(RandomIntensity()) == (0.25, 1.0)
    assert sharing(InContextTask(same_contrast=1, other_anatomy=0))(RandomShapes()) == ALWAYS
    with pytest.raises(ValueError, match="`other_anatomy` must be at most `same_contrast`"):
        InContextTask(same_contrast=0.1, other_anatomy=0.2)


def test_a_model_without_context_and_a_saved_one(tmp_path):
    options = {"several": 0, "other_anatomy": 0, "context": 0}
    model = make(**options)
    assert not samples(model)["context"].any()
    run = model.save_run(tmp_path / "run")
    assert task_of(run.metadata) == InContextTask(network=NETWORK, **options)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    batch = maps()[0][0]
    one, other = (float(m.objective(m(batch))) for m in (model, again))
    np.testing.assert_allclose(one, other, rtol=1e-5)


@pytest.mark.slow
def test_a_context_helps():
    recipe = [RandomShapes(4, size=(6, 8)), RandomIntensity(std=0)]
    losses = {}
    for context in (0, 2):
        keras.utils.set_random_seed(0)
        model = make(
            recipe=recipe, labels=None, context=context, several=0, other_anatomy=0, same_contrast=1
        )
        model.compile(keras.optimizers.Adam(0.02))
        history = model.fit(maps(), epochs=40, steps_per_epoch=2, verbose=0).history
        losses[context] = history["loss"]
        assert len(history["dice"]) == 40
    assert np.mean(losses[2][-10:]) < 0.8 * np.mean(losses[0][-10:])


def test_images_have_one_channel():
    with pytest.raises(ValueError, match="`recipe` must make images of one channel"):
        make(recipe=[RandomIntensity(channels=2)])
