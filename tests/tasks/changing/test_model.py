import keras
import numpy as np
import pytest
from keras import ops

from synthtf.data import LabelMaps
from synthtf.layers import RandomErosion, RandomIntensity, RandomNoise, RandomWarp
from synthtf.networks import UNetConfig
from synthtf.runs import Run
from synthtf.tasks import longitudinal_change, segmentation
from synthtf.tasks.registry import task_of

SIZE = 16
RECIPE = [
    RandomWarp(strength=1),
    RandomErosion([2], distance=(-2, 2), roughness=0, name="growth"),
    RandomIntensity(std=0),
    RandomNoise(std=0.02),
]


def maps(ndim=2, **options):
    labels = np.zeros((SIZE,) * ndim, "int32")
    labels[2:14, 2:14] = 1
    labels[5:10, 5:10] = 2
    return LabelMaps([labels], **{"batch_size": 2, **options})


def make(ndim=2, **options):
    options = {"network": UNetConfig(features=8, levels=2), "regions": [2], **options}
    return longitudinal_change(
        (SIZE,) * ndim, [0, 1, 2], recipe=RECIPE, between="growth", **options
    )


@pytest.mark.parametrize("ndim", [2, 3])
def test_labels_each_visit_beside_the_other_and_compares_the_changes(ndim):
    model = make(ndim, change_weight=3.0)
    assert model.task_model.output.shape == (*(None,) * (ndim + 1), 3)
    assert model.output_labels == (0, 1, 2) and model.facts == {"region_labels": [[2]]}
    batch = maps(ndim)[0][0]
    samples = {k: ops.convert_to_numpy(v) for k, v in model.synthesis(batch).items()}
    first, second = (
        ops.convert_to_numpy(model.task_model(images))
        for images in (samples["image"], samples["image"][..., ::-1].copy())
    )
    outputs = model(batch)
    loss = 0
    for found, labels in ((first, samples["labels"]), (second, samples["later_labels"])):
        target = np.eye(3, dtype="float32")[labels[..., 0]]
        loss = loss + float(model.segmentation_loss(target, found)) / 2
    axes = tuple(range(1, ndim + 1))
    error = ((second - first)[..., 2] - samples["change"][..., 0]) ** 2
    size = (samples["labels"] == 2).sum(axes) + (samples["later_labels"] == 2).sum(axes)
    loss += 3 * np.mean(error.sum(axes) / (size[:, 0] / 2 + 10))
    np.testing.assert_allclose(float(model.objective(outputs)), loss, rtol=1e-4)


def test_begins_with_the_weights_of_a_segmentation():
    keras.utils.set_random_seed(1)
    network = UNetConfig(features=8, levels=2)
    first = segmentation((SIZE, SIZE), [0, 1, 2], recipe="tutorial", network=network)
    model = make()
    task_of(model.run.metadata).copy_weights(first.run, model.run)
    image = np.random.default_rng(0).random((1, SIZE, SIZE, 2), "float32")
    np.testing.assert_allclose(
        ops.convert_to_numpy(model.task_model(image)),
        ops.convert_to_numpy(first.task_model(image[..., :1])),
        atol=1e-5,
    )


def test_is_kept_as_a_run_with_its_options(tmp_path):
    run = Run.load(make().save_run(tmp_path / "run").folder)
    assert run.task == "change" and run.metadata["regions"] == [2]
    task = task_of(run.metadata)
    assert task.between == ("growth",) and task.regions == (2,)
    assert run.metadata["region_labels"] == [[2]]


@pytest.mark.slow
def test_learns_the_change_of_a_region():
    keras.utils.set_random_seed(0)
    model = make(same_contrast=1)
    model.compile(keras.optimizers.Adam(0.01))
    model.fit(maps(batch_size=16), epochs=60, steps_per_epoch=5, verbose=0)
    data = maps(batch_size=64)
    data.epoch = 500
    batch = data[0][0]
    samples = model.synthesis.predict_on_batch(batch)
    before, after = (
        model.task_model.predict_on_batch(images)[..., 2].sum((1, 2))
        for images in (samples["image"], samples["image"][..., ::-1])
    )
    found = after - before
    true = samples["change"].sum((1, 2, 3))
    assert np.corrcoef(found, true)[0, 1] > 0.9


def test_a_region_that_counts_as_background_is_refused():
    with pytest.raises(ValueError, match=r"`regions` must be among what is labelled\. Received: 0"):
        make(regions=[0])


def test_what_the_command_line_gives_as_text_may_be_a_label():
    from synthtf.tasks import ChangeTask

    assert ChangeTask(regions=["4", "lesion"]).regions == (4, "lesion")
    for invalid in ({"regions": []}, {"between": []}, {"between": [3]}):
        with pytest.raises(ValueError, match=f"`{next(iter(invalid))}` must be"):
            ChangeTask(**invalid)
