import numpy as np
import pytest

from synthtf.inference.foreground import foreground_box
from synthtf.inference.intensity_range import IntensityRange
from synthtf.inference.normalize import normalize_intensity


def head(low=0.0, dtype=np.float32):
    """A head of tissues from 200 to 1000 with a bright tail, in noise; and where it is."""
    rng = np.random.default_rng(0)
    x, y, z = np.indices((60, 50, 40))
    inside = (x - 30) ** 2 / 22**2 + (y - 25) ** 2 / 18**2 + (z - 20) ** 2 / 15**2 < 1
    tissue = 200 + 800 * rng.beta(2, 3, inside.shape)
    tissue[rng.random(inside.shape) < 0.01] *= 2
    image = np.where(inside, tissue, np.abs(rng.normal(0, 15, inside.shape)))
    return np.rint(image + low).astype(dtype), inside


def corner(shape):
    """Outside of a cylinder along the last axis."""
    x, y = (np.linspace(-1, 1, n) for n in shape[:2])
    return np.broadcast_to((np.hypot(x[:, None], y) > 1.05)[..., None], shape)


PADDING = (-32768, -3024, -1000, 4095, 32767, 63536, 65535, 1e6, -1e9)


@pytest.mark.parametrize("value", PADDING)
def test_padding_of_any_far_value_is_background(value):
    image, _ = head()
    where = corner(image.shape)
    padded = np.where(where, np.float32(value), image)
    found = IntensityRange.of(padded)
    ((low, high, share),) = found.padding
    assert low == high == np.float32(value)
    assert share == pytest.approx(where.mean(), abs=0.01)
    fit = found.apply(padded)
    np.testing.assert_array_equal(fit[~where], image[~where])
    assert (fit[where] == found.low).all() and 0 <= found.low < 20
    # Whoever asks for a window or a box alone gets the same.
    plain = normalize_intensity(image)
    np.testing.assert_allclose(
        normalize_intensity(padded)[~where], plain[~where], rtol=0.05, atol=0.02
    )
    assert foreground_box(padded, (3, 3, 3)) == foreground_box(image, (3, 3, 3))


@pytest.mark.parametrize("value", [-32768, 65535])
def test_resampled_padding_is_found_with_what_lies_between(value):
    image, _ = head()
    where = corner(image.shape)
    padded = np.where(where, np.float32(value), image)
    padded = (padded + np.roll(padded, 1, 0)) / 2
    fit = IntensityRange.of(padded).apply(padded)
    assert fit.min() > -100 and fit.max() < 3500


def test_two_values_of_padding():
    image, _ = head()
    padded = image.copy()
    padded[:6], padded[-6:] = -32768, 65535
    found = IntensityRange.of(padded)
    assert sorted(low for low, _, _ in found.padding) == [-32768, 65535]
    np.testing.assert_array_equal(found.apply(padded)[6:-6], image[6:-6])


def test_numbers_that_wrapped_around():
    image, inside = head()
    image = np.where(inside, image, image - 20)
    wrapped = np.where(image < 0, image + 65536, image)
    fit = IntensityRange.of(wrapped).apply(wrapped)
    assert fit.max() < 3000
    np.testing.assert_array_equal(fit[inside], image[inside])


def test_a_background_of_padding_leaves_the_contrast_of_the_rest():
    image, inside = head()
    for value in (-32768, 65535):
        normalized = normalize_intensity(np.where(inside, image, value))
        assert normalized[inside].std() > 0.15
        assert (normalized[~inside] < 0.05).all()


def test_an_offset_on_a_background_of_0():
    image, inside = head()
    found = IntensityRange.of(np.where(inside, image + 10000, 0))
    assert found.padding[0][:2] == (0, 0)
    assert found.low > 10000


@pytest.mark.parametrize("low", [0, -1000, 1e5])
def test_a_scan_as_scans_are_stays_as_it_is(low):
    image, _ = head(low)
    found = IntensityRange.of(image)
    assert found.padding == ()
    assert found.apply(image) is image
    saturated = np.minimum(image, low + 700)
    assert IntensityRange.of(saturated).apply(saturated) is saturated


def test_hounsfield_units_stay_as_they_are():
    image, inside = head()
    brain = np.random.default_rng(0).normal(35, 8, inside.shape)
    air = np.random.default_rng(1).normal(-1000, 10, inside.shape)
    image = np.where(inside, brain, air)
    image[corner(image.shape)] = -2000
    found = IntensityRange.of(image)
    # The brain is no padding, whatever lies below it.
    np.testing.assert_array_equal(found.apply(image)[inside], image[inside])


@pytest.mark.parametrize(
    "values", [(0, 1), (0, 1, 2, 50), (0, 2, 3, 41, 42, 77, 85, 251, 252, 253, 254, 255)]
)
def test_label_maps_and_drawings_stay_as_they_are(values):
    image = np.zeros((30, 30, 30), np.float32)
    for index, value in enumerate(values):
        image[2 * index : 2 * index + 2, 5:20, 5:20] = value
    assert IntensityRange.of(image).apply(image) is image


def test_a_few_hot_voxels_are_brought_near_and_padding_is_not_among_them():
    image, _ = head()
    hot = image.copy()
    hot.flat[::5000] = 1e6
    fit = IntensityRange.of(hot).apply(hot)
    assert fit.max() < 5000
    np.testing.assert_array_equal(fit[hot < 1e6], image[hot < 1e6])


def test_a_small_object_is_what_an_image_shows():
    image = np.zeros((40, 40, 40), np.float32)
    image[3, 3, 3:6] = 5
    assert IntensityRange.of(image).apply(image) is image
    constant = np.full((4, 4, 4), 7.0)
    assert IntensityRange.of(constant).apply(constant) is constant


def test_the_largest_numbers_do_no_harm():
    image = np.linspace(-3e38, 3e38, 1000, dtype=np.float32)
    assert np.isfinite(IntensityRange.of(image).apply(image)).all()


@pytest.mark.parametrize(
    "name", ["a_T1_brain", "b_T1_head", "c_T1_head", "e_FLAIR_head", "f_T1_head", "d_T2_brain"]
)
def test_real_scans_have_no_padding(shared, name):
    import nibabel

    image = np.asarray(nibabel.load(shared(f"data/scans/{name}.nii.gz")).dataobj, np.float32)
    found = IntensityRange.of(image)
    assert found.padding == ()
    changed = found.apply(image) != image
    assert changed.mean() < 1e-4
