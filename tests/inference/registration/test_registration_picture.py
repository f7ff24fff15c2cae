from dataclasses import replace

import numpy as np
import pytest
from matplotlib.image import imread
from registration_runs import scan

from synthtf.data.transforms import Affine
from synthtf.data.volumes import Volume
from synthtf.inference.registration.picture import draw_registration, overlap


def turn(scale=1.0):
    matrix = np.diag([scale, scale, scale, 1.0])
    matrix[:3, 3] = (8, -6, 4)
    return Affine(matrix)


def labelled(transform=None):
    volume = scan(transform)
    return replace(volume, data=np.round(volume.data * 8).astype("int32"))


def test_overlap_rises_to_one_after_the_true_transform():
    truth = turn()
    moving, fixed = labelled(truth), labelled()
    before, after = overlap(moving, fixed), overlap(moving, fixed, truth)
    assert before < 0.7
    assert after > 0.95


def test_overlap_counts_labels_that_one_map_lacks():
    moving = labelled()
    fixed = replace(moving, data=np.where(moving.data == 3, 0, moving.data))
    values = set(np.unique(moving.data)) - {0}
    assert overlap(moving, fixed) == pytest.approx((len(values) - 1) / len(values))
    empty = replace(moving, data=np.zeros_like(moving.data))
    assert np.isnan(overlap(empty, empty))


def test_the_picture_of_an_oblique_scan_shows_the_volume_change(tmp_path):
    """What the axes of the voxels are does not change the determinant."""
    fixed = scan()
    angle = np.deg2rad(20)
    turned = np.eye(4)
    turned[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    oblique = Volume(fixed.data, turned @ fixed.affine)
    for name, volume in (("straight", fixed), ("oblique", oblique)):
        path = draw_registration(tmp_path / f"{name}.png", fixed, volume, turn(1.15))
        picture = imread(path)[..., :3]
        last = picture[: round(0.85 * len(picture)), round(0.77 * picture.shape[1]) :]
        assert (last[..., 2] - last[..., 0]).mean() > 0.1


def test_no_overlap_is_drawn_without_a_warning(tmp_path, recwarn):
    far = np.eye(4)
    far[:3, 3] = 1000
    path = draw_registration(tmp_path / "x.png", scan(), scan(), Affine(far))
    assert path.is_file() and not recwarn.list
