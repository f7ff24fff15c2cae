"""Matrices of SynthMorph."""

import numpy as np
import pytest

from synthtf.ops import affine_matrix
from synthtf.published.synthmorph.matrices import (
    about,
    exact,
    fit,
    fit_both_ways,
    rigid_part,
    square_root,
)
from synthtf.published.synthmorph.spaces import sample


def matrix(scale=(1.1, 0.9, 1.2), shear=(0.1, -0.05, 0.02), flip=False):
    parts = [[3.0, -2, 1]], [[10.0, -20, 5]], [scale], [shear]
    found = np.array(affine_matrix(*(np.array(part, "float32") for part in parts)))[0]
    return found @ np.diag([-1.0 if flip else 1, 1, 1, 1])


def test_weighted_fits():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(8, 3))
    others = points @ matrix()[:3, :3].T + matrix()[:3, 3]
    noisy = others.copy()
    noisy[0] += 5
    weights = np.r_[0, np.ones(7)]
    np.testing.assert_allclose(fit(points, noisy, weights), matrix(), atol=1e-6)
    np.testing.assert_allclose(fit_both_ways(noisy, points, weights), matrix(), atol=1e-6)
    there, back = fit(points, noisy, np.ones(8)), fit(noisy, points, np.ones(8))
    both = fit_both_ways(noisy, points, np.ones(8))
    np.testing.assert_allclose(both, (there + np.linalg.inv(back)) / 2)
    for bad in (np.r_[1, 1, 1, np.zeros(5)], np.zeros(8), np.full(8, np.nan)):
        with pytest.raises(ValueError, match="too few common features"):
            fit(points, others, bad)


def test_rotation_and_translation_are_kept():
    rigid = matrix((1, 1, 1), (0, 0, 0))
    np.testing.assert_allclose(rigid_part(matrix()), rigid, atol=1e-6)
    flipped = rigid_part(matrix(flip=True))
    np.testing.assert_allclose(np.linalg.det(flipped[:3, :3]), 1)
    np.testing.assert_allclose(flipped[:3, 3], rigid[:3, 3])


def test_halves():
    half = square_root(matrix())
    np.testing.assert_allclose(half @ half, matrix(), atol=1e-9)
    with pytest.raises(ValueError, match="has no half: it must not flip"):
        square_root(np.diag([-1.0, 1, 1, 1]))


def test_centres():
    found = about(2.0, np.diag([3.0, 3, 3, 1]))
    np.testing.assert_allclose(found @ [2, 2, 2, 1], [2, 2, 2, 1])
    np.testing.assert_allclose(found @ [3, 2, 2, 1], [5, 2, 2, 1])


def test_borders_stay_inside_in_spite_of_rounding():
    data = np.ones((4, 4, 4), "float32")
    shifted = np.eye(4)
    shifted[:3, 3] = -1e-13, 1e-13, 0
    assert (sample(data, shifted, 4) == 1).all()
    np.testing.assert_array_equal(exact(shifted), np.eye(4))
    shifted[0, 3] = -0.1
    assert (sample(data, shifted, 4)[0] == 0).all()  # not even near the border
    assert (sample(data, shifted, 4)[1:] == 1).all()
