import keras
import numpy as np
import pytest
from keras import layers, ops

from synthtf.inference.conform import pad_to_multiple
from synthtf.inference.patches.graph import trace
from synthtf.inference.patches.predict import (
    Patchwise,
    begin_patches,
    coarse_scale,
    least_patch,
    predict_patches,
)
from synthtf.networks import UNetConfig, unet

SHAPE = (40, 32, 24)


def network(levels=3, ndim=3, num_outputs=4, **options):
    """A small U-Net with random weights, whose normalisations do something."""
    keras.utils.set_random_seed(0)
    config = UNetConfig(features=3, levels=levels, convolutions=1, **options)
    model = unet(num_outputs, ndim, config)
    rng = np.random.default_rng(0)
    model.set_weights([w + rng.uniform(0.05, 0.2, w.shape) for w in model.get_weights()])
    return model


def image(shape=SHAPE):
    """Noise whose mean and variance differ from patch to patch."""
    ramp = np.linspace(0.2, 3, shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    return (ramp * np.random.default_rng(1).random(shape)).astype(np.float32)


def whole(model, data):
    return np.asarray(model.predict_on_batch(data[None, ..., None])[0])


NETWORKS = {
    "mixture": {"mixture_channels": 2},
    "batch": {"normalization": "batch"},
    "none": {"normalization": None, "kernel_size": 5},
    "fine": {"levels": 2, "fine_features": 2},
}


@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS.keys())
def test_patches_give_the_result_of_the_whole_image(options):
    model, data = network(**options), image()
    expected = whole(model, data)
    found = predict_patches(model, data, (20, 16, 24))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


def test_statistics_of_a_patch_are_not_those_of_the_image():
    """Without the sums over all patches, the first test would fail."""
    model, data = network(), image()
    cut = whole(model, data[:16])
    assert np.abs(cut[:8] - whole(model, data)[:8]).max() > 0.01


def test_a_coarser_scale_from_which_on_the_image_is_whole():
    model, data = network(), image((48, 48, 8))
    cut = Patchwise(model, 4)
    assert cut.overlap == 8
    np.testing.assert_allclose(cut(data, (32, 32, 8)), whole(model, data), rtol=0, atol=2e-5)


def test_several_channels_and_parts_that_are_delivered():
    model = unet(4, 3, UNetConfig(features=3, levels=2, without_skips=1), num_inputs=2)
    data = np.stack([image(), image()[::-1]], -1)
    expected = np.asarray(model.predict_on_batch(data[None])[0])
    np.testing.assert_allclose(predict_patches(model, data, (20, 32, 24)), expected, atol=2e-5)
    found = np.full(expected.shape, np.nan, "float32")

    def put(place, part):
        assert np.isnan(found[place]).all()
        found[place] = part

    begin_patches(model, data, (20, 32, 24))(put)
    np.testing.assert_allclose(found, expected, atol=2e-5)


class Blur(layers.Layer):
    """Says how far it looks."""

    reach = 1

    def call(self, x):
        padded = ops.pad(x, [[0, 0], [1, 1], [0, 0], [0, 0], [0, 0]])
        return padded[:, :-2] + padded[:, 2:]

    def compute_output_shape(self, shape):
        return shape


def test_a_layer_may_say_how_far_it_looks():
    model, data = network(levels=2), image()
    model = keras.Model(model.input, Blur()(model.output))
    found = predict_patches(model, data, (20, 32, 24))
    np.testing.assert_allclose(found, whole(model, data), rtol=0, atol=2e-5)


def test_a_result_without_space_is_delivered_whole():
    model, data = network(levels=2), image()
    model = keras.Model(
        model.input, layers.GlobalAveragePooling3D()(model.get_layer("down_1_norm").output)
    )
    found = []
    begin_patches(model, data, (20, 32, 24))(lambda place, part: found.append(part))
    np.testing.assert_allclose(found, whole(model, data)[None], rtol=0, atol=2e-5)
    np.testing.assert_array_equal(predict_patches(model, data, (20, 32, 24)), found[0])


def test_two_dimensions():
    model, data = network(ndim=2, levels=2), image((48, 40))
    found = predict_patches(model, data, (20, 24))
    np.testing.assert_allclose(found, whole(model, data), rtol=0, atol=2e-5)


def test_a_patch_larger_than_the_image_is_the_image():
    model, (data, _) = network(), pad_to_multiple(image((9, 10, 11)), 4)
    found = predict_patches(model, data, (64, 64, 64))
    np.testing.assert_allclose(found, whole(model, data), rtol=0, atol=2e-5)


def test_overlap_is_the_reach_of_the_fine_convolutions():
    model = network()  # of one convolution per level and direction, of 3 voxels
    assert trace(model, 2).reach(2) == 1 + 1
    assert trace(model, 4).reach(4) == 1 + 2 + 2 + 1
    assert trace(network(kernel_size=5), 2).reach(2) == 2 + 2


def test_coarse_levels_are_whole_where_they_are_no_larger_than_a_patch():
    model = network(levels=4)
    large = least_patch(model, 4)
    assert coarse_scale(model, (2 * large,) * 3, (large,) * 3) == 2
    assert coarse_scale(model, (3 * large,) * 3, (large,) * 3) == 4
    # Small patches cannot hold the overlap of a coarser scale.
    assert coarse_scale(model, (9 * large,) * 3, (large // 2,) * 3) == 2


def test_a_patch_that_is_too_small_is_refused():
    with pytest.raises(ValueError, match=r"at least 8 voxels per axis.*Received: \(4, 4, 4\)"):
        predict_patches(network(), image(), (4, 4, 4))


def test_networks_that_cannot_be_cut_are_refused():
    inputs = keras.Input((None, None, None, 1))
    x = layers.MaxPooling3D(2)(inputs)
    x = layers.UpSampling3D(2)(x)
    total = keras.Model(inputs, ops.cumsum(inputs, axis=1) + x)
    with pytest.raises(ValueError, match="because of 'cumsum"):
        predict_patches(total, image(), (16, 16, 16))
    highest = keras.Model(inputs, x / ops.max(inputs, axis=(1, 2, 3), keepdims=True))
    with pytest.raises(ValueError, match=r"because of 'max.*no sum over the image"):
        predict_patches(highest, image(), (16, 16, 16))
    two = keras.Model([inputs, keras.Input((1,))], x)
    with pytest.raises(ValueError, match="Received 2 inputs and 1 outputs"):
        predict_patches(two, image(), (16, 16, 16))


def test_groups_of_channels_share_their_statistics():
    inputs = keras.Input((None, None, None, 1))
    x = layers.Conv3D(6, 3, padding="same")(inputs)
    x = layers.GroupNormalization(2)(x)
    x = layers.UpSampling3D(2)(layers.MaxPooling3D(2)(x))
    keras.utils.set_random_seed(0)
    model, data = keras.Model(inputs, x), image()
    np.testing.assert_allclose(
        predict_patches(model, data, (16, 16, 16)), whole(model, data), rtol=5e-5, atol=2e-5
    )


def test_real_scans_with_the_preview(shared):
    """Patches leave at least 99 % of the labels as they are."""
    from pathlib import Path

    from synthtf.data.volumes import read_volume
    from synthtf.inference.conform import ConformedGrid
    from synthtf.inference.normalize import normalize_intensity
    from synthtf.runs.run import Run

    run = Run.load(Path(__file__).parents[3] / "models" / "heads-2mm")
    scan = read_volume(shared("data/scans/a_T1_brain.nii.gz"))
    grid = ConformedGrid.of(scan.data.shape, scan.affine, run.spacing)
    part = normalize_intensity(grid.conform(scan.data))[16:64, 24:72, 16:64]
    expected = whole(run.task_model, part).argmax(-1)
    found = predict_patches(run.task_model, part, (32, 48, 32)).argmax(-1)
    assert np.count_nonzero(expected) > 0.2 * expected.size
    assert np.mean(found != expected) < 0.01
