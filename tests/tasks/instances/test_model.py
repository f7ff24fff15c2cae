import keras
import numpy as np
import pytest
from keras import ops

from synthtf.data import LabelMaps
from synthtf.layers import RandomIntensity, RandomSpheres, StarDistances
from synthtf.networks import UNetConfig
from synthtf.runs import Run
from synthtf.tasks import instance_segmentation

SIZE = 24
RECIPE = [RandomSpheres(radius=3, distance=12, irregularity=0), RandomIntensity(std=0)]


def make(ndim=2, labels=(), **options):
    options = {"rays": 8, "limit": 10, "network": UNetConfig(8, 2), "recipe": RECIPE, **options}
    return instance_segmentation((SIZE,) * ndim, list(labels), **options)


def blank(ndim=2):
    return LabelMaps([np.ones((SIZE,) * ndim, "int32")], batch_size=2)


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_loss_is_that_of_the_paper(ndim):
    model = make(ndim, distance_weight=0.3)
    batch = blank(ndim)[0][0]
    samples = {k: ops.convert_to_numpy(v) for k, v in model.synthesis(batch).items()}
    objects = [int(v) for v in np.unique(samples["labels"]) if v]
    target = ops.convert_to_numpy(StarDistances(objects, 8, 10)(samples["labels"]))
    found = ops.convert_to_numpy(model.task_model(samples["image"]))
    p, q = target[..., 0], 1 / (1 + np.exp(-found[..., 0]))
    entropy = -np.mean(p * np.log(q) + (1 - p) * np.log(1 - q))
    error = np.abs(found[..., 1:] - target[..., 1:]).mean(-1)
    expected = entropy + 0.3 * (p * error).sum() / p.sum()
    np.testing.assert_allclose(float(model.objective(model(batch))), expected, rtol=1e-4)


@pytest.mark.slow
def test_training_lowers_both_errors():
    keras.utils.set_random_seed(0)
    model = make()
    model.compile(keras.optimizers.Adam(0.01))
    history = model.fit(blank(), epochs=30, steps_per_epoch=1, verbose=0).history
    for name in ("probability_loss", "distance_mm"):
        assert np.mean(history[name][-5:]) < 0.9 * np.mean(history[name][:5])


def test_the_model_is_kept(tmp_path):
    model = make()
    run = model.save_run(tmp_path / "run")
    assert run.metadata["rays"] == 8 and run.output_labels == (0, 1)
    image = np.random.default_rng(0).uniform(size=(1, SIZE, SIZE, 1)).astype("float32")
    np.testing.assert_allclose(
        Run.load(tmp_path / "run").task_model(image), model.task_model(image), atol=1e-5
    )
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    batch = blank()[0][0]
    one, other = (float(m.objective(m(batch))) for m in (model, again))
    np.testing.assert_allclose(one, other, rtol=1e-5)


def test_each_label_of_a_map_is_an_object():
    model = make(labels=[0, 3, 9], recipe=[RandomIntensity(std=0)])
    assert model.objects == (3, 9)
    labels = np.zeros((1, SIZE, SIZE, 1), "int32")
    labels[0, 2:8, 2:8], labels[0, 8:14, 2:8] = 3, 9
    target = ops.convert_to_numpy(model({"labels": labels, "key": np.array([[0, 1]])})["target"])
    assert target[0, 4, 4, 0] == 1 and target[0, 11, 5, 0] == 1 and target[0, 7, 5, 0] < 0.3


def test_without_objects_it_is_refused():
    with pytest.raises(ValueError, match="must list objects, one label each"):
        make(labels=[0], recipe=[RandomIntensity()])
