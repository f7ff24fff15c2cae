"""Generators by the names and arguments of neurite and SynthSeg."""

import keras
import numpy as np
import pytest

from synthtf import compat
from synthtf.data.phantoms import write_phantoms


def squares():
    labels = np.zeros((2, 24, 32, 1), "int32")
    labels[:, 4:16, 4:16], labels[:, 16:20, 4:16] = 2, 41
    return labels


def test_images_and_channels_of_labels():
    model = compat.labels_to_image_new(
        [0, 2, 41],
        labels_out={2: 1, 41: 3},
        in_shape=(24, 32),
        num_chan=2,
        return_mean=True,
        axes_flip=True,
        zero_background=1,
        crop_prob=0.5,
        slice_prob=0.5,
    )
    image, labels, mean = (keras.ops.convert_to_numpy(x) for x in model(squares()))
    assert image.shape == mean.shape == (2, 24, 32, 2)
    assert labels.shape == (2, 24, 32, 2)
    assert set(np.unique(labels.sum(-1))) == {0, 1}
    assert image.min() == 0 and image.max() == 1
    assert not np.array_equal(image[0], image[1])
    assert not np.array_equal(image, keras.ops.convert_to_numpy(model(squares())[0]))


def test_labels_that_share_an_intensity_and_bounds_of_each():
    model = compat.labels_to_image(
        {0: "outside", 2: "inside", 41: "inside"},
        in_shape=(24, 32),
        mean_min=[0.8, 0.1],
        mean_max=[0.8, 0.1],
        noise_min=0,
        noise_max=0,
        blur_max=0,
        bias_max=0,
        warp_max=0,
        gamma=0,
        return_mean=True,
        one_hot=False,
    )
    image, labels, mean = (keras.ops.convert_to_numpy(x) for x in model(squares()))
    np.testing.assert_array_equal(labels, squares())
    # Kinds in alphabetical order: inside, outside. Both images are mapped to [0, 1].
    np.testing.assert_allclose(image, labels > 0, atol=1e-6)
    np.testing.assert_array_equal(mean, image)


def test_a_model_may_come_before():
    source = keras.Input((24, 32, 1), dtype="int32")
    first = keras.Model(source, source)
    model = compat.labels_to_image([0, 2, 41], input_model=first, out_shape=(16, 16))
    assert [x.shape for x in model.outputs] == [(None, 16, 16, 1), (None, 16, 16, 3)]


def test_seeds_and_wrong_bounds_are_refused():
    with pytest.raises(ValueError, match="seeds"):
        compat.labels_to_image([0, 1], in_shape=(8, 8), seeds={"mean": 1})
    with pytest.raises(ValueError, match="one value for each of 2 labels"):
        compat.labels_to_image([0, 1], in_shape=(8, 8), mean_min=[0.0])


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantoms")
    write_phantoms(folder, 2, shape=(32, 32, 32), spacing=6.0)
    return folder


def test_brain_generator(phantoms, tmp_path):
    labels = [0, 24, 2, 3, 41, 42]
    np.save(tmp_path / "labels.npy", labels)
    make = {
        "generation_labels": tmp_path / "labels.npy",
        "n_neutral_labels": 2,
        "output_labels": [0, 0, 1, 2, 1, 2],
        "generation_classes": [0, 1, 2, 3, 2, 3],
        "prior_means": np.array([[0, 200, 100, 50], [0, 250, 120, 60]]),
        "output_shape": 24,
        "batchsize": 2,
        "n_channels": 2,
    }
    generator = compat.BrainGenerator(phantoms, **make)
    image, found = generator.generate_brain()
    assert image.shape == (2, 24, 24, 24, 2) and found.shape == (2, 24, 24, 24)
    assert image.min() >= 0 and image.max() <= 1
    assert set(np.unique(found)) == {0, 1, 2}
    again = compat.BrainGenerator(phantoms, **make).generate_brain()
    np.testing.assert_array_equal(again[1], found)
    assert not np.array_equal(generator.generate_brain()[0], image)


@pytest.mark.slow
def test_brain_generator_without_the_random_steps(phantoms):
    generator = compat.BrainGenerator(
        phantoms,
        flipping=False,
        scaling_bounds=False,
        rotation_bounds=False,
        shearing_bounds=False,
        nonlin_std=0,
        randomise_res=False,
        bias_field_std=0,
    )
    inputs = next(generator.model_inputs_generator)
    _, found = generator.labels_to_image_model.predict(inputs, verbose=0)
    np.testing.assert_array_equal(found, inputs["labels"])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"prior_distributions": "normal"}, "prior_distributions"),
        ({"output_labels": [0]}, "output_labels"),
        ({"prior_means": np.zeros((2, 3))}, "prior_means"),
        ({"n_neutral_labels": 0, "generation_labels": [0, 2, 3]}, "n_neutral_labels"),
    ],
)
def test_what_does_not_fit_is_refused(phantoms, arguments, message):
    with pytest.raises(ValueError, match=message):
        compat.BrainGenerator(phantoms, **arguments)
