import numpy as np
import pytest

from synthtf.layers import RandomTransmitField
from synthtf.testing import BATCH, SHAPES, RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomTransmitField(RandomLayerContract):
    layer = RandomTransmitField
    arguments = {"brightening": (0.1, 0.3), "variation": (0, 0.1), "spacing": 20}
    variants = [{"brightening": 0.5, "variation": 0.5, "control_points": (3, 9)}]
    identity_arguments = {"brightening": 0, "variation": 0}
    invalid = [
        ({"brightening": 0.6}, "`brightening` must lie in"),
        ({"width": 0}, "`width` must lie in"),
        ({"variation": (0.2, 0.1)}, "low <= high"),
        ({"control_points": 1}, "`control_points` must lie in"),
        ({"control_points": (2, 2.5)}, "`control_points` must be whole numbers"),
        ({"spacing": -1}, "`spacing` must be positive"),
    ]

    def make_inputs(self, ndim):
        """Four maps."""
        maps = np.random.default_rng(ndim).uniform(0, 100, size=(BATCH, *SHAPES[ndim], 4))
        return maps.astype("float32"), make_keys(BATCH)

    def expected_identity(self, inputs):
        """A field of one."""
        return np.concatenate([inputs, np.ones_like(inputs[..., :1])], axis=-1)


def fields(shape, num=1, edit=None, channels=4, **arguments):
    """Fields of several keys."""
    layer = RandomTransmitField(**{"name": "field", **arguments})
    maps = np.ones((num, *shape, channels), "float32")
    draws = {**layer.sample(make_keys(num), maps.shape), **(edit or {})}
    return to_arrays(layer.apply(maps, draws))[0][..., 4]


@pytest.mark.parametrize("shape", [(25, 21), (13, 11, 9)])
@pytest.mark.parametrize("spacing", [4, 8])
def test_gaussian_about_the_centre(shape, spacing):
    edit = {"offset": np.zeros((1, len(shape)), "float32")}
    out = fields(shape, edit=edit, brightening=0.3, width=40, variation=0, spacing=spacing)[0]
    grids = np.meshgrid(*[(np.arange(n) - (n - 1) / 2) * spacing for n in shape], indexing="ij")
    gaussian = np.exp(-sum(g**2 for g in grids) / (2 * 40**2))
    np.testing.assert_allclose(out, 1 + 0.3 * (2 * gaussian - 1), atol=1e-6)


def test_half_resolution_has_the_same_field():
    """Every other voxel of a grid of half the spacing lies on the coarse grid."""
    fine, coarse = (
        fields((n, n), edit={"offset": np.zeros((1, 2), "float32")}, width=30, spacing=mm)
        for n, mm in ((33, 2), (17, 4))
    )
    np.testing.assert_allclose(fine[:, ::2, ::2], coarse, atol=1e-5)


def test_centre_moves_by_the_offset():
    edit = {"offset": np.array([[0.1, -0.1]], "float32")}
    out = fields((20, 20), edit=edit, brightening=0.3, width=30, variation=0, spacing=4)[0]
    np.testing.assert_allclose(out, out[::-1, ::-1].T, atol=1e-6)
    assert np.argmax(out.sum(1)) in (11, 12)  # 9.5 + 2
    assert np.argmax(out.sum(0)) in (7, 8)


def test_lattice_is_interpolated():
    """With two points per axis the field is bilinear between the corners of the volume."""
    corners = np.array([[0, 0.25], [0.5, 1]], "float32").reshape(1, 2, 2, 1)
    edit = {"noise": corners, "control_points": np.array([[2, 2]], "int32")}
    few = {"brightening": 0, "variation": 0.2, "control_points": 2}
    out = fields((5, 9), edit=edit, **few)[0]
    x, y = np.meshgrid(np.linspace(0, 1, 5), np.linspace(0, 1, 9), indexing="ij")
    expected = 0.25 * y + 0.5 * x + 0.25 * x * y
    np.testing.assert_allclose(out, 1 + 0.2 * (2 * expected - 1), atol=1e-6)


def test_strengths_are_uniform():
    """The corner of the volume is a point of the lattice; of uniform u, E (2u - 1)² is 1/3."""
    out = fields((4, 4), 200, brightening=0, variation=(0.1, 0.4))[:, 0, 0] - 1
    check_mean(out, 0)
    check_mean(out**2, (0.1**2 + 0.1 * 0.4 + 0.4**2) / 3 / 3)


def test_field_that_is_there_is_multiplied():
    layer = RandomTransmitField(name="field")
    maps = np.ones((2, 8, 8, 5), "float32")
    once = to_arrays(layer(maps, make_keys(2)))[0]
    maps[..., 4] = 0.5
    np.testing.assert_allclose(to_arrays(layer(maps, make_keys(2)))[0][..., 4], once[..., 4] / 2)
    np.testing.assert_array_equal(once[..., :4], maps[..., :4])
    never = RandomTransmitField(probability=0)
    np.testing.assert_array_equal(to_arrays(never(maps, make_keys(2)))[0], maps)


def test_refuses_other_numbers_of_maps():
    with pytest.raises(ValueError, match="four maps, or five"):
        RandomTransmitField().output_spec(np.zeros((1, 4, 4, 3), "float32"))
