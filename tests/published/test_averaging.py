"""Posteriors of whole heads, averaged with those of the mirrored head."""

import keras
import numpy as np
import pytest

from synthtf.published.averaging import averaged, most_likely


@pytest.mark.parametrize("patch", [None, (16, 16, 16)])
def test_the_mirrored_image_is_added_part_by_part(patch):
    image = np.random.default_rng(0).uniform(size=(32, 16, 16)).astype("float32")
    x = keras.Input((None, None, None, 1))
    y = keras.layers.Conv3D(3, 3, padding="same", name="conv")(x)
    network = keras.Model(x, keras.layers.UpSampling3D(2)(keras.layers.MaxPooling3D(2)(y)))

    def result(x):
        return np.asarray(network.predict_on_batch(np.ascontiguousarray(x)[None, ..., None]))[0]

    one, other = result(image), result(image[::-1])[::-1]
    found = averaged(network, image, patch, 2, (1, 0), change=lambda part: 2 * part[..., :2])
    expected = one[..., :2] + other[..., [1, 0]]
    np.testing.assert_allclose(np.moveaxis(found, 0, -1), expected, rtol=1e-4, atol=1e-5)
    alone = averaged(network, image, patch, 3)
    np.testing.assert_allclose(np.moveaxis(alone, 0, -1), one, rtol=1e-4, atol=1e-5)


def test_the_first_of_equals_is_the_most_likely():
    posteriors = np.random.default_rng(0).integers(0, 4, (7, 5, 5, 5)).astype("float32")
    np.testing.assert_array_equal(most_likely(posteriors), posteriors.argmax(0))
