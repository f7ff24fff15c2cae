import numpy as np
import pytest

from synthtf import ops
from synthtf.layers import RandomWarp, Resample
from synthtf.layers.noise_field import KINDS
from synthtf.ops.resampling import upsample
from synthtf.testing import RandomLayerContract, check_mean, make_keys, run, to_arrays


class TestRandomWarp(RandomLayerContract):
    layer = RandomWarp
    arguments = {"strength": (1, 3), "control_points": (2, 4), "integration_steps": 3}
    variants = [
        {"noise": "gaussian"},
        {"noise": "fractal", "control_points": 2},
        {"noise": "fractal", "control_points": (1, 3), "octaves": (2, 5)},
        {"diffeomorphic": False},
        {"full_resolution": False, "control_points": 2},
    ]
    identity_arguments = {"strength": 0}
    invalid = [
        ({"strength": -1}, "`strength` must lie in"),
        ({"strength": (2, 1)}, "low <= high"),
        ({"control_points": 0}, "`control_points` must lie in"),
        ({"octaves": 6}, "`octaves` must lie in"),
        ({"control_points": 2.5}, "`control_points` must be whole numbers"),
        ({"noise": "white"}, "`noise` must be one of"),
        ({"integration_steps": -1}, "`integration_steps` must lie in"),
        ({"integration_steps": 2.5}, "`integration_steps` must be a whole number"),
        ({"spacing": 0}, "`spacing` must be positive"),
    ]

    def expected_identity(self, inputs):
        ndim = inputs.ndim - 2
        return np.zeros((*inputs.shape[:-1], ndim), "float32")


def warp(shape, num=1, **arguments):
    labels = np.zeros((num, *shape, 1), "int32")
    return to_arrays(RandomWarp(**arguments)(labels, make_keys(num)))[0]


@pytest.mark.parametrize("noise", KINDS)
@pytest.mark.parametrize("shape, spacing", [((20, 16), 1.0), ((12, 14, 10), 2.0)])
def test_longest_displacement_is_the_strength_in_mm_and_the_mean_is_zero(noise, shape, spacing):
    field = spacing * warp(shape, 2, strength=6, noise=noise, diffeomorphic=False, spacing=spacing)
    axes = tuple(range(1, len(shape) + 1))
    longest = np.linalg.norm(field, axis=-1).max(axes)
    np.testing.assert_allclose(longest, 6, atol=1e-4)
    np.testing.assert_allclose(field.mean(axes), 0, atol=1e-4)


def test_spacing_per_axis():
    arguments = {"strength": 6, "diffeomorphic": False, "name": "w"}
    field = warp((20, 20), spacing=(1.0, 3.0), **arguments) * [1.0, 3.0]
    np.testing.assert_allclose(field, warp((20, 20), **arguments), rtol=1e-5)


@pytest.mark.parametrize("full", [True, False])
def test_mean_is_zero_over_the_volume_on_any_grid(full):
    """The grid of the field is coarser than the volume, and upsampled onto its corners."""
    labels = np.zeros((1, 50, 40, 1), "int32")
    layer = RandomWarp(control_points=(2, 4), diffeomorphic=False, full_resolution=full)
    field = layer(labels, make_keys(1))
    if not full:
        assert tuple(field.shape[1:-1]) == (8, 8)
        parts = [upsample(field[..., d], (50, 40)) for d in range(2)]
        field = np.stack(to_arrays(parts), axis=-1)
    field = to_arrays(field)[0]
    assert np.abs(field).max() > 1
    np.testing.assert_allclose(field.mean((0, 1, 2)), 0, atol=1e-4)


@pytest.mark.parametrize("noise", KINDS)
def test_no_voxel_travels_farther_than_the_strength(noise):
    field = warp((40, 48), 4, strength=6, noise=noise, spacing=(1.0, 2.0)) * [1.0, 2.0]
    longest = np.linalg.norm(field, axis=-1).max((1, 2))
    assert (longest <= 6 + 1e-4).all() and (longest > 2).all()


def test_one_control_point_moves_nothing():
    for noise in KINDS:
        arguments = {"control_points": 1, "noise": noise, "octaves": 1}
        np.testing.assert_array_equal(warp((20, 18), **arguments, strength=9), 0)


@pytest.mark.parametrize("noise", KINDS)
@pytest.mark.parametrize("shape", [(40, 48), (24, 20, 28)])
def test_negative_velocity_gives_the_inverse(noise, shape):
    """Positions sent by the warp, and then by that of -v, come back where they were."""
    layer = RandomWarp(strength=4, control_points=(2, 4), noise=noise, integration_steps=7)
    labels = np.zeros((2, *shape, 1), "int32")
    draws = layer.sample(make_keys(2), labels.shape)
    forward = layer.apply(labels, draws)
    backward = layer.apply(labels, {**draws, "strength": -draws["strength"]})
    back = to_arrays(ops.compose(backward, forward))[0]
    inner = (slice(None), *(slice(5, -5),) * len(shape))
    there = np.abs(to_arrays(forward)[0][inner]).max()
    assert there > 1.5
    assert np.abs(back[inner]).mean() < 0.06 * there


@pytest.mark.parametrize("noise", KINDS)
def test_coarse_field_is_the_full_one(noise):
    shape = (48, 40)
    volume = np.random.default_rng(0).uniform(size=(1, *shape, 1)).astype("float32")
    fields = [
        RandomWarp(noise=noise, control_points=(2, 4), full_resolution=full, name="w")(
            volume, make_keys(1)
        )
        for full in (True, False)
    ]
    assert tuple(fields[1].shape[1:-1]) != shape
    full, coarse = (run(Resample(fill=None), (volume, field))[0] for field in fields)
    np.testing.assert_allclose(full, coarse, atol=1e-4)


def test_field_is_smooth_and_not_zero():
    field = warp((64, 64), 4, strength=10, control_points=(2, 6))
    assert np.abs(field).max() > 2.5
    assert np.abs(np.diff(field, axis=1)).max() < 4


def test_other_shape_than_that_of_the_input():
    field = RandomWarp(shape=(8, 6))(np.zeros((2, 20, 20, 1), "int32"), make_keys(2))
    assert tuple(field.shape) == (2, 8, 6, 2)
    with pytest.raises(ValueError, match="give `shape`, one size per spatial axis"):
        RandomWarp(shape=(8, 6, 4))(np.zeros((2, 20, 20, 1), "int32"))


def test_strength_is_uniform():
    layer = RandomWarp(strength=(2, 8), control_points=2)
    strength = to_arrays(layer.sample(make_keys(200), (200, 4, 4, 1))["strength"])[0]
    check_mean(strength, 5)
    check_mean((strength - 5) ** 2, 36 / 12)


# Folding


def share_folded(shape, spacing, num, **arguments):
    """Share of voxels where the Jacobian determinant is not positive."""
    layer = RandomWarp(spacing=spacing, name="warp", **arguments)
    keys, shares = make_keys(num), []
    for row in range(num):
        field = layer(np.zeros((1, *shape, 1), "int32"), keys[row : row + 1])
        shares.append(np.mean(to_arrays(ops.jacobian_determinant(field))[0] <= 0))
    return np.mean(shares)


@pytest.mark.parametrize("noise", KINDS)
def test_starter_ranges_hardly_fold(noise):
    assert share_folded((64, 64, 64), 2.5, 6, noise=noise) <= 1e-5


def test_warps_do_not_fold_up_to_12_mm():
    assert share_folded((64, 64, 64), 2.5, 4, strength=12) == 0


def test_the_strongest_starter_warp_folds_in_few_places():
    """Such a flow contracts space beyond what any grid of 2.5 mm can show."""
    assert share_folded((64, 64, 64), 2.5, 4, strength=20) < 2e-4
    extreme = {"strength": (20, 20), "control_points": (16, 16)}
    assert share_folded((64, 64, 64), 2.5, 1, **extreme) < 0.001
    plain = share_folded((64, 64, 64), 2.5, 1, diffeomorphic=False, **extreme)
    assert plain > 0.1, "without integration it folds nearly everywhere"
