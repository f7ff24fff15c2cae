import keras
import numpy as np
import pytest
from keras import ops

from synthtf.data import LabelMaps
from synthtf.layers import RandomErosion, RandomIntensity, RandomNoise, RandomWarp
from synthtf.networks import UNetConfig
from synthtf.runs import Run
from synthtf.tasks import longitudinal_change
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
@pytest.mark.parametrize("segment", [True, False])
def test_compares_the_change_and_the_labels_of_the_first_visit(ndim, segment):
    model = make(ndim, segment=segment)
    assert model.task_model.output.shape == (*(None,) * (ndim + 1), 4 if segment else 1)
    assert model.output_labels == ((0, 1, 2) if segment else ())
    batch = maps(ndim)[0][0]
    samples = {k: ops.convert_to_numpy(v) for k, v in model.synthesis(batch).items()}
    found = ops.convert_to_numpy(model.task_model(samples["image"]))
    axes = tuple(range(1, ndim + 2))
    error = np.mean((found[..., :1] - samples["change"]) ** 2, axis=axes)
    losses = ops.convert_to_numpy(model(batch)["losses"])
    np.testing.assert_allclose(losses[:, 0], error, rtol=1e-4)
    assert losses.shape[1] == 1 + segment


def test_is_kept_as_a_run_with_its_options(tmp_path):
    run = Run.load(make().save_run(tmp_path / "run").folder)
    assert run.task == "change" and run.metadata["regions"] == [2]
    task = task_of(run.metadata)
    assert task.between == ("growth",) and task.regions == (2,) and task.segment


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
    found = model.task_model.predict_on_batch(samples["image"])[..., 0].sum((1, 2))
    true = samples["change"].sum((1, 2, 3))
    assert np.corrcoef(found, true)[0, 1] > 0.9


def test_what_the_command_line_gives_as_text_may_be_a_label():
    from synthtf.tasks import ChangeTask

    assert ChangeTask(regions=["4", "lesion"]).regions == (4, "lesion")
    for invalid in ({"regions": []}, {"between": []}, {"between": [3]}):
        with pytest.raises(ValueError, match=f"`{next(iter(invalid))}` must be"):
            ChangeTask(**invalid)
