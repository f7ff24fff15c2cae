"""Alignment of feature maps, on Gaussians whose transform is known."""

import numpy as np
import pytest

from synthtf.inference.registration.feature_alignment import (
    align_features,
    align_maps,
    overlap_of_maps,
)
from synthtf.ops import affine_matrix

SHAPE = (32, 36, 32)


def matrix(rigid=False):
    scale = 1.0 if rigid else 1.06
    return np.asarray(
        affine_matrix(
            np.array([[1.5, -1.0, 0.5]], "float32"),
            np.array([[7.0, 4.0, -5.0]], "float32"),
            np.array([[scale, 1.0, 1 / scale]], "float32"),
            np.zeros((1, 3), "float32"),
        ),
        "float64",
    )[0]


def blobs(transform, shape=SHAPE, spacing=1.0, wrong=0.0):
    """Maps of Gaussians, moved by a transform; the first lies `wrong` voxels off."""
    points = np.random.default_rng(0).uniform(-10, 10, (12, 3))
    points[0] += wrong
    grid = spacing * (np.indices(shape).transpose(1, 2, 3, 0) - (np.array(shape) - 1) / 2)
    back = np.linalg.inv(transform)
    distance = (grid @ back[:3, :3].T + back[:3, 3])[..., None, :] - points
    return np.exp(-np.square(distance).sum(-1) / 2 / np.linspace(2, 4, 12) ** 2)


@pytest.mark.parametrize("rigid", [False, True])
def test_finds_a_known_transform(rigid):
    truth = matrix(rigid)
    found = align_features(blobs(truth), blobs(np.eye(4)), np.eye(4), rigid)
    np.testing.assert_allclose(found, truth, atol=0.03)
    if rigid:
        np.testing.assert_allclose(found[:3, :3] @ found[:3, :3].T, np.eye(3), atol=1e-9)


def test_swapping_the_images_inverts():
    moving, fixed = blobs(matrix(), wrong=2.0), blobs(np.eye(4))
    forward = align_features(moving, fixed, np.eye(4))
    backward = align_features(fixed, moving, np.eye(4))
    np.testing.assert_allclose(forward @ backward, np.eye(4), atol=1e-6)


def test_the_height_of_a_map_does_not_matter():
    truth = matrix()
    moving, fixed = (blobs(m) for m in (truth, np.eye(4)))
    expected = align_features(moving, fixed, np.eye(4))
    moving[..., 0] *= 3
    fixed[..., 0] *= 3
    np.testing.assert_allclose(align_features(moving, fixed, np.eye(4)), expected, atol=1e-4)


def test_what_is_not_found_in_both_images_does_not_count():
    moving, fixed = blobs(matrix()), blobs(np.eye(4))
    faint = np.random.default_rng(1).random((*SHAPE, 1)) * 0.1
    expected = align_features(moving, fixed, np.eye(4))
    more = (np.concatenate([x, y], -1) for x, y in ((moving, faint), (fixed, faint[::-1])))
    np.testing.assert_allclose(align_features(*more, np.eye(4)), expected, atol=1e-9)


@pytest.mark.parametrize("start", [np.eye(4), matrix()])
def test_nothing_found_changes_nothing(start):
    nothing = np.zeros((8, 8, 8, 3))
    np.testing.assert_array_equal(align_features(nothing, nothing, start), start)


@pytest.mark.parametrize("step", [1, 2])
def test_maps_of_other_voxels_give_the_transform_of_the_images(step):
    """Images of 2 mm, maps of 2 or 4 mm."""
    truth = matrix()
    size = tuple(2 * n // step for n in SHAPE)
    maps = [blobs(m, size, step / 2) for m in (truth, np.eye(4))]
    found = align_maps(*maps, np.eye(4), 2.0, 2.0 * step)
    expected = truth.copy()
    expected[:3, 3] *= 2  # voxels of half the size
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_overlap_of_maps_tells_a_fit_from_a_misfit():
    truth = matrix()
    moving, fixed = blobs(truth), blobs(np.eye(4))
    assert overlap_of_maps(moving, fixed, truth) > 0.97
    worse = truth.copy()
    worse[:3, 3] += 3
    assert overlap_of_maps(moving, fixed, worse) < 0.8
    swapped = overlap_of_maps(fixed, moving, np.linalg.inv(truth))
    assert swapped == pytest.approx(overlap_of_maps(moving, fixed, truth), abs=1e-4)
    assert overlap_of_maps(0 * moving, fixed, truth) == 0
