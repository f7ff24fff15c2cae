import warnings

import numpy as np
import pytest

from synthtf.inference.scan_intensities import fit_intensities

SHAPE = (50, 50, 40)


def ct(air=-1000.0):
    """A head in air: skin and fat around a skull around a brain, in Hounsfield units."""
    rng = np.random.default_rng(0)
    radius = np.linalg.norm(np.indices(SHAPE) - np.array([25, 25, 20])[:, None, None, None], axis=0)
    image = np.select(
        [radius < 12, radius < 14, radius < 17, radius < 18], [35, 900, -80, -500], default=air
    )
    return image + rng.normal(0, 8, SHAPE)


def mr():
    rng = np.random.default_rng(0)
    radius = np.linalg.norm(np.indices(SHAPE) - np.array([25, 25, 20])[:, None, None, None], axis=0)
    return np.abs(np.where(radius < 18, 400 + 200 * np.cos(radius), 0) + rng.normal(0, 10, SHAPE))


def said(data, ct):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit_intensities(data, "sub-01.nii.gz", ct)
    return [str(warning.message) for warning in caught]


def test_nothing_is_said_about_usual_scans():
    assert said(mr(), ct=False) == []
    assert said(ct(), ct=True) == []
    stripped = np.where(ct() < 60, ct(), 0)
    stripped[stripped < 0] = 0
    assert said(stripped, ct=True) == []


def test_padding_is_said_with_value_and_share():
    data = mr()
    data[:10] = -32768
    (text,) = said(data, ct=False)
    assert text == "sub-01.nii.gz: 20.0% of its voxels, -32768, are padding and taken as background"
    data[:10] = 0
    assert said(data, ct=False) == []


@pytest.mark.parametrize("circle", [None, -1024, -2000, -3024])
def test_ct_that_nobody_announced_is_said(circle):
    data = ct()
    if circle is not None:
        data[:10] = circle
    texts = said(data, ct=False)
    assert texts[0].startswith("sub-01.nii.gz: this looks like CT")
    assert "--ct" in texts[0]
    assert said(data, ct=True) == []


def test_mr_with_padding_of_air_is_no_ct():
    data = mr()
    data[:10] = -1000
    assert not any("CT" in text for text in said(data, ct=False))


def test_below_air_is_air_and_far_above_metal_is_padding():
    data = ct()
    data[:10], data[-10:] = -3024, 65535
    with pytest.warns(UserWarning, match="20.0% of its voxels, 65535"):
        fit = fit_intensities(data, "x", ct=True)
    assert (fit[:10] == -1024).all() and (fit[-10:] == -1024).all()
    # Metal stays what it is.
    data[-10:] = 3071
    np.testing.assert_array_equal(fit_intensities(data, "x", ct=True)[-10:], 3071)


@pytest.mark.parametrize("padding", [None, -2000, 65535])
def test_ct_without_intercept_is_refused_by_name(padding):
    data = np.maximum(ct() + 1024, 0)
    if padding is not None:
        data[:8] = padding
    with pytest.raises(ValueError, match=r"^sub-01.nii.gz: .*Hounsfield.* 1024 was not subtracted"):
        said(data, ct=True)


def test_a_stripped_ct_without_intercept_is_refused():
    data = np.where(ct() < 60, ct().clip(0), 0) + 1024
    with pytest.raises(ValueError, match="1024 was not subtracted"):
        said(data, ct=True)


@pytest.mark.parametrize(
    "data", [mr() + 200, 5 * mr() + 50, mr() / 1000, np.full(SHAPE, 500.0), np.zeros(SHAPE)]
)
def test_what_is_not_in_hounsfield_units_is_refused(data):
    with pytest.raises(ValueError, match=r"sub-01.*brain at 0 to 80. Received: .*--ct"):
        said(data, ct=True)


@pytest.mark.parametrize("data", [mr(), 5 * mr(), np.maximum(ct(), 0)])
def test_units_are_doubted_where_nothing_is_below_0(data):
    (text,) = said(data, ct=True)
    assert text.startswith("sub-01.nii.gz: are these Hounsfield units?")


@pytest.mark.parametrize("window", [(0, 80), (-100, 1500), (-100, 200)])
def test_a_window_of_hounsfield_units_is_still_in_them(window):
    assert said(np.clip(ct(), *window), ct=True) == []


def test_values_that_are_not_finite_are_counted():
    data = mr()
    data[0, 0, :3] = np.nan, np.inf, -np.inf
    with pytest.raises(ValueError, match=r"sub-01.nii.gz: 3 voxels are NaN or infinite"):
        said(data, ct=False)
