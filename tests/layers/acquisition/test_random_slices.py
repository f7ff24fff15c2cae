import numpy as np
import pytest

from synthtf.layers import RandomSlices
from synthtf.testing import RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomSlices(RandomLayerContract):
    layer = RandomSlices
    arguments = {"thickness": (2, 3)}
    variants = [
        {"profile": "box", "gap": (-1, 0), "interpolation": "nearest", "in_plane": (1, 2)},
        {"spacing": 2.0, "thickness": (4, 6), "axes": (0,)},
    ]
    identity_arguments = {"thickness": 1, "gap": 0}
    invalid = [
        ({"thickness": 0}, "`thickness` must lie in"),
        ({"thickness": 2, "gap": -2}, "`gap` must be above"),
        ({"in_plane": (3, 2)}, "low <= high"),
        ({"profile": "sinc"}, "`profile` must be one of"),
        ({"interpolation": "cubic"}, "`interpolation` must be"),
        ({"axes": ()}, "`axes` must be different spatial axes"),
        ({"axes": (3,)}, "`axes` must be different spatial axes"),
    ]


def acquire(image, start, **arguments):
    """Slices across axis 0 of a line of voxels, the first one at `start` slice distances."""
    layer = RandomSlices(axes=(0,), **arguments)
    image = np.asarray(image, "float32").reshape(1, -1, 1, 1)
    draws = layer.sample(make_keys(1), image.shape)
    draws["start"] = np.full((1, 2), start, "float32")
    return to_arrays(layer.apply(image, draws))[0].ravel()


def mean_under_box(values, centre, thickness):
    """Mean of the linear interpolant of a line, from closely spaced points."""
    at = centre + thickness * ((np.arange(20000) + 0.5) / 20000 - 0.5)
    at = at[(at >= 0) & (at <= len(values) - 1)]
    return np.interp(at, np.arange(len(values)), values).mean()


@pytest.mark.parametrize("start", [0.25, 0.6])
@pytest.mark.parametrize("thickness,gap", [(3.0, 1.5), (4.0, -1.8), (2.5, 0.0)])
def test_box_profile_is_the_mean_over_the_slice(thickness, gap, start):
    values = np.random.default_rng(0).uniform(size=40)
    out = acquire(values, start, thickness=thickness, gap=gap, profile="box")
    distance = thickness + gap
    centres = np.arange(start * distance, 39, distance)
    slices = [mean_under_box(values, c, thickness) for c in centres]
    inner = slice(2, -2)  # a profile that leaves the volume is normalised by what is inside
    expected = np.interp(np.arange(40), centres[inner], slices[inner])
    here = (np.arange(40) >= centres[2]) & (np.arange(40) <= centres[-3])
    np.testing.assert_allclose(out[here], expected[here], atol=2e-4)


def test_gaussian_profile_is_half_as_high_at_half_the_thickness():
    """An impulse shows the profile of the slice that lies one half thickness away from it."""
    heights = []
    for shift in (0, 3):
        impulse = np.zeros(61)
        impulse[30 + shift] = 1
        out = acquire(impulse, 0, thickness=6, gap=4)
        heights.append(out[30])
    std = 6 / (2 * np.sqrt(2 * np.log(2)))
    assert heights[1] / heights[0] == pytest.approx(0.5, abs=1e-4)
    assert heights[0] == pytest.approx(1 / (std * np.sqrt(2 * np.pi)), rel=1e-3)


@pytest.mark.parametrize("profile", ["box", "gaussian"])
def test_ramps_are_kept_between_slices(profile):
    out = acquire(np.arange(50), 0.37, thickness=4, gap=1, profile=profile)
    np.testing.assert_allclose(out[12:-12], np.arange(50)[12:-12], atol=0.02)


def test_nearest_slices_are_steps():
    out = acquire(np.arange(40), 0.5, thickness=4, gap=1, profile="box", interpolation="nearest")
    centres = 2.5 + 5 * np.arange(8)
    nearest = np.abs(np.arange(40)[:, None] - centres).argmin(1)
    keep = (nearest > 0) & (nearest < 7) & (np.arange(40) % 5 != 0)
    np.testing.assert_allclose(out[keep], centres[nearest][keep], atol=1e-3)


def test_signal_in_gaps_is_lost():
    values = np.zeros(40)
    values[15] = 1  # between the slices at 10 and 20
    assert not acquire(values, 0, thickness=2, gap=8, profile="box").any()


def test_sizes_are_in_mm():
    values = np.random.default_rng(1).uniform(size=50)
    fine = acquire(values, 0.3, thickness=6, gap=2, spacing=2.0)
    np.testing.assert_allclose(fine, acquire(values, 0.3, thickness=3, gap=1), atol=1e-6)
    np.testing.assert_allclose(acquire(values, 0.3, thickness=2, gap=0, spacing=3.0), values)


def test_long_axes_agree_with_short_ones():
    """Axes that are tiled, because they are long, see all that their profile reaches."""
    values = np.random.default_rng(2).uniform(size=160)
    layer = RandomSlices(thickness=7, gap=3, axes=(0,))
    layer._reach = lambda mm: None
    image = values.astype("float32").reshape(1, -1, 1, 1)
    draws = {**layer.sample(make_keys(1), image.shape), "start": np.full((1, 2), 0.9, "float32")}
    dense = to_arrays(layer.apply(image, draws))[0].ravel()
    np.testing.assert_allclose(acquire(values, 0.9, thickness=7, gap=3), dense, atol=1e-6)


def test_one_axis_has_slices_and_the_others_in_plane_voxels():
    """Averages of many samples of an image that varies along one axis alone."""
    image = np.random.default_rng(3).uniform(size=(1, 24, 1, 1)).astype("float32")
    image = np.repeat(np.repeat(image, 300, 0), 24, 2)
    out = to_arrays(RandomSlices(thickness=(3, 5))(image, make_keys(300)))[0]
    check_mean(np.abs(out - image).reshape(300, -1).max(1) > 1e-3, 0.5)
    both = RandomSlices(thickness=(3, 5), in_plane=2)(image[:40], make_keys(40))
    assert (np.abs(to_arrays(both)[0] - image[:40]).reshape(40, -1).max(1) > 1e-3).all()


def test_draws_are_uniform():
    draws = RandomSlices(thickness=(2, 4), gap=(-1, 1)).sample(make_keys(300), (300, 8, 8, 8, 1))
    draws = {name: to_arrays(x)[0] for name, x in draws.items()}
    check_mean(draws["thickness"], 3)
    check_mean(draws["gap"], 0)
    for axis in range(3):
        check_mean(draws["axis"] == axis, 1 / 3)
