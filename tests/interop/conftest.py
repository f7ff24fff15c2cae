"""Two images on unlike grids, and other packages that read the same files."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from synthtf.data.transforms import Affine, Displacement, compose
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import read_volume


def import_quietly(name):
    with warnings.catch_warnings():
        # SimpleITK's wrapper is deprecated by Python, nitransforms' use of NumPy by NumPy.
        warnings.simplefilter("ignore", DeprecationWarning)
        return pytest.importorskip(name)


@pytest.fixture
def sitk():
    return import_quietly("SimpleITK")


@pytest.fixture
def nitransforms():
    import_quietly("nitransforms.linear")
    import_quietly("nitransforms.resampling")
    return import_quietly("nitransforms")


def placed(codes, spacing, angles, centre, shape):
    """Affine of an oblique grid: axes as `codes`, turned by `angles` in degrees."""
    directions = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
    axes = np.zeros((3, 3))
    for column, code in enumerate(codes):
        row, sign = directions[code]
        axes[row, column] = sign
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ axes * spacing
    affine[:3, 3] = centre - affine[:3, :3] @ (np.array(shape) - 1) / 2
    return affine


def save(path, shape, affine, seed):
    noise = np.random.default_rng(seed).uniform(0, 1, shape)
    data = gaussian_filter(noise, 1.5)
    write_volume(path, (100 * (data - data.min()) / np.ptp(data)).astype("f4"), affine=affine)
    return read_volume(path)


@pytest.fixture
def pair(tmp_path):
    """A fixed image, oblique RAS, and a moving image, LIA; both of anisotropic voxels."""
    shapes = (22, 18, 20), (26, 21, 24)
    fixed = placed("RAS", (1.5, 2.0, 1.25), (10, -5, 15), (5, -8, 12), shapes[0])
    moving = placed("LIA", (1.25, 1.75, 1.5), (0, 8, 0), (2, -4, 9), shapes[1])
    return SimpleNamespace(
        fixed=save(tmp_path / "fixed.nii.gz", shapes[0], fixed, 0),
        moving=save(tmp_path / "moving.nii.gz", shapes[1], moving, 1),
        folder=tmp_path,
    )


@pytest.fixture
def affine():
    """A rotation, scaling and shift without any symmetry."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("zyx", (12, -7, 5), degrees=True).as_matrix()
    matrix[:3, :3] *= (1.05, 0.93, 1.1)
    matrix[:3, 3] = 2.0, -1.5, 3.25
    return Affine(matrix)


@pytest.fixture
def warp(pair, affine):
    """An affine and a smooth displacement of unlike components, as one chain."""
    x = np.moveaxis(np.indices(pair.fixed.shape), 0, -1) / np.array(pair.fixed.shape)
    field = np.stack(
        [2 * np.sin(5 * x[..., 1]), 1.5 * np.cos(4 * x[..., 2]), 1 + np.sin(6 * x[..., 0])], -1
    )
    return compose(affine, Displacement(field, pair.fixed.affine))
