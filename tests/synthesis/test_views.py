import keras
import numpy as np
import pytest
from keras import ops

from synthtf.layers import (
    RandomAffine,
    RandomFlip,
    RandomIntensity,
    RandomMask,
    RandomNoise,
    RandomShapes,
    RandomStructures,
)
from synthtf.synthesis import ALWAYS, NEVER, Recipe, Views, keeps_anatomy, labels_to_views

SHAPES = {2: (24, 20), 3: (10, 12, 8)}
MOVED = [RandomAffine(translation=4), RandomFlip(), RandomIntensity(std=0.1), RandomNoise()]
SHAPES_ALONE = [RandomShapes(6, size=(8, 12)), RandomAffine(2), RandomIntensity()]


def batch(ndim, rows=3):
    labels = np.random.default_rng(ndim).integers(0, 4, (rows, *SHAPES[ndim], 1)).astype("int32")
    return {"labels": labels, "key": np.array([[5, i] for i in range(rows)], "int32")}


def run(model, inputs):
    return {name: ops.convert_to_numpy(x) for name, x in model(inputs).items()}


def alike(x):
    """Whether all views of each sample are the same."""
    return [bool((views == views[:1]).all()) for views in x]


@pytest.mark.parametrize("ndim", [2, 3])
def test_views_show_one_anatomy_in_several_contrasts(ndim):
    inputs = batch(ndim)
    single = run(Recipe(MOVED).build(SHAPES[ndim], range(4)), inputs)
    views = run(
        labels_to_views(SHAPES[ndim], range(4), MOVED, 1.0, Views(3, keeps_anatomy)), inputs
    )
    for name in ("image", "labels"):
        np.testing.assert_array_equal(views[name], single[name])
    assert views["images"].shape == (3, 3, *SHAPES[ndim], 1)
    np.testing.assert_array_equal(views["maps"], np.repeat(single["labels"][:, None], 3, axis=1))
    assert not any(alike(views["images"])) and views["maps"].dtype == "int32"


@pytest.mark.parametrize(
    ("shared", "same_maps", "same_images"),
    [
        (lambda step: ALWAYS, True, True),
        (lambda step: NEVER, False, False),
        (lambda step: ALWAYS if not step.takes else NEVER, False, False),
        (lambda step: NEVER if step.gives == ("image",) else ALWAYS, True, False),
    ],
)
def test_views_share_what_they_are_told_to(shared, same_maps, same_images):
    inputs = batch(2)
    found = run(labels_to_views((24, 20), None, SHAPES_ALONE, 1.0, Views(2, shared)), inputs)
    assert alike(found["maps"]) == [same_maps] * 3 and alike(found["images"]) == [same_images] * 3


def test_shapes_are_moved_apart_but_are_the_same():
    """The moved maps of a sample have more in common than those of two samples."""
    steps = [RandomShapes(6, size=(8, 12)), RandomAffine(1, 0, 1, 0), RandomIntensity()]
    views = Views(2, lambda step: ALWAYS if not step.takes else NEVER)
    maps = run(labels_to_views((24, 20), None, steps, 1.0, views), batch(2))["maps"]
    assert np.mean(maps[:, 0] == maps[:, 1]) > 2 * np.mean(maps[0] == maps[1])


def test_a_step_is_shared_in_part_of_the_samples():
    """Steps of neighbouring intervals share the draws of different samples."""
    steps = [RandomIntensity(std=0), RandomNoise(0.1)]
    views = Views(2, lambda step: (0.0, 0.5) if step.name == "intensity" else ALWAYS)
    inputs = batch(2, rows=40)
    one = alike(run(labels_to_views((24, 20), range(4), steps, 1.0, views), inputs)["images"])
    views = Views(2, lambda step: (0.5, 1.0) if step.name == "intensity" else ALWAYS)
    other = alike(run(labels_to_views((24, 20), range(4), steps, 1.0, views), inputs)["images"])
    assert 10 <= sum(one) <= 30 and [not each for each in one] == other


def test_a_sample_does_not_depend_on_others(tmp_path):
    steps = [RandomStructures([[1], [2]]), *MOVED, RandomMask([3], probability=0.5)]
    model = labels_to_views(SHAPES[2], range(4), steps, 1.0, Views(2, keeps_anatomy))
    inputs = batch(2)
    both, one = run(model, inputs), run(model, {name: x[1:2] for name, x in inputs.items()})
    model.save(tmp_path / "views.keras")
    again = run(keras.models.load_model(tmp_path / "views.keras"), inputs)
    for name in both:
        np.testing.assert_array_equal(both[name][1:2], one[name])
        np.testing.assert_array_equal(both[name], again[name])
