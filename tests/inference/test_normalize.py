import numpy as np
import pytest

from synthtf.inference.normalize import normalize_intensity


def test_percentiles_become_zero_and_one():
    image = np.arange(1001, dtype=np.float64).reshape(7, 11, 13)
    result = normalize_intensity(image)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, np.clip((image - 5) / 990, 0, 1), atol=1e-6)


def test_scale_offset_and_negative_values_do_not_matter():
    image = np.random.default_rng(0).normal(size=(8, 9, 10))
    np.testing.assert_allclose(
        normalize_intensity(image), normalize_intensity(-500 + 37 * image), atol=1e-4
    )


def test_an_outlier_does_not_darken_the_image():
    image = np.random.default_rng(0).random((20, 20, 20))
    bright = image.copy()
    bright[0, 0, 0] = 1e6
    np.testing.assert_allclose(
        normalize_intensity(bright)[1:], normalize_intensity(image)[1:], atol=1e-2
    )


def test_ct_is_clipped_to_the_window_of_the_brain():
    image = np.linspace(-1000, 2000, 3001)
    result = normalize_intensity(image, percentiles=(0, 100), ct=True)
    np.testing.assert_allclose(result, np.clip(image / 80, 0, 1), atol=1e-6)


def test_a_small_object_in_a_large_background_is_kept():
    image = np.zeros((20, 20, 20))
    image[3, 3, 3] = 5
    assert normalize_intensity(image)[3, 3, 3] == 1


def test_a_constant_image_becomes_zero_with_a_warning():
    with pytest.warns(UserWarning, match=r"constant \(every voxel is 7\)"):
        result = normalize_intensity(np.full((3, 3, 3), 7))
    np.testing.assert_array_equal(result, 0)


def test_the_input_is_not_changed():
    image = np.linspace(-5, 90, 100, dtype=np.float32)
    kept = image.copy()
    normalize_intensity(image)
    np.testing.assert_array_equal(image, kept)


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="4 voxels; 2 are NaN or infinite"):
        normalize_intensity(np.array([0, np.nan, np.inf, 1]))


@pytest.mark.parametrize("percentiles", [(99, 1), (-1, 50), (0, 101)])
def test_percentiles_out_of_range_are_refused(percentiles):
    with pytest.raises(ValueError, match="0 <= low < high <= 100"):
        normalize_intensity(np.arange(5), percentiles=percentiles)
