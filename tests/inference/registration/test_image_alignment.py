"""Alignment by self-similarity, on textured ellipsoids whose transform is known."""

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from synthtf.inference.registration.image_alignment import align_images, self_similarity

SHAPE = (40, 48, 40)


def matrix(rigid=True):
    made = np.eye(4)
    made[:3, :3] = Rotation.from_euler("xyz", [4, -3, 5], degrees=True).as_matrix()
    made[:3, :3] = made[:3, :3] @ np.diag([1, 1, 1] if rigid else [1.05, 0.96, 1.03])
    made[:3, 3] = [1.5, -1.0, 2.0]
    return made


def moved(volume, transform):
    """Move about the centre: voxel x shows what was at the inverse of the transform."""
    centre = (np.array(SHAPE) - 1) / 2
    back = np.linalg.inv(transform)
    offset = centre + back[:3, 3] - back[:3, :3] @ centre
    return ndimage.affine_transform(volume, back[:3, :3], offset, order=1)


def brain():
    """Tissues and where they are."""
    grid = np.indices(SHAPE) - (np.array(SHAPE)[:, None, None, None] - 1) / 2
    inside = np.sum(np.square(grid / np.array([15, 19, 15])[:, None, None, None]), axis=0) < 1
    noise = np.random.default_rng(0).standard_normal(SHAPE)
    return np.where(inside, 1 + (ndimage.gaussian_filter(noise, 2.5) > 0), 0), inside


def pair(transform):
    """A moving image of another contrast, the fixed one, and what a detector finds in them."""
    tissues, inside = brain()
    contrasts = np.array([0.0, 0.4, 0.9]), np.array([0.0, 1.0, 0.5])
    images = [moved(contrasts[0][tissues], transform), contrasts[1][tissues]]
    maps = np.stack([moved(inside.astype(float), transform), inside])[..., None]
    return images, maps


@pytest.mark.parametrize("rigid", [True, False])
def test_finds_a_known_transform_between_contrasts(rigid):
    truth = matrix(rigid)
    images, maps = pair(truth)
    found = align_images(*images, maps, np.eye(4), rigid)
    corners = np.array([[x, y, z, 1] for x in (-15, 15) for y in (-19, 19) for z in (-15, 15)])
    error = np.linalg.norm(corners @ (found - truth).T, axis=1).max()
    assert error < 0.4 < 2 < np.linalg.norm(corners @ (np.eye(4) - truth).T, axis=1).max()


def test_swapping_the_images_inverts():
    images, maps = pair(matrix())
    forward = align_images(*images, maps, np.eye(4))
    backward = align_images(*images[::-1], maps[::-1], np.eye(4))
    np.testing.assert_allclose(forward @ backward, np.eye(4), atol=1e-5)


def test_larger_voxels_of_the_maps_are_those_of_the_images():
    images, maps = pair(matrix())
    expected = align_images(*images, maps, np.eye(4))
    found = align_images(*images, maps[:, ::2, ::2, ::2], np.eye(4))
    np.testing.assert_allclose(found, expected, atol=0.05)


@pytest.mark.parametrize("nothing", ["maps", "texture"])
def test_nothing_to_align_changes_nothing(nothing):
    images, maps = pair(matrix())
    if nothing == "maps":
        maps = np.zeros_like(maps)
    else:
        images = [np.ones(SHAPE)] * 2
    start = matrix()
    np.testing.assert_array_equal(align_images(*images, maps, start), start)


def test_self_similarity_is_the_same_in_an_inverted_contrast():
    image = brain()[0] / 2.0
    np.testing.assert_allclose(self_similarity(image), self_similarity(1 - image), atol=1e-5)
    assert self_similarity(image).shape == (*SHAPE, 6)
    assert self_similarity(image).min() >= 0 and self_similarity(image).max() <= 1.0001
