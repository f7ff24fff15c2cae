import importlib
from dataclasses import replace

import numpy as np
import pytest
from registration_runs import scan, write_run
from scipy.spatial.transform import Rotation

from synthtf.data.transforms import Affine
from synthtf.inference.registration import result
from synthtf.inference.registration.registering import register
from synthtf.networks import DetectorConfig, UNetConfig, affine_detector

module = importlib.import_module("synthtf.inference.registration.registering")
POINTS = np.random.default_rng(1).uniform(-30, 30, (50, 3))


def pose(angles=(15, -10, 20), shift=(8.0, -6.0, 5.0), scale=(1.0, 1.0, 1.0)):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ np.diag(scale)
    matrix[:3, 3] = shift
    return Affine(matrix)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return {
        kind: write_run(folder / kind, kind) for kind in ("affine", "rigid", "deformable", "joint")
    }


def distance(a, b, points=POINTS):
    return np.linalg.norm(a(points) - b(points), axis=-1).max()


@pytest.mark.parametrize(
    ("kind", "axes"),
    [
        ("affine", "LPS"),
        ("rigid", "RAS"),
        pytest.param("affine", "RAS", marks=pytest.mark.slow),
        pytest.param("rigid", "LPS", marks=pytest.mark.slow),
    ],
)
def test_finds_a_known_transform(runs, kind, axes):
    truth = pose(scale=(1.1, 0.95, 1.05) if kind == "affine" else (1, 1, 1))
    found = register(scan(truth, axes=axes), scan(), runs[kind])
    assert distance(found.forward, truth) < 2
    assert distance(found.inverse, truth.inverse()) < 2
    np.testing.assert_allclose(found.inverse(found.forward(POINTS)), POINTS, atol=1e-6)
    assert distance(truth, Affine(np.eye(4))) > 15


def test_rigid_from_an_affine_run_is_rigid(runs):
    truth = pose(scale=(1.1, 1.1, 1.1))
    found = register(scan(truth), scan(), runs["affine"], method="rigid").forward
    turn = found.matrix[:3, :3]
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-6)
    assert np.linalg.det(turn) > 0


@pytest.mark.parametrize("method", ["affine", "joint"])
def test_the_middle_is_halfway(runs, method):
    found = register(scan(pose()), scan(), runs["joint"], method=method, refine=False)
    through = found.middle_to_moving(found.middle_to_fixed.inverse()(POINTS))
    np.testing.assert_allclose(through, found.forward(POINTS), atol=0.02)


def test_a_velocity_moves_by_its_size(runs):
    """One voxel of half the resolution is two of 2 mm."""
    found = register(scan(), scan(), runs["deformable"], refine=False)
    np.testing.assert_allclose(found.forward(POINTS) - POINTS, [[4.0, 0, 0]] * 50, atol=0.01)
    np.testing.assert_allclose(found.inverse(POINTS) - POINTS, [[-4.0, 0, 0]] * 50, atol=0.01)
    np.testing.assert_allclose(found.middle_to_moving(POINTS) - POINTS, [[2.0, 0, 0]] * 50, 0, 0.01)
    np.testing.assert_allclose(found.middle_to_fixed(POINTS) - POINTS, [[-2.0, 0, 0]] * 50, 0, 0.01)


@pytest.mark.slow
def test_a_wrong_velocity_is_refined(runs):
    """The network moves a scan by 4 mm that is in place already."""
    balls = POINTS[np.abs(POINTS).max(1) < 24]
    found = register(scan(), scan(), runs["deformable"])
    assert np.linalg.norm(found.forward(balls) - balls, axis=1).mean() < 2
    np.testing.assert_allclose(found.inverse(found.forward(balls)), balls, atol=0.5)


@pytest.mark.parametrize(("overlap", "shift"), [(0.95, 2.0), (0.9, 0.0)])
def test_looks_count_only_between_scans_of_one_head(runs, monkeypatch, overlap, shift):
    voxel = np.eye(4)
    voxel[0, 3] = 1
    monkeypatch.setattr(module, "_posteriors", lambda network: True)
    monkeypatch.setattr(module, "overlap_of_maps", lambda *args: overlap)
    monkeypatch.setattr(module, "align_images", lambda *args: args[3] @ voxel)
    found = register(scan(), scan(), runs["affine"]).forward
    np.testing.assert_allclose(found(POINTS) - POINTS, [[shift, 0, 0]] * 50, atol=0.2)


@pytest.mark.parametrize(
    ("overlap", "asked", "method"),
    [(0.95, None, "rigid"), (0.9, None, "joint"), (0.95, "affine", "affine")],
)
def test_two_scans_of_one_head_are_registered_rigidly(runs, monkeypatch, overlap, asked, method):
    monkeypatch.setattr(module, "_posteriors", lambda network: True)
    monkeypatch.setattr(module, "overlap_of_maps", lambda *args: overlap)
    found = register(scan(pose()), scan(), runs["joint"], method=asked, refine=False)
    assert found.method == method
    if method == "rigid":
        turn = found.forward.matrix[:3, :3]
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-6)
        assert distance(found.forward, pose()) < 3


@pytest.mark.parametrize(
    ("angle", "asked", "looks", "alike"),
    [(5, None, 1, False), (25, None, 2, False), (5, "joint", 2, True), (5, "affine", 2, True)],
)
def test_before_a_warp_two_heads_are_only_brought_together(
    runs, monkeypatch, angle, asked, looks, alike
):
    """How often a detector looks, and whether the images are to look alike."""
    seen = []

    def look(network, **images):
        seen.append("look")
        return call(network, **images)

    def align(*args):
        seen.append("alike")
        return args[3]

    call = module._call
    monkeypatch.setattr(module, "_call", look)
    monkeypatch.setattr(module, "align_images", align)
    monkeypatch.setattr(module, "_posteriors", lambda network: True)
    monkeypatch.setattr(module, "overlap_of_maps", lambda *args: 0.9)
    monkeypatch.setattr(module, "_velocity", lambda *args: np.zeros((40, 44, 40, 3)))
    truth = pose((angle, 0, 0), (2.0, -3.0, 4.0))
    found = register(scan(truth), scan(), runs["joint"], method=asked)
    assert (seen.count("look"), "alike" in seen) == (looks, alike)
    assert distance(found.forward, truth) < 2


def test_transforms_are_made_when_asked_for(runs, monkeypatch):
    shares = []

    def displace(velocity, shape, steps):
        shares.append(velocity.mean())
        return make(velocity, shape, steps)

    make = result._displacement
    monkeypatch.setattr(result, "_displacement", displace)
    found = register(scan(), scan(), runs["deformable"], refine=False)
    assert not shares
    assert found.forward is found.forward
    assert len(shares) == 1
    assert found.middle_to_fixed
    assert shares[1] == pytest.approx(-shares[0] / 2)


def test_posteriors_are_told_from_other_maps(runs):
    assert not module._posteriors(runs["affine"].task_model)
    backbone = UNetConfig(features=2, levels=1, mixture_channels=1)
    assert module._posteriors(affine_detector(3, "affine", DetectorConfig(4, backbone)))


def test_voxels_of_any_size_give_the_same_mm(runs):
    moving = scan(spacing=(1.0, 2.0, 4.0), shape=(150, 88, 40), axes="LPI")
    fixed = scan(spacing=(2.5, 2.5, 2.5), shape=(64, 70, 60))
    found = register(moving, fixed, runs["deformable"], refine=False)
    np.testing.assert_allclose(found.forward(POINTS) - POINTS, [[4.0, 0, 0]] * 50, atol=2.5)


def test_joint_composes_and_takes_regularization(runs):
    truth = pose()
    affine = register(scan(truth), scan(), runs["joint"], method="affine", refine=False)
    for weight in (0.25, 0.5):
        options = {"regularization": weight, "refine": False}
        found = register(scan(truth), scan(), runs["joint"], **options)
        middle = affine.middle_to_fixed.inverse()(POINTS)
        expected = affine.middle_to_moving(middle + np.array([8 * weight, 0, 0]))
        np.testing.assert_allclose(found.forward(POINTS), expected, atol=0.05)
        np.testing.assert_allclose(found.inverse(found.forward(POINTS)), POINTS, atol=0.01)


@pytest.mark.slow
def test_an_affine_run_and_a_deformable_one_are_joint(runs):
    """One voxel of half the resolution, after the affine transform, from the fixed scan's side."""
    truth = pose()
    options = {"refine": False}
    affine = register(scan(truth), scan(), runs["affine"], **options)
    found = register(scan(truth), scan(), runs["deformable"], affine=runs["affine"], **options)
    middle = affine.middle_to_fixed.inverse()(POINTS)
    expected = affine.middle_to_moving(middle + np.array([4.0, 0, 0]))
    np.testing.assert_allclose(found.forward(POINTS), expected, atol=0.05)
    options.update(affine=runs["affine"], method="affine")
    again = register(scan(truth), scan(), runs["deformable"], **options)
    np.testing.assert_allclose(again.forward.matrix, affine.forward.matrix, atol=1e-6)


@pytest.mark.parametrize(("affine", "model"), [("joint", "deformable"), ("affine", "affine")])
def test_refuses_runs_in_the_wrong_order(runs, affine, model):
    with pytest.raises(ValueError, match="Expected an affine or rigid run to come before"):
        register(scan(), scan(), runs[model], affine=runs[affine])


def test_hounsfield_units_are_clipped(runs):
    """What the window leaves is what an image in the window's units gives."""
    moving, fixed = scan(pose()), scan()
    tissue = 80 * moving.data + 900 * (moving.data > 0.95)
    hounsfield = replace(moving, data=np.where(moving.data > 0, tissue, -1000))
    window = replace(moving, data=np.minimum(80 * moving.data, 80))
    window.data[moving.data > 0.95] = 80
    found = register(hounsfield, fixed, runs["affine"], refine=False, ct=["moving"]).forward
    expected = register(window, fixed, runs["affine"], refine=False).forward
    assert distance(found, expected) < 1e-4
    with pytest.raises(ValueError, match='names "moving", "fixed" or both'):
        register(moving, fixed, runs["affine"], ct=["head"])


def test_starts_from_a_transform(runs):
    truth = pose(angles=(5, 0, 0))
    far = pose(angles=(0, 0, 0), shift=(300.0, 0, 0))
    moving = scan(truth)
    away = replace(moving, affine=far.matrix @ moving.affine)
    found = register(away, scan(), runs["affine"], init=far)
    assert distance(found.forward, lambda p: far(truth(p))) < 2
    assert distance(found.inverse, lambda p: truth.inverse()(far.inverse()(p))) < 2


@pytest.mark.parametrize(
    ("kind", "change", "options", "message"),
    [
        ("affine", {}, {"method": "joint"}, "can do affine, rigid. Received: method='joint'"),
        ("affine", {}, {"method": "bspline"}, "`method` must be one of"),
        ("joint", {}, {"regularization": 1.0}, r"λ must lie in \(0, 1\). Received: 1"),
        ("joint", {}, {"regularization": float("nan")}, "λ must lie in"),
        ("joint", {}, {"steps": 4}, "at least 5 integration steps, and at most 20. Received: 4"),
        ("affine", {"data": np.zeros((8, 8, 8), "float32")}, {}, "the image is empty"),
        ("affine", {"data": np.ones((8, 8), "float32"), "ndim": 2}, {}, "same number of axes"),
        ("affine", {"data": np.ones((8, 8, 8, 2), "float32"), "ndim": 3}, {}, "expected one chan"),
    ],
)
def test_refuses(runs, kind, change, options, message):
    with pytest.raises(ValueError, match=message):
        register(replace(scan(), **change), scan(), runs[kind], **options)


def test_refuses_no_overlap(runs):
    far = pose(shift=(500.0, 0, 0))
    with (
        pytest.warns(UserWarning, match="no voxel of the result"),
        pytest.raises(ValueError, match="no overlap"),
    ):
        register(scan(), scan(), runs["affine"], init=far)


def test_refuses_another_task(runs):
    run = write_run(runs["affine"].folder.parent / "other", "affine")
    run.update(task="segmentation")
    with pytest.raises(ValueError, match="Expected a run of the task 'registration'"):
        register(scan(), scan(), run.folder)
