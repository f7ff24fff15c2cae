import csv
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from synthtf.data import LabelTable, Volume, write_volume

SCRIPT = Path(__file__).parents[1] / "scripts" / "evaluate_scans.py"
AFFINE = np.array([[0, 0, 2, -40], [-2, 0, 0, 40], [0, 2, 0, -40], [0, 0, 0, 1.0]])  # PSR


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("evaluate_scans", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    # Registered for dataclasses, which look up the module that they are defined in.
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "evaluate_scans", module)
        spec.loader.exec_module(module)
        yield module


def head():
    """Left and right halves of an ellipsoid, labels 2 and 41, in PSR voxels of 2 mm."""
    i, j, k = np.indices((40, 40, 40))
    x, y, z = (AFFINE[:3, :3] @ np.stack([i, j, k]).reshape(3, -1) + AFFINE[:3, 3:]).reshape(
        3, 40, 40, 40
    )
    inside = (x / 26) ** 2 + (y / 32) ** 2 + (z / 24) ** 2 <= 1
    return np.where(inside, np.where(x < 0, 2, 41), 0).astype(np.int32)


@pytest.fixture
def data(tmp_path):
    """Three scans of the data, two of the same head, with truths."""
    for name in ("scans", "templates"):
        (tmp_path / name).mkdir()
    labels = head()
    image = (labels > 0).astype(np.float32)
    for name in ("b_T1_head", "d_T1_brain", "d_T2_brain"):
        write_volume(tmp_path / f"scans/{name}.nii.gz", image, affine=AFFINE)
    write_volume(tmp_path / "scans/b_labels.nii.gz", labels, affine=AFFINE)
    write_volume(tmp_path / "scans/d_brainmask.nii.gz", (labels > 0) * 1, affine=AFFINE)
    return tmp_path


@pytest.fixture
def run(tmp_path):
    """A run folder whose network calls bright voxels 2 in the left half of the volume, else 41."""
    import keras

    from synthtf.runs.run import Run
    from synthtf.synthesis import Recipe

    inputs = keras.Input((None, None, None, 1))
    bright = keras.layers.ReLU(max_value=1.0)(inputs)
    ones = keras.ops.ones_like(inputs)
    place = keras.ops.cumsum(ones, axis=1) / keras.ops.sum(ones, axis=1, keepdims=True)
    left = keras.ops.cast(place < 0.501, "float32")
    model = keras.Model(
        inputs, keras.ops.concatenate([1 - bright, bright * left, bright * (1 - left)], axis=-1)
    )
    rows = ["id\tname\tside\tpartner", "2\tleft\tleft\t41", "41\tright\tright\t2"]
    (tmp_path / "labels.tsv").write_text("\n".join(rows) + "\n")
    table = LabelTable.read(tmp_path / "labels.tsv")
    facts = {
        "task": "segmentation",
        "shape": [40, 40, 40],
        "spacing": [2.0, 2.0, 2.0],
        "multiple": 8,
        "output_labels": [0, 2, 41],
    }
    run = Run.create(tmp_path / "run", table, Recipe.preset("tutorial"), facts)
    run.save_model(model)
    return run


def test_ratios_of_volumes_are_of_the_structures(script):
    reference = np.array([2, 2, 41, 41, 10, 3])
    found = np.array([2, 2, 2, 0, 49, 0])
    ratios = script.volume_ratios(found, reference)
    assert (ratios["white matter"], ratios["thalamus"], ratios["cortex"]) == (0.75, 1, 0)
    assert np.isnan(ratios["putamen"])


def test_everything_is_measured_and_written(script, data, run, tmp_path, capsys):
    script.main([str(run.folder), "--data", str(data), "-o", str(tmp_path / "out"), "--overlays"])
    printed = capsys.readouterr()
    assert "skipped, absent" in printed.err
    assert "e_T2_head" in printed.err
    written = (tmp_path / "out" / "report.md").read_text()
    assert written.strip() == printed.out.strip()
    with (tmp_path / "out" / "dice.csv").open() as stream:
        rows = {
            (r["scan"], r["kind"], r["name"]): float(r["value"]) for r in csv.DictReader(stream)
        }
    assert rows["b_T1_head", "structure", "white matter"] > 0.95
    # A mirrored result would score zero here.
    assert rows["b_T1_head", "label", "2"] > 0.9
    assert rows["b_T1_head", "label", "41"] > 0.9
    assert np.isnan(rows["b_T1_head", "structure", "thalamus"])
    for kind in ("tissue", "closed", "all"):
        assert rows["d_T2_brain", "mask", kind] > 0.95
    assert "| d_T1_brain | d_T2_brain | 1.000 |" in written
    size = (tmp_path / "out" / "overlays.png").stat().st_size
    assert 1_000 < size < 1_500_000
    assert (tmp_path / "out" / "d_T1_brain_seg.png").is_file()


def test_a_folder_without_scans_is_refused(script, run, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        script.main([str(run.folder), "--data", str(tmp_path / "none")])
    assert caught.value.code == 2
    assert "none of the scans" in capsys.readouterr().err


def test_structures_are_the_pilots_fifteen(script):
    members = [label for labels in script.STRUCTURES.values() for label in labels]
    assert len(script.STRUCTURES) == 15
    assert len(members) == len(set(members)) == 31
    assert not {0, 24} & set(members)


def test_merged_sides_overlap_where_separate_ones_do_not(script):
    a, b = np.array([[2, 41, 0, 24]]), np.array([[41, 2, 0, 99]])
    found = script.structure_dice(a, b)
    assert found["white matter"] == 1
    assert np.isnan(found["cortex"])


def test_a_mask_on_another_grid_is_brought_to_the_scan(script, tmp_path):
    scan = Volume(head().astype(np.float32), AFFINE)
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = -45
    x, y, z = np.indices((91, 91, 91)) - 45.0
    inside = (x / 26) ** 2 + (y / 32) ** 2 + (z / 24) ** 2 <= 1
    write_volume(tmp_path / "mask.nii.gz", inside * 255, affine=affine)
    found = script.read_mask(tmp_path / "mask.nii.gz", scan)
    assert np.array_equal(found, head() > 0)


def test_thumbnails_are_ras_cubes_about_the_segmentation(script):
    labels = np.zeros((40, 40, 40), np.int32)
    labels[10:20, 25:35, 5:15] = 7  # towards the top and the left
    volume = Volume(labels, AFFINE)
    image, drawn = script.thumbnails(Volume(labels.astype(np.float32), AFFINE), volume)
    assert image.shape == drawn.shape == (140, 140, 140)
    centre = np.argwhere(drawn == 7).mean(0)
    np.testing.assert_allclose(centre, 69.5, atol=1)
    # No voxel of the block is lost at the edges of the scan.
    assert drawn.sum() == 7 * np.count_nonzero(image)


def test_a_scan_and_its_reference_must_share_a_grid(script, data, run):
    shifted = AFFINE.copy()
    shifted[0, 3] += 3
    write_volume(data / "scans/b_labels.nii.gz", head(), affine=shifted)
    case = next(case for case in script.CASES if case.name == "b_T1_head")
    with pytest.raises(ValueError, match="same grid"):
        script.evaluate_case(case, data, run)


def test_every_case_of_the_data_is_on_the_grid_of_its_truth(script, shared):
    from synthtf.data import read_geometry

    data = shared("data/scans").parent
    for case in script.CASES:
        shape, affine = read_geometry(data / case.image)
        if case.labels:
            other, move = read_geometry(data / case.labels)
            assert shape == other, case.name
            np.testing.assert_allclose(affine, move, atol=1e-3, err_msg=case.name)
        assert case.mask is None or (data / case.mask).is_file()


def test_summaries(script):
    bare = script.Result("x", 1.0, {}, {}, {}, {})
    assert bare.summary == "x"
    assert np.isnan(bare.mean_structures)
    full = script.Result("x", 1.0, {"a": 0.5, "b": float("nan")}, {}, {2: 0.25}, {})
    assert full.summary == "x: Dice 0.50"
    assert full.mean_labels == 0.25
