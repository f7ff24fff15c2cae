"""VoxelMorph's layers against arrays recorded from its code."""

import keras
import numpy as np
import pytest

from synthtf import compat


@pytest.fixture(params=["2d", "3d"])
def oracle(request, shared):
    return dict(np.load(shared(f"oracles/geometry_{request.param}.npz")))


def close(actual, expected, tolerance=1e-4):
    np.testing.assert_allclose(keras.ops.convert_to_numpy(actual), expected, atol=tolerance, rtol=0)


def batch(oracle, *names):
    return [oracle[name][None] for name in names]


@pytest.mark.parametrize("fill, name", [(None, "edge"), (0, "zero")])
def test_volumes_are_moved_by_a_field(oracle, fill, name):
    move = compat.SpatialTransformer(fill_value=fill)
    close(move(batch(oracle, "volume", "displacement"))[0], oracle[f"warp_linear_{name}"])


def test_labels_are_moved_from_the_nearest_voxel(oracle):
    move = compat.SpatialTransformer(interp_method="nearest", fill_value=0)
    close(move(batch(oracle, "labels", "displacement"))[0], oracle["warp_nearest_zero"])


@pytest.mark.parametrize("k", [0, 1])
def test_matrices(oracle, k):
    ndim = oracle["displacement"].shape[-1]
    shape = oracle["displacement"].shape[:-1]
    parameters, matrix = batch(oracle, f"affine_params_{k}", f"affine_matrix_{k}")
    close(compat.ParamsToAffineMatrix(ndim)(parameters), matrix)
    square = compat.ParamsToAffineMatrix(ndim, last_row=True)(parameters)
    assert square.shape == (1, ndim + 1, ndim + 1)
    for centred in (True, False):
        field = compat.AffineToDenseShift(shape, shift_center=centred)(matrix)
        close(field[0], oracle[f"affine_dense_{k}_center{int(centred)}"], 2e-4)
        moved = compat.SpatialTransformer(shift_center=centred)([oracle["volume"][None], matrix])
        by_field = compat.SpatialTransformer()([oracle["volume"][None], field])
        close(moved, by_field)
    moved = compat.SpatialTransformer(fill_value=0)([oracle["volume"][None], matrix])
    close(moved[0], oracle[f"affine_warp_{k}"])
    composed = compat.ComposeTransform()([matrix, oracle["displacement"][None]])
    close(composed[0], oracle[f"compose_affine_d_{k}"], 2e-4)


def test_fields_are_integrated_and_composed(oracle):
    velocity = oracle["displacement"][None]
    close(compat.VecInt()(velocity)[0], oracle["integrate_7"])
    close(compat.VecInt(int_steps=5)([velocity])[0], oracle["integrate_5"])
    composed = compat.ComposeTransform()(batch(oracle, "displacement", "displacement2"))
    close(composed[0], oracle["compose_d_d2"])


def test_matrices_are_composed_to_a_matrix_or_a_field():
    shift = np.array([[[1, 0, 2], [0, 1, 0]]], "float32")
    close(compat.ComposeTransform()([shift, shift])[0], [[1, 0, 4], [0, 1, 0]])
    field = compat.ComposeTransform(shape=(3, 5))([shift, shift])
    assert field.shape == (1, 3, 5, 2)
    close(field[0, 1, 1], [4, 0])


def test_parameters_may_be_left_out_and_angles_in_radians():
    quarter = np.array([[0, 0, np.pi / 2]], "float32")
    layer = compat.ParamsToAffineMatrix(2, deg=False, shift_scale=True)
    close(layer(quarter)[0], [[0, -1, 0], [1, 0, 0]], 1e-6)
    with pytest.raises(ValueError, match="at most 6 parameters in 2D"):
        layer(np.zeros((1, 7), "float32"))


def test_first_voxels_of_grids_of_other_sizes_coincide():
    volume = np.arange(12, dtype="float32").reshape(1, 12, 1, 1)
    field = np.ones((1, 5, 1, 2), "float32") * [1, 0]
    out = compat.SpatialTransformer()([volume, field])
    assert np.ravel(keras.ops.convert_to_numpy(out)).tolist() == [1, 2, 3, 4, 5]
    still = np.array([[[1, 0, 0], [0, 1, 0]]], "float32")
    out = compat.SpatialTransformer(shape=(4, 1))([volume, still])
    assert np.ravel(keras.ops.convert_to_numpy(out)).tolist() == [0, 1, 2, 3]


def test_components_in_xy_order_and_one_transform_for_all():
    volume = np.arange(8, dtype="float32").reshape(2, 2, 2, 1)
    field = np.broadcast_to(np.array([0, 1], "float32"), (2, 2, 2, 2)).copy()
    field[1] = 7
    move = compat.SpatialTransformer(indexing="xy", single_transform=True)
    out = keras.ops.convert_to_numpy(move([volume, field]))[..., 0]
    assert out.tolist() == [[[2, 3], [2, 3]], [[6, 7], [6, 7]]]


def test_transforms_are_rescaled():
    field = compat.RescaleTransform(2)(np.ones((1, 4, 6, 2), "float32"))
    assert field.shape == (1, 8, 12, 2)
    close(field, np.full((1, 8, 12, 2), 2))
    matrix = compat.RescaleTransform(0.5)(np.array([[[2, 1, 8], [0, 2, 4]]], "float32"))
    close(matrix[0], [[2, 1, 4], [0, 2, 2]])


@pytest.mark.parametrize(
    "make, argument",
    [
        (lambda: compat.SpatialTransformer(interp_method="cubic"), "interp_method"),
        (lambda: compat.VecInt(method="ode"), "method"),
        (lambda: compat.ComposeTransform(shift_center=False), "shift_center"),
        (lambda: compat.VxmDense((32, 32), int_resolution=1), "int_resolution"),
        (lambda: compat.VxmDense((32, 32), reg_field="postintegrated"), "reg_field"),
        (lambda: compat.labels_to_image([0, 1], in_shape=(8, 8), half_res=True), "half_res"),
    ],
)
def test_what_has_no_counterpart_is_refused_by_name(make, argument):
    with pytest.raises(ValueError, match=f"`{argument}` must be"):
        make()


def test_a_model_of_these_layers_is_saved_and_loaded(tmp_path):
    source = keras.Input((8, 8, 1))
    parameters = keras.Input((6,))
    matrix = compat.ParamsToAffineMatrix(2, shift_scale=True)(parameters)
    moved = compat.SpatialTransformer(fill_value=0)([source, matrix])
    model = keras.Model([source, parameters], moved)
    inputs = [np.random.default_rng(1).random((1, 8, 8, 1)), np.full((1, 6), 0.1)]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(inputs), model.predict(inputs))
