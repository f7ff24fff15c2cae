"""Geometry against arrays recorded from VoxelMorph and neurite."""

import numpy as np
import pytest
from keras import ops as kops

from synthtf import ops

TOLERANCE = 1e-4


@pytest.fixture(params=["2d", "3d"])
def oracle(request, shared):
    return dict(np.load(shared(f"oracles/geometry_{request.param}.npz")))


def close(actual, expected, tolerance=TOLERANCE):
    np.testing.assert_allclose(kops.convert_to_numpy(actual), expected, atol=tolerance, rtol=0)


@pytest.mark.parametrize("fill, name", [(None, "warp_linear_edge"), (0.0, "warp_linear_zero")])
def test_linear_warp(oracle, fill, name):
    out = ops.resample(oracle["volume"][None], oracle["displacement"][None], fill=fill)
    close(out[0], oracle[name])


def test_nearest_warp(oracle):
    labels = oracle["labels"][None].astype("int32")
    out = ops.resample(labels, oracle["displacement"][None], "nearest", fill=0)
    assert kops.dtype(out) == "int32"
    np.testing.assert_array_equal(kops.convert_to_numpy(out[0]), oracle["warp_nearest_zero"])


@pytest.mark.parametrize("steps", [5, 7])
def test_integrate_velocity(oracle, steps):
    out = ops.integrate_velocity(kops.convert_to_tensor(oracle["displacement"][None]), steps)
    close(out[0], oracle[f"integrate_{steps}"])


def test_compose_fields(oracle):
    d, d2 = (kops.convert_to_tensor(oracle[k][None]) for k in ("displacement", "displacement2"))
    close(ops.compose(d, d2)[0], oracle["compose_d_d2"])


def matrix(oracle, k):
    params = oracle[f"affine_params_{k}"][None]
    ndim = oracle["displacement"].shape[-1]
    turns = 1 if ndim == 2 else 3
    parts = np.split(params, np.cumsum([ndim, turns, ndim]), axis=-1)
    return ops.affine_matrix(*(kops.convert_to_tensor(p) for p in parts))


@pytest.mark.parametrize("k", [0, 1])
def test_affine(oracle, k):
    affine = matrix(oracle, k)
    close(affine[0, :-1], oracle[f"affine_matrix_{k}"])
    shape = oracle["displacement"].shape[:-1]
    close(ops.dense_displacement(affine, shape)[0], oracle[f"affine_dense_{k}_center1"])
    warped = ops.resample(oracle["volume"][None], affine, fill=0.0)
    close(warped[0], oracle[f"affine_warp_{k}"])
    d = kops.convert_to_tensor(oracle["displacement"][None])
    close(ops.compose(affine, d)[0], oracle[f"compose_affine_d_{k}"])
    identity = kops.matmul(ops.invert_affine(affine), affine)
    close(identity[0], np.eye(len(shape) + 1))


def test_fit_affine(oracle):
    points, target, weights = (oracle[k] for k in ("fit_points", "fit_target", "fit_weights"))
    close(ops.fit_affine(points, target, weights)[:, :-1], oracle["fit_affine"], 1e-3)


def test_barycenter(oracle):
    close(ops.barycenter(kops.convert_to_tensor(oracle["bary_in"])), oracle["barycenter"])


def test_jacobian_determinant(oracle):
    d = kops.convert_to_tensor(oracle["displacement"][None])
    close(ops.jacobian_determinant(d)[0], oracle["jacdet"])
