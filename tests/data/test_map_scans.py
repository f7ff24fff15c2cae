import numpy as np
import pytest
from scipy import ndimage

from synthtf.data.label_maps import LabelMaps
from synthtf.data.map_scans import MapScan, pair_scans
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import Volume

SHAPES = {2: (12, 10), 3: (12, 10, 8)}


def head(ndim, seed=0, affine=None):
    """A label map, and a scan that is 10 times its labels plus a ramp."""
    labels = np.zeros(SHAPES[ndim], "int32")
    labels[3:9, 3:8] = 1 + seed
    labels[5:7, 4:6] = 2 + seed
    ramp = np.arange(labels.shape[0]).reshape(-1, *(1,) * (ndim - 1))
    scan = 10.0 * labels + ramp
    affine = np.eye(4) if affine is None else affine
    return Volume(labels, affine), Volume(scan.astype("float32"), affine)


def write(folder, name, volume):
    folder.mkdir(exist_ok=True)
    write_volume(folder / name, volume.data, affine=volume.affine)
    return folder / name


def normalized(image):
    low, high = np.percentile(image, (0.5, 99.5))
    return np.clip((image - low) / (high - low), 0, 1)


@pytest.mark.parametrize("ndim", [2, 3])
def test_batches_hold_the_scan_of_each_map(ndim):
    pairs = [head(ndim, seed) for seed in range(3)]
    maps = LabelMaps(
        [labels.data for labels, _ in pairs], batch_size=3, scans=[scan.data for _, scan in pairs]
    )
    (batch,) = maps[0]
    assert batch["scan"].shape == batch["labels"].shape and batch["scan"].dtype == "float32"
    for number, scan in enumerate(batch["scan"]):
        expected = normalized(pairs[maps.map_index(number)][1].data)
        np.testing.assert_allclose(scan[..., 0], expected, atol=1e-6)
    assert set(LabelMaps([pairs[0][0].data])[0][0]) == {"labels", "key"}


@pytest.mark.parametrize("cached", [True, False])
def test_a_scan_of_another_grid_lies_where_its_labels_do(tmp_path, monkeypatch, cached):
    """Half the voxel size, another orientation, another field of view, another place in the box."""
    labels, _ = head(3)
    fine = np.zeros((36, 30, 26), "float32")
    affine = np.diag([-0.5, 0.5, 0.5, 1])
    affine[:3, 3] = 13.25, -1.75, -1.75
    index = np.stack(np.meshgrid(*map(np.arange, fine.shape), indexing="ij"), -1)
    points = index @ affine[:3, :3].T + affine[:3, 3]
    place = np.clip(np.rint(points), 0, np.array(SHAPES[3]) - 1).astype(int)
    fine[:] = labels.data[tuple(np.moveaxis(place, -1, 0))]
    maps = write(tmp_path / "maps", "a.nii.gz", labels)
    scan = write(tmp_path / "scans", "a.nii.gz", Volume(fine, affine))
    if not cached:
        monkeypatch.setattr(LabelMaps, "cache_bytes", 0)
    data = LabelMaps(maps, shape=(16, 12, 10), scans=scan)
    (batch,) = data[0]
    found, expected = batch["scan"][0, ..., 0], batch["labels"][0, ..., 0]
    assert np.abs(found - expected / 2).mean() < 0.04
    centres = [ndimage.center_of_mass(image) for image in (found, expected)]
    np.testing.assert_allclose(*centres, atol=0.15)


def test_what_a_scan_does_not_show_is_zero():
    labels, scan = head(3)
    part = Volume(scan.data[:7] + 50, scan.affine)
    found = MapScan(name="part").conform(part, labels)
    assert not found[8:].any() and found[1:6, 4, 4].all()


def test_larger_voxels_average_what_is_in_them():
    noise = np.random.default_rng(0).normal(size=(24, 20, 16)).astype("float32")
    fine = np.diag([0.5, 0.5, 0.5, 1])
    fine[:3, 3] = -0.25
    labels, _ = head(3)
    exact = MapScan(name="noise").conform(Volume(noise, fine), labels)
    coarse = noise.reshape(12, 2, 10, 2, 8, 2).mean((1, 3, 5))
    assert (
        np.corrcoef(exact[1:-1, 1:-1, 1:-1].ravel(), coarse[1:-1, 1:-1, 1:-1].ravel())[0, 1] > 0.9
    )


def test_folders_pair_by_names_and_lists_by_order(tmp_path):
    heads = {name: head(3, seed) for seed, name in enumerate(("a", "b"))}
    maps = [write(tmp_path / "maps", f"{n}_seg.nii.gz", h[0]) for n, h in heads.items()]
    scans = [write(tmp_path / "scans", f"{n}.nii.gz", h[1]) for n, h in heads.items()]
    expected = dict(zip(maps, scans, strict=True))
    assert pair_scans(tmp_path / "maps", tmp_path / "scans") == expected
    assert pair_scans(maps, tmp_path / "scans") == expected
    lists = []
    for name, paths in (("maps.txt", maps), ("scans.txt", scans[::-1])):
        (tmp_path / name).write_text("\n".join(map(str, paths)))
        lists.append(tmp_path / name)
    assert pair_scans(*lists) == dict(zip(maps, scans[::-1], strict=True))
    data = LabelMaps(maps[:1], scans=pair_scans(*lists))
    np.testing.assert_allclose(data[0][0]["scan"][0, ..., 0], normalized(heads["b"][1].data), 1e-5)


def far(volume, mm=200):
    moved = volume.affine.copy()
    moved[0, 3] += mm
    return Volume(volume.data, moved)


def test_scans_that_are_missing_or_of_another_head_are_named(tmp_path):
    labels, scan = head(3)
    maps = tmp_path / "maps"
    write(maps, "a.nii.gz", labels)
    write(maps, "b.nii.gz", labels)
    scans = tmp_path / "scans"
    write(scans, "a.nii.gz", scan)
    with pytest.raises(ValueError, match=r"b\.nii\.gz: there is no scan of its name"):
        LabelMaps(maps, scans=scans)
    write(scans, "b.nii.gz", far(scan))
    with pytest.raises(ValueError, match=r"scans.b\.nii\.gz shows 0% of .* the same head"):
        LabelMaps(maps, scans=scans)
    write(scans, "b.nii.gz", Volume(0 * scan.data, scan.affine))
    with (
        pytest.raises(ValueError, match=r"scans.b\.nii\.gz is constant"),
    ):
        LabelMaps(maps, scans=scans)


@pytest.mark.parametrize(
    ("scans", "message"),
    [
        ([np.ones((3, 3))], "scan of map 0 must be of the shape of its label map"),
        ([np.ones((3, 3))] * 2, "must be one scan per label map, 1. Received: 2"),
        ([np.full(SHAPES[2], np.nan)], "must be a path or a finite array"),
        (7, "`scans` must be a folder"),
        ({}, "map 0: there is no scan"),
    ],
)
def test_other_scans_are_refused(scans, message):
    with pytest.raises(ValueError, match=message):
        LabelMaps([head(2)[0].data], scans=scans)


def test_a_scan_has_the_axes_of_its_map():
    with pytest.raises(ValueError, match="flat is 2D, but its label map is 3D"):
        MapScan(name="flat").conform(head(2)[1], head(3)[0])
