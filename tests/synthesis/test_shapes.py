import keras
import numpy as np
import pytest
from keras import ops

from synthtf.layers import RandomShapes, RandomSpheres, RandomVessels
from synthtf.synthesis import (
    SynthesisConfig,
    labels_to_image,
    shapes_to_labels,
    spheres_to_labels,
    vessels_to_labels,
)

SHAPES = {2: (31, 37), 3: (19, 23, 21)}
SPACING = {2: 6.0, 3: 9.0}
KEYS = np.array([[3, number] for number in range(3)], "int32")


def make(ndim, **arguments):
    return shapes_to_labels(SHAPES[ndim], num_labels=7, spacing=SPACING[ndim], **arguments)


def run(model, key=KEYS):
    return ops.convert_to_numpy(model({"key": key})["labels"])


@pytest.mark.parametrize("ndim", [2, 3])
def test_labels_follow_from_the_key(ndim):
    model = make(ndim)
    labels = run(model)
    assert labels.shape == (3, *SHAPES[ndim], 1) and labels.dtype == "int32"
    assert model.output["labels"].shape == (None, *SHAPES[ndim], 1)
    assert labels.min() >= 1 and labels.max() <= 7 and np.unique(labels).size > 4
    np.testing.assert_array_equal(run(model, KEYS[1:2]), labels[1:2])
    assert np.mean(labels[0] == labels[1]) < 0.5


def test_it_is_the_layer_of_that_name():
    canvas = np.zeros((3, *SHAPES[2], 1), "int32")
    layer = RandomShapes(7, size=(20, 30), warp_strength=4, spacing=SPACING[2], name="shapes")
    expected = ops.convert_to_numpy(layer(canvas, key=KEYS))
    np.testing.assert_array_equal(run(make(2, size=(20, 30), warp_strength=4)), expected)


@pytest.mark.parametrize("ndim", [2, 3])
def test_saving_keeps_the_bits(ndim, tmp_path):
    model = make(ndim)
    model.save(tmp_path / "shapes.keras")
    again = keras.models.load_model(tmp_path / "shapes.keras")
    np.testing.assert_array_equal(run(again), run(model))


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_training_without_label_maps(ndim):
    """From keys to shapes, to images, to a network that learns from them."""
    model, config = make(ndim), SynthesisConfig.preset("synthmorph-shapes")
    inner = tuple(n - 4 for n in SHAPES[ndim])
    synthesis = labels_to_image(inner, range(8), config, SPACING[ndim])
    key = keras.Input((2,), dtype="int32", name="key")
    samples = synthesis({"labels": model({"key": key})["labels"], "key": key})
    image = keras.layers.Dense(1, name="weight")(samples["image"])
    training = keras.Model({"key": key}, image)
    training.compile("sgd", "mse", jit_compile=False)
    before = training.get_layer("weight").get_weights()[0]
    history = training.fit({"key": KEYS}, np.ones((3, *inner, 1)), batch_size=3, verbose=0)
    assert np.isfinite(history.history["loss"][0])
    assert (training.get_layer("weight").get_weights()[0] != before).all()


def test_shapes_reach_the_border_of_a_smaller_image():
    """Under the preset, whose warps draw in what lies beyond the border of the shapes."""
    config = SynthesisConfig.preset("synthmorph-shapes")
    key = ops.convert_to_tensor(KEYS)
    labels = shapes_to_labels((64, 64), 7, spacing=4)({"key": key})["labels"]
    synthesis = labels_to_image((48, 48), range(8), config, spacing=4)
    samples = synthesis({"labels": labels, "key": key})
    image, moved = (ops.convert_to_numpy(samples[name]) for name in ("image", "labels"))
    assert moved.min() >= 1 and np.unique(moved).size > 4
    assert (image.std((1, 2, 3)) > 0.05).all()
    still = ops.convert_to_numpy(labels)[:, 8:-8, 8:-8]
    assert 0.02 < np.mean(moved != still) < 0.9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape": (8,)}, "`shape` must be two or three positive sizes"),
        ({"shape": (8, 8), "num_labels": 0}, "`num_labels` must lie in"),
        ({"shape": (8, 8), "spacing": (1, 1, 1)}, "one per axis"),
        ({"shape": (8, 8), "size": (1, 2), "spacing": 2}, "`size` must be at least the voxel"),
        ({"shape": (8, 8), "warp_strength": -1}, "`warp_strength` must lie in"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message):
        shapes_to_labels(**arguments)


# The function, its arguments, and the layer of the model; in voxels of 2 mm.
OTHERS = [
    (spheres_to_labels, {"radius": (4, 8), "distance": 24, "dropped": 0.1}, RandomSpheres),
    (vessels_to_labels, {"num_trees": (1, 3), "length": (20, 30), "radius": 3}, RandomVessels),
]


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize(("build", "arguments", "layer"), OTHERS, ids=["spheres", "vessels"])
def test_spheres_and_vessels_follow_from_the_key(build, arguments, layer, ndim, tmp_path):
    model = build(SHAPES[ndim], spacing=2.0, **arguments)
    labels = run(model)
    assert labels.shape == (3, *SHAPES[ndim], 1) and labels.dtype == "int32"
    assert model.output["labels"].shape == (None, *SHAPES[ndim], 1)
    assert labels.min() == 0 and labels.max() >= 1
    np.testing.assert_array_equal(run(model, KEYS[1:2]), labels[1:2])
    assert (labels[0] != labels[1]).any()
    named = layer(spacing=2.0, name=model.name, **arguments)
    expected = named(np.zeros((3, *SHAPES[ndim], 1), "int32"), key=KEYS)
    np.testing.assert_array_equal(labels, ops.convert_to_numpy(expected))
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(run(keras.models.load_model(tmp_path / "model.keras")), labels)


def test_images_of_spheres():
    """From keys to objects, to images in which each may have an intensity of its own."""
    model = spheres_to_labels((48, 48), radius=(4, 8), distance=20)
    largest = model.get_layer("spheres").largest_label((None, 48, 48, 1))
    config = SynthesisConfig.preset("synthmorph-shapes")
    key = ops.convert_to_tensor(KEYS)
    synthesis = labels_to_image((40, 40), range(largest + 1), config)
    image = synthesis({"labels": model({"key": key})["labels"], "key": key})["image"]
    assert (ops.convert_to_numpy(image).std((1, 2, 3)) > 0.05).all()


@pytest.mark.parametrize("build", [spheres_to_labels, vessels_to_labels])
def test_refusals_of_others(build):
    with pytest.raises(ValueError, match="`shape` must be two or three positive sizes"):
        build((8,))
    with pytest.raises(ValueError, match="`radius` must lie in"):
        build((8, 8), radius=-1)
    with pytest.raises(ValueError, match="one per axis"):
        build((8, 8), spacing=(1, 1, 1))
