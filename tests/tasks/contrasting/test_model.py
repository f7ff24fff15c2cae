import keras
import numpy as np
import pytest
from keras import ops

from synthtf.data import LabelMaps
from synthtf.layers import KeepImage, RandomIntensity, RandomNoise, RandomShapes
from synthtf.networks import UNetConfig
from synthtf.runs import Run
from synthtf.tasks import image_regression, segmentation, voxel_features
from synthtf.tasks.registry import task_of

SIZE = 16
NETWORK = UNetConfig(features=8, levels=2)
RECIPE = [RandomIntensity(std=0), RandomNoise(0.02)]


def maps(ndim=2):
    labels = np.zeros((SIZE,) * ndim, "int32")
    labels[4:12, 4:12] = 1
    labels[6:9, 6:9] = 2
    return LabelMaps([labels], batch_size=2)


def make(ndim=2, recipe=RECIPE, labels=(0, 1, 2), **options):
    options = {"network": NETWORK, "embedding": 6, "voxels": 24, **options}
    return voxel_features((SIZE,) * ndim, labels, recipe=recipe, **options)


@pytest.mark.parametrize("ndim", [2, 3])
def test_two_contrasts_of_one_anatomy_are_compared(ndim):
    model = make(ndim)
    batch = maps(ndim)[0][0]
    samples = {name: ops.convert_to_numpy(x) for name, x in model.synthesis(batch).items()}
    assert not np.array_equal(samples["image"], samples["other"])
    outputs = model(batch)
    features, classes = (ops.convert_to_numpy(outputs[n]) for n in ("features", "classes"))
    assert features.shape == (2, 48, 6)
    np.testing.assert_allclose(np.linalg.norm(features, axis=-1), 1, atol=1e-4)
    np.testing.assert_array_equal(classes[:, :24], classes[:, 24:])
    for half, name in enumerate(("image", "other")):
        found = ops.convert_to_numpy(model.task_model(samples[name]))
        for row in range(2):
            flat = found[row].reshape(-1, 6)[samples["voxels"][row]]
            np.testing.assert_allclose(features[row, 24 * half :][:24], flat, atol=1e-4)
            flat = samples["labels"][row].ravel()[samples["voxels"][row]]
            np.testing.assert_array_equal(classes[row, :24], flat)


@pytest.mark.slow
def test_training_brings_voxels_of_a_label_together():
    keras.utils.set_random_seed(0)
    model = make()
    model.compile(keras.optimizers.Adam(0.01))
    history = model.fit(maps(), epochs=25, steps_per_epoch=1, verbose=0).history
    assert np.mean(history["loss"][-5:]) < 0.8 * np.mean(history["loss"][:5])
    assert np.mean(history["nearest_of_same_label"][-5:]) > 0.7


def test_a_model_is_kept(tmp_path):
    model = make()
    run = model.save_run(tmp_path / "run")
    assert task_of(run.metadata).embedding == 6
    image = np.random.default_rng(0).uniform(size=(1, SIZE, SIZE, 1)).astype("float32")
    np.testing.assert_allclose(
        Run.load(tmp_path / "run").task_model(image), model.task_model(image), atol=1e-5
    )
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    batch = maps()[0][0]
    one, other = (float(m.objective(m(batch))) for m in (model, again))
    np.testing.assert_allclose(one, other, rtol=1e-5)


def test_shapes_alone_will_do():
    model = make(recipe=[RandomShapes(4, size=(6, 8)), *RECIPE], labels=None)
    outputs = model(maps()[0][0])
    assert set(np.unique(outputs["classes"])) <= {1, 2, 3, 4}
    assert np.isfinite(float(model.objective(outputs)))


def test_labels_that_count_as_one_stay_apart(tmp_path):
    text = "id\tname\toutput\n0\tair\t0\n1\tskin\t0\n2\tskull\t0\n"
    (tmp_path / "labels.tsv").write_text(text)
    outputs = make(labels=tmp_path / "labels.tsv")(maps()[0][0])
    assert set(np.unique(outputs["classes"])) == {0, 1, 2}


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_network_of_another_task_begins_with_what_it_has_learned(ndim):
    """All but the last layers are taken over, in both directions."""
    features = make(ndim)
    others = [
        segmentation((SIZE,) * ndim, [0, 1, 2], network=NETWORK),
        image_regression((SIZE,) * ndim, [0, 1], recipe=[*RECIPE, KeepImage()], network=NETWORK),
    ]
    for other in others:
        for source, target in ((features, other), (other, features)):
            before = target.task_model.get_weights()
            task_of(target.run.metadata).copy_weights(source.run, target.run)
            found, given = target.task_model.get_weights(), source.task_model.get_weights()
            for index, new in enumerate(found):
                is_trunk = index < len(found) - 2
                np.testing.assert_array_equal(new, (given if is_trunk else before)[index])
            # So that the other direction has something to do.
            source.task_model.set_weights([w + 0.1 for w in given])


def test_a_network_of_another_size_is_refused():
    wide = segmentation((SIZE,) * 2, [0, 1], network=UNetConfig(4, 2))
    with pytest.raises(ValueError, match="has another network than the one to be trained"):
        task_of(wide.run.metadata).copy_weights(make().run, wide.run)
    image = keras.Input((None, None, 1))
    network = keras.Model(image, keras.layers.Conv2D(1, 1)(image))
    own = image_regression((SIZE,) * 2, [0, 1], recipe=[*RECIPE, KeepImage()], network=network)
    with pytest.raises(ValueError, match="has another network"):
        task_of(make().run.metadata).copy_weights(own.run, make().run)
