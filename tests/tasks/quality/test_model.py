import keras
import numpy as np
import pytest
from keras import ops

from synthtf.data import LabelMaps
from synthtf.layers import KeepDraw, RandomBlur, RandomIntensity, RandomNoise
from synthtf.networks import UNetConfig
from synthtf.runs import Run
from synthtf.synthesis import Recipe
from synthtf.tasks import segmentation, segmentation_quality
from synthtf.tasks.quality.options import JudgeConfig

SIZE, LABELS = 24, [0, 2, 41]
SMALL = JudgeConfig(features=4, levels=2, kernel_size=3)
RECIPE = [RandomIntensity()]


def maps(ndim=2, batch_size=4):
    labels = np.zeros((SIZE,) * ndim, "int32")
    labels[4:20, 4:18] = 2
    labels[8:14, 7:13] = 41
    return LabelMaps([labels], batch_size=batch_size, num_batches=4)


def make(ndim=2, **options):
    options.setdefault("network", SMALL)
    return segmentation_quality((SIZE,) * ndim, LABELS, recipe=RECIPE, spacing=2, **options)


def as_arrays(found):
    return {name: ops.convert_to_numpy(x) for name, x in found.items()}


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_target_is_the_dice_of_each_group(ndim):
    model = make(ndim)
    batch = maps(ndim)[0][0]
    samples, outputs = as_arrays(model.synthesis(batch)), as_arrays(model(batch))
    found, truth = samples["groups"].argmax(-1), samples["truth"].argmax(-1)
    np.testing.assert_array_equal(truth, np.searchsorted(LABELS, samples["labels"][..., 0]))
    for sample in range(4):
        for group in (1, 2):
            a, b = found[sample] == group, truth[sample] == group
            expected = 2 * (a & b).sum() / (a.sum() + b.sum())
            assert outputs["quality"][sample, group - 1] == pytest.approx(expected, abs=1e-3)
    assert outputs["scores"].shape == outputs["quality"].shape == (4, 2)
    assert (1 - outputs["quality"]).mean() > 0.05
    assert as_arrays(make(ndim, damage=0)(batch))["quality"].min() == pytest.approx(1)


def test_a_segmenter_is_judged_and_not_trained(tmp_path):
    keras.utils.set_random_seed(0)
    segmenter = segmentation(
        (SIZE,) * 2, LABELS, recipe=RECIPE, spacing=2, network=UNetConfig(features=4, levels=2)
    )
    before = segmenter.task_model.get_weights()
    model = make(segmenter=segmenter, damage=0)
    batch = maps()[0][0]
    samples = as_arrays(model.synthesis(batch))
    expected = segmenter.task_model.predict_on_batch(samples["image"]).argmax(-1)
    np.testing.assert_array_equal(samples["groups"].argmax(-1), expected)
    spoilt = as_arrays(make(segmenter=segmenter, damage=2).synthesis(batch))
    assert np.abs(spoilt["image"] - samples["image"]).mean() > 0.05
    assert len(model.trainable_weights) == len(model.task_model.trainable_weights)
    assert segmenter.task_model.trainable
    for old, new in zip(before, segmenter.task_model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    other = segmentation((SIZE,) * 2, [0, 2], recipe=RECIPE, network=UNetConfig(4, 2))
    with pytest.raises(ValueError, match="`segmenter` must segment into the 3 output labels"):
        make(segmenter=other)


@pytest.mark.slow
def test_a_judge_learns_to_rank_segmentations(tmp_path):
    keras.utils.set_random_seed(0)
    model = make(network=JudgeConfig(features=8, levels=2, kernel_size=3))
    model.compile(keras.optimizers.Adam(0.01))
    model.fit(maps(batch_size=8), epochs=20, verbose=0)
    data = maps(batch_size=32)
    data.epoch = 50
    outputs = model.predict(data, verbose=0)
    for group in (0, 1):
        assert rank_correlation(outputs["scores"][:, group], outputs["quality"][:, group]) > 0.7
    run = model.save_run(tmp_path / "run")
    assert Run.load(run.folder).output_labels == (2, 41)


def rank_correlation(one, other):
    ranks = [np.argsort(np.argsort(values)) for values in (one, other)]
    return np.corrcoef(*ranks)[0, 1]


NOISY = [
    RandomIntensity(std=0),
    RandomBlur(std=(0, 3)),
    RandomNoise(std=(0, 0.2), probability=0.8),
    KeepDraw(name="noise_std"),
    KeepDraw("blur", "std", name="blur_mm"),
]


def make_of_images(ndim=2, **options):
    options.setdefault("network", SMALL)
    return segmentation_quality((SIZE,) * ndim, LABELS, recipe=NOISY, spacing=2, **options)


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_recipe_that_keeps_draws_makes_a_judge_of_images(ndim):
    model = make_of_images(ndim)
    batch = maps(ndim)[0][0]
    found = as_arrays(Recipe(NOISY).build((SIZE,) * ndim, LABELS, 2)(batch))
    outputs = as_arrays(model(batch))
    kept = np.concatenate([found["noise_std"], found["blur_mm"]], axis=1)
    np.testing.assert_allclose(outputs["quality"], kept, rtol=1e-5)
    scores = as_arrays({"scores": model.task_model(found["image"])})["scores"]
    np.testing.assert_allclose(outputs["scores"], scores, rtol=1e-4)
    # Each error is divided by the largest number that can be drawn.
    expected = np.mean(((scores - kept) / [0.2, 3]) ** 2)
    losses = keras.ops.convert_to_numpy(model.objective(model(batch)))
    assert losses.mean() == pytest.approx(expected, rel=1e-4)
    assert model.run.metadata["numbers"] == ["noise_std", "blur_mm"] and model.output_labels == ()


def test_a_judge_of_images_needs_no_segmenter():
    with pytest.raises(ValueError, match="`segmenter` must be left out"):
        segmentation_quality((32, 32), LABELS, recipe=NOISY, segmenter="heads-2mm")


@pytest.mark.slow
def test_a_judge_learns_how_strong_the_noise_is():
    keras.utils.set_random_seed(0)
    model = make_of_images(network=JudgeConfig(features=8, levels=2, kernel_size=3))
    model.compile(keras.optimizers.Adam(0.01))
    model.fit(maps(batch_size=8), epochs=40, verbose=0)
    data = maps(batch_size=32)
    data.epoch = 50
    outputs = model.predict(data, verbose=0)
    assert rank_correlation(outputs["scores"][:, 0], outputs["quality"][:, 0]) > 0.8
