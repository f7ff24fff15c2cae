"""Reports: volumes, sides, masks, grids, geometry and provenance."""

import math
import os
from pathlib import Path

import numpy as np
import pytest

from synthtf.data.label_table import LabelTable
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import Volume
from synthtf.reports.measure import report

DATA = Path(os.environ.get("SYNTHTF_DATA", Path(__file__).parents[3] / "shared" / "data"))
AFFINE = np.diag([-1.0, 1.0, 2.0, 1.0])  # LAS


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "labels.tsv"
    path.write_text(
        "id\tname\ttissue\tbrain\n10\tleft thalamus\tgrey\tyes\n49\tright thalamus\tgrey\tyes\n"
        "16\tbrain stem\tstem\tyes\n24\tfluid\tCSF\tcsf\n99\tscalp\toutside\tno\n"
    )
    return LabelTable.read(path)


def scan(affine=AFFINE, shape=(24, 24, 24)):
    return Volume(np.random.default_rng(0).uniform(0, 9, shape).astype(np.float32), affine)


def segmentation(affine=AFFINE, shape=(24, 24, 24)):
    labels = np.zeros(shape, np.int32)
    labels[14:18, 8:12, 8:12] = 10  # the first axis runs to the left
    labels[4:10, 8:12, 8:12] = 49
    labels[10:14, 8:12, 4:8] = 16
    labels[10:12, 14:16, 14:16] = 24
    labels[2:4, 18:20, 18:20] = 99
    return Volume(labels, affine)


def test_volumes_of_left_and_right(table):
    found = report(scan(), segmentation(), table)
    thalamus, stem, fluid, scalp = found.structures
    assert (thalamus.name, thalamus.labels, thalamus.volumes) == ("thalamus", (10, 49), (128, 192))
    assert thalamus.asymmetry == pytest.approx(-40)
    assert (stem.name, stem.labels, stem.volume) == ("brain stem", (16,), 128)
    assert math.isnan(stem.asymmetry)
    assert (fluid.volume, scalp.volume) == (16, 16)
    assert (found.total_name, found.total) == ("brain", 448)
    assert found.groups == {"grey": 320, "stem": 128, "CSF": 16}
    assert not found.is_mask
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith("small volume (brain): 0.448 mL")


def test_one_side_alone_keeps_its_row(table):
    labels = segmentation()
    labels.data[labels.data == 49] = 0
    first = report(scan(), labels, table).structures[0]
    assert (first.labels, first.volumes, first.asymmetry) == ((10, 49), (128, 0), 200)


def test_without_a_table_labels_are_numbers():
    found = report(scan(), segmentation())
    assert [s.name for s in found.structures][:2] == ["label 10", "label 16"]
    assert (found.total_name, found.total) == ("all labels", 480)
    assert found.groups["label 16"] == 128
    assert not any("table" in warning for warning in found.warnings)


def test_values_out_of_the_table_are_named_as_such(table):
    labels = segmentation()
    labels.data[12, 20, 4] = 77
    found = report(scan(), labels, table)
    assert found.structures[-2].name == "label 77 (not in the table)"
    assert "labels that the table does not list: 77 (2 mm³)" in found.warnings


@pytest.mark.parametrize("value", [1, 255])
def test_a_binary_label_map_is_a_mask(table, value):
    labels = segmentation()
    mask = Volume((labels.data > 0).astype(np.int32) * value, labels.affine)
    found = report(scan(), mask, table)
    assert found.is_mask
    assert [(s.name, s.labels, s.volume) for s in found.structures] == [("mask", (value,), 480)]
    assert (found.total_name, found.total, found.groups) == ("mask", 480, {})


def test_one_label_that_the_table_names_is_no_mask(table):
    labels = segmentation()
    labels.data[labels.data != 16] = 0
    found = report(scan(), labels, table)
    assert not found.is_mask
    assert found.structures[0].name == "brain stem"


def test_an_empty_segmentation_has_a_report(table):
    empty = Volume(np.zeros((24, 24, 24), np.int32), AFFINE)
    found = report(scan(), empty, table)
    assert found.structures == ()
    assert found.warnings == ("every voxel is background",)
    assert found.view.mosaics(3, 40)


def test_another_grid_is_resampled_and_volumes_are_its_own(table):
    fine = np.diag([-0.5, 0.5, 1.0, 1.0])
    fine[:3, 3] = 0.25, -0.25, -0.5
    labels = np.kron(segmentation().data, np.ones((2, 2, 2), np.int32))
    found = report(scan(), Volume(labels, fine), table)
    assert found.structures[0].volumes == (128, 192)
    assert any("different grids" in warning for warning in found.warnings)
    whole = report(scan(), segmentation(), table)
    assert np.array_equal(found.view.labels, whole.view.labels)


def test_a_header_that_has_moved_is_told(table):
    moved = AFFINE.copy()
    moved[0, 3] = 3
    warnings = report(scan(), segmentation(moved), table).warnings
    assert any("different places in space" in warning for warning in warnings)


def test_a_segmentation_elsewhere_is_refused(table):
    far = AFFINE.copy()
    far[0, 3] = 500
    with pytest.raises(ValueError, match="no label lies in its field of view"):
        report(scan(), segmentation(far), table)


def test_frames_and_images_are_refused():
    series = Volume(np.zeros((4, 4, 4, 2), np.float32), np.eye(4), ndim=3)
    with pytest.raises(ValueError, match="expected one frame"):
        report(series, segmentation())
    with pytest.raises(ValueError, match="is this an image"):
        report(scan(), scan())


def test_a_two_dimensional_scan_is_a_slice():
    found = report(Volume(scan().data[..., 8], AFFINE), Volume(segmentation().data[..., 8], AFFINE))
    assert found.structures[0].volumes == (4 * 4 * 2,)
    assert [m.plane for m in found.view.mosaics(1, 40)] == ["axial"]


def test_geometry_of_both(tmp_path):
    angle = np.deg2rad(10)
    turned = AFFINE.copy()
    turned[1:3, 1:3] = [
        [np.cos(angle), -2 * np.sin(angle)],
        [np.sin(angle), 2 * np.cos(angle)],
    ]
    write_volume(tmp_path / "a.nii.gz", scan().data, affine=turned)
    found = report(tmp_path / "a.nii.gz", segmentation(turned))
    geometry = {key: values[0] for key, values in found.geometry.items()}
    assert found.name == "a"
    assert geometry["file"] == str(tmp_path / "a.nii.gz")
    assert geometry["voxels"] == "24 x 24 x 24"
    assert geometry["voxel size"] == "1 x 1 x 2 mm"
    assert geometry["field of view"] == "24 x 24 x 48 mm"
    assert geometry["orientation"] == "LAS, oblique by 10°"
    assert geometry["stored as"] == "float32"
    assert found.geometry["values"][1] == "0 to 99"


def save(folder, text=None):
    write_volume(folder / "a.nii.gz", scan().data, affine=AFFINE)
    write_volume(folder / "a_seg.nii.gz", segmentation().data, affine=AFFINE)
    if text is not None:
        (folder / "a_seg.json").write_bytes(text)
    return report(folder / "a.nii.gz", folder / "a_seg.nii.gz")


def test_provenance(tmp_path):
    assert save(tmp_path).provenance is None
    assert save(tmp_path, b'{"model": {"steps": 3}, "seed": 1}').provenance == {
        "model": {"steps": 3},
        "seed": 1,
    }


@pytest.mark.parametrize("text", [b"[1]", b"{", b"\xff\xfe\x00", b"", b"[" * 100_000])
def test_provenance_that_is_none_is_told(tmp_path, text):
    found = save(tmp_path, text)
    assert found.provenance is None
    assert [w for w in found.warnings if w.startswith("a_seg.json is not shown")]


def test_notes_of_the_files_are_warnings(tmp_path):
    data = scan().data
    data[0, 0, 0] = np.nan
    write_volume(tmp_path / "a.nii.gz", data, affine=AFFINE)
    found = report(tmp_path / "a.nii.gz", segmentation())
    assert found.warnings[0] == "a.nii.gz: 1 NaN or infinite voxels were set to 0"


def test_a_real_segmentation_is_free_of_warnings():
    if not DATA.is_dir():
        pytest.skip(f"no data in {DATA}")
    table = LabelTable.read(DATA / "label_maps" / "labels.tsv")
    scans = DATA / "scans"
    found = report(scans / "b_T1_head.nii.gz", scans / "b_labels.nii.gz", table)
    assert found.warnings == ()
    assert 1.3e6 < found.total < 1.5e6
    assert all(abs(s.asymmetry) < 100 for s in found.structures if len(s.labels) > 1)
