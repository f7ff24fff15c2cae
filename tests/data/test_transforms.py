import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

from synthtf.data.grid import Grid
from synthtf.data.transforms import Affine, Chain, Displacement, Transform, compose
from synthtf.data.volumes import Volume

LIA = np.array([[-1.0, 0, 0, 9], [0, 0, 1, -8], [0, -1, 0, 7], [0, 0, 0, 1]])


def rotation(axis, degrees, shift=(0, 0, 0)):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler(axis, degrees, degrees=True).as_matrix()
    matrix[:3, 3] = shift
    return matrix


def smooth_field(shape=(24, 26, 28), amplitude=4.0, seed=0):
    """Sines of one to two periods: gradients below 0.7."""
    x = np.stack(np.meshgrid(*[np.linspace(0, 1, n) for n in shape], indexing="ij"), -1)
    phase = np.random.default_rng(seed).uniform(0, 6, (3, 3))
    waves = [np.sin(2 * np.pi * x[..., i : i + 1] + phase[i]) for i in range(3)]
    return (amplitude / 3 * sum(waves)).astype(np.float32)


def points(num=50, seed=1, low=4, high=36):
    return np.random.default_rng(seed).uniform(low, high, (num, 3))


def oblique(spacing=(1.5, 2.0, 1.75)):
    return rotation("zx", (20, -15), (-20, 10, 5)) @ np.diag([*spacing, 1])


def test_affine_turns_right_to_anterior():
    turned = Affine(rotation("z", 90, (0, 0, 5)))(np.array([[[10.0, 0, 0]]]))
    np.testing.assert_allclose(turned, [[[0, 10, 5]]], atol=1e-12)
    assert turned.dtype == np.float64


def test_affine_inverse_swaps_the_grids():
    fixed, moving = Grid((4, 5, 6), np.eye(4)), Grid((7, 8, 9), LIA)
    transform = Affine(oblique(), fixed, moving)
    back = transform.inverse()
    assert (back.fixed, back.moving) == (moving, fixed)
    np.testing.assert_allclose(back(transform(points())), points(), atol=1e-10)
    np.testing.assert_allclose(transform.inverse_at(transform(points())), points(), atol=1e-10)


@pytest.mark.parametrize(
    "matrix, message",
    [
        (np.eye(3), "shape"),
        (np.diag([1, 1, 0, 1]), "invertible"),
        (np.diag([1, 1, 1e-9, 1]), "invertible"),
        (np.zeros((4, 4)), "last row"),
        (np.diag([1, 1, 1, 2.0]), "last row"),
        (np.diag([1, np.nan, 1, 1]), "finite"),
    ],
)
def test_matrices_that_are_no_transform_are_refused(matrix, message):
    with pytest.raises(ValueError, match=message):
        Affine(matrix)
    with pytest.raises(ValueError, match=message):
        Grid((2, 2, 2), matrix)


def test_tiny_voxels_are_no_singular_matrix():
    assert Affine(np.diag([1e-4, 1e-4, 1e-4, 1]))(np.ones(3))[0] == 1e-4


@pytest.mark.parametrize("affine", [np.eye(4), LIA, oblique()])
def test_displacement_is_interpolated_in_mm_wherever_its_grid_lies(affine):
    field = smooth_field()
    transform = Displacement(field, affine)
    inside = np.random.default_rng(2).uniform(1, 22, (40, 3))
    mm = inside @ affine[:3, :3].T + affine[:3, 3]
    expected = [map_coordinates(field[..., i].astype(float), inside.T, order=1) for i in range(3)]
    np.testing.assert_allclose(transform(mm) - mm, np.stack(expected, -1), atol=1e-4)
    shaped = mm.reshape(4, 10, 3)
    np.testing.assert_array_equal(transform(shaped), transform(mm).reshape(4, 10, 3))


def test_displacement_outside_of_its_grid_is_that_of_the_border():
    field = smooth_field()
    transform = Displacement(field, np.eye(4))
    far = transform(np.array([-50.0, 3, 4])) - (-50, 3, 4)
    np.testing.assert_allclose(far, field[0, 3, 4], atol=1e-5)
    far = transform(np.array([2.0, 3, 100])) - (2, 3, 100)
    np.testing.assert_allclose(far, field[2, 3, -1], atol=1e-5)


def test_displacement_of_a_slice():
    field = np.zeros((6, 5, 1, 3), np.float32)
    field[..., 1] = 2
    moved = Displacement(field, np.eye(4))(np.array([[1.0, 1, 0], [1, 1, 0.4]]))
    np.testing.assert_allclose(moved, [[1, 3, 0], [1, 3, 0.4]])


@pytest.mark.parametrize("affine", [np.diag([1.5, 1.5, 1.5, 1]), oblique()])
def test_inverse_of_a_smooth_displacement(affine):
    transform = Displacement(smooth_field(), affine)
    inverse = transform.inverse()
    assert inverse.field.shape == transform.field.shape
    inner = np.random.default_rng(3).uniform(5, 18, (200, 3)) @ affine[:3, :3].T + affine[:3, 3]
    assert np.abs(transform(inner) - inner).max() > 1
    assert np.abs(transform(inverse(inner)) - inner).max() < 0.1
    assert np.abs(inverse(transform(inner)) - inner).max() < 0.1
    # Without the grid in between, the iteration is all that is left of the error.
    assert np.abs(transform(transform.inverse_at(inner)) - inner).max() < 0.002


def test_inverse_of_an_expansion_that_the_plain_iteration_cannot_invert():
    x = np.arange(20, dtype=np.float32) - 9.5
    field = np.zeros((20, 3, 3, 3), np.float32)
    field[..., 0] = 1.5 * x[:, None, None]
    transform = Displacement(field, np.array([[1, 0, 0, -9.5], *np.eye(4)[1:]]))
    found = transform.inverse_at(np.array([[5.0, 1, 1], [-10, 1, 1]]))
    np.testing.assert_allclose(found, [[2, 1, 1], [-4, 1, 1]], atol=0.003)


def test_a_field_that_folds_is_reported():
    field = np.zeros((20, 4, 4, 3), np.float32)
    field[2:-2:2, ..., 0], field[3:-2:2, ..., 0] = 6, -6
    with pytest.warns(UserWarning, match=r"not be inverted at \d+ of 320 points"):
        Displacement(field, np.eye(4)).inverse()


@pytest.mark.parametrize(
    "field, message",
    [
        (np.zeros((3, 3, 3)), "shape"),
        (np.zeros((3, 3, 3, 2)), "shape"),
        (np.zeros((0, 3, 3, 3)), "shape"),
        (np.full((3, 3, 3, 3), np.nan), "finite"),
        (np.full((3, 3, 3, 3), 1e300), "finite"),
        (np.zeros((3, 3, 3, 3), complex), "real"),
    ],
)
def test_fields_that_are_no_displacement_are_refused(field, message):
    with pytest.raises(ValueError, match=message):
        Displacement(field, np.eye(4))


def test_points_of_another_shape_are_refused():
    for transform in (Affine(np.eye(4)), Displacement(np.zeros((2, 2, 2, 3)), np.eye(4))):
        with pytest.raises(
            ValueError, match=r"shape \(\.\.\., 3\). Received: points with shape \(5, 2\)"
        ):
            transform(np.zeros((5, 2)))


def test_chains_apply_the_last_transform_to_points_first():
    scale, shift = Affine(np.diag([2.0, 2, 2, 1])), Affine(rotation("x", 0, (1, 0, 0)))
    np.testing.assert_array_equal(Chain((shift, scale))(np.ones(3)), [3, 2, 2])
    np.testing.assert_array_equal(Chain((scale, shift))(np.ones(3)), [4, 2, 2])
    np.testing.assert_array_equal(Chain((scale, shift)).inverse()([4, 2, 2]), [1, 1, 1])
    np.testing.assert_array_equal(Chain((scale, shift)).inverse_at([4, 2, 2]), [1, 1, 1])


def test_compose_merges_neighbouring_affines_and_nothing_else():
    first, last = Grid((2, 2, 2), np.eye(4)), Grid((3, 3, 3), LIA)
    a = Affine(rotation("x", 30, (1, 2, 3)), moving=first)
    b = Affine(rotation("y", 20, (0, 5, 0)))
    warp = Displacement(smooth_field(), np.eye(4))
    c, d = Affine(oblique()), Affine(rotation("z", 10), fixed=last)
    chain = compose(Chain((a, b)), warp, Chain((c, Chain((d,)))))
    assert [type(t) for t in chain.transforms] == [Affine, Displacement, Affine]
    assert (chain.moving, chain.fixed) == (first, last)
    expected = a(b(warp(c(d(points())))))
    np.testing.assert_allclose(chain(points()), expected, atol=1e-9)
    merged = compose(a, b)
    assert isinstance(merged, Affine)
    assert (merged.moving, merged.fixed) == (first, None)
    assert compose(warp) is warp


@pytest.mark.parametrize("make", [compose, lambda: Chain(())])
def test_nothing_is_no_chain(make):
    with pytest.raises(ValueError, match="at least one"):
        make()


def test_chain_with_a_displacement_inverts():
    chain = compose(
        Displacement(smooth_field(), np.diag([1.5, 1.5, 1.5, 1])), Affine(rotation("z", 5))
    )
    inner = points(low=10, high=25)
    assert np.abs(chain.inverse()(chain(inner)) - inner).max() < 0.1
    assert np.abs(chain.inverse_at(chain(inner)) - inner).max() < 0.005


def test_sampling_a_transform_gives_its_displacement():
    grid = Grid((12, 10, 8), oblique())
    affine = Affine(rotation("zy", (12, 8), (3, -2, 1)), moving=Grid((2, 2, 2), np.eye(4)))
    sampled = Displacement.of(affine, grid)
    assert (sampled.fixed, sampled.moving) == (grid, affine.moving)
    mm = np.random.default_rng(4).uniform(0, 7, (30, 3)) @ grid.affine[:3, :3].T
    mm += grid.affine[:3, 3]
    # An affine displacement is linear in between the voxels.
    np.testing.assert_allclose(sampled(mm), affine(mm), atol=1e-4)


def test_slabs_cover_a_grid(monkeypatch):
    monkeypatch.setattr("synthtf.data.grid._SLAB_POINTS", 70)
    grid = Grid((5, 6, 4), oblique())
    found = np.full((5, 6, 4, 3), np.nan)
    for rows, mm in grid.slabs():
        assert mm.shape[0] == rows.stop - rows.start <= 2
        found[rows] = mm
    np.testing.assert_allclose(
        grid.to_voxels(found), np.moveaxis(np.indices((5, 6, 4)), 0, -1), atol=1e-9
    )


def test_grid_of_a_slice_without_a_normal():
    affine = np.diag([2.0, 0, 0, 1])
    affine[2, 1] = 3
    grid = Grid.of(Volume(np.zeros((4, 5)), affine))
    assert grid.shape == (4, 5, 1)
    np.testing.assert_array_equal(grid.affine[:3, 2], [0, -1, 0])
    assert Grid.of(grid) is grid
    assert Grid.of(Volume(np.zeros((4, 5, 6, 2)), LIA, ndim=3)).shape == (4, 5, 6)


@pytest.mark.parametrize("shape", [(2, 3), (2, 0, 3), (2.5, 3, 3)])
def test_grids_without_voxels_are_refused(shape):
    with pytest.raises(ValueError, match="three positive"):
        Grid(shape, np.eye(4))


def test_transform_is_abstract():
    with pytest.raises(TypeError):
        Transform()
