import json
import shutil

import nibabel
import numpy as np
import pytest
from registration_runs import scan, write_run

from synthtf.cli.main import main
from synthtf.data.transforms import Affine
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import read_volume
from synthtf.inference.applying import apply_transform
from synthtf.interop.transform_files import read_transform


def pose():
    matrix = np.eye(4)
    matrix[:2, :2] = [[0.96, -0.28], [0.28, 0.96]]
    matrix[:3, 3] = (6, -4, 5)
    return Affine(matrix)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs, a fixed scan, and two moving ones of which the first has another orientation."""
    folder = tmp_path_factory.mktemp("data ü")
    for kind in ("affine", "joint", "deformable"):
        write_run(folder / kind, kind, shift=(0.5, 0, 0))
    for name, volume in (
        ("fixed", scan()),
        ("moving/a", scan(pose(), axes="LPS")),
        ("moving/b", scan(pose())),
    ):
        write_volume(folder / f"{name}.nii.gz", volume.data, affine=volume.affine)
    return folder


def run(folder, *words, moving="moving/a.nii.gz", model="joint"):
    fixed = folder / "fixed.nii.gz"
    # The networks of these runs find what is known; refining would find something else.
    words = ["register", folder / moving, fixed, "--model", folder / model, "--no-refine", *words]
    return main([str(word) for word in words])


def error(path, truth):
    points = np.random.default_rng(0).uniform(-30, 30, (50, 3))
    found = read_transform(path)(points)
    return np.linalg.norm(found - truth(points), axis=-1).max()


def difference(a, b):
    return np.abs(a - b).mean()


def test_writes_moved_scans_and_transforms(folder, tmp_path, capsys):
    outputs = ("-o", tmp_path / "m.nii.gz", "-O", tmp_path / "i.nii.gz")
    transforms = ("-t", tmp_path / "t.lta", "-T", tmp_path / "u.lta")
    assert run(folder, *outputs, *transforms, model="affine") == 0
    assert capsys.readouterr().err == ""
    assert error(tmp_path / "t.lta", pose()) < 1.5
    assert error(tmp_path / "u.lta", pose().inverse()) < 1.5
    moving, fixed = (read_volume(folder / f"{name}.nii.gz") for name in ("moving/a", "fixed"))
    moved, inverse = (read_volume(tmp_path / f"{name}.nii.gz") for name in "mi")
    np.testing.assert_array_equal(moved.affine, fixed.affine)
    np.testing.assert_array_equal(inverse.affine, moving.affine)
    still = apply_transform(moving, Affine(np.eye(4)), like=fixed)
    assert difference(moved.data, fixed.data) < 0.3 * difference(still.data, fixed.data)
    assert difference(inverse.data, moving.data) < 0.02


def test_a_warp_is_the_moved_image_again(folder, tmp_path):
    assert run(folder, "-o", tmp_path / "m.nii.gz", "-t", tmp_path / "t.nii.gz") == 0
    moving, moved = read_volume(folder / "moving/a.nii.gz"), read_volume(tmp_path / "m.nii.gz")
    again = apply_transform(moving, read_transform(tmp_path / "t.nii.gz"), like=moved)
    assert difference(again.data, moved.data) < 1e-3
    assert error(tmp_path / "t.nii.gz", pose()) == pytest.approx(2, abs=0.5)


def test_the_method_and_the_regularization_are_passed_on(folder, tmp_path):
    assert run(folder, "-t", tmp_path / "a.lta", "-m", "affine") == 0
    assert error(tmp_path / "a.lta", pose()) < 1.5
    assert run(folder, "-t", tmp_path / "w.nii.gz", "-r", "0.25") == 0
    assert error(tmp_path / "w.nii.gz", pose()) == pytest.approx(1, abs=0.5)


def test_header_only_keeps_the_voxels(folder, tmp_path):
    assert run(folder, "-H", "-m", "affine", "-o", tmp_path / "m.nii.gz") == 0
    moving, moved = (
        nibabel.load(path) for path in (folder / "moving/a.nii.gz", tmp_path / "m.nii.gz")
    )
    np.testing.assert_array_equal(moved.get_fdata(), moving.get_fdata())
    np.testing.assert_allclose(pose().matrix @ moved.affine, moving.affine, atol=1.5)


def test_both_meet_in_the_middle(folder, tmp_path):
    outputs = ("-o", tmp_path / "m.nii.gz", "-O", tmp_path / "f.nii.gz")
    assert run(folder, "-M", *outputs, model="affine") == 0
    moved, fixed = (read_volume(tmp_path / f"{name}.nii.gz") for name in "mf")
    np.testing.assert_array_equal(moved.affine, fixed.affine)
    still = read_volume(folder / "fixed.nii.gz")
    assert difference(moved.data, fixed.data) < 0.5 * difference(fixed.data, still.data)


def test_an_affine_run_comes_before_a_deformable_one(folder, tmp_path):
    first = ("--affine", folder / "affine")
    assert run(folder, "-t", tmp_path / "t.nii.gz", *first, model="deformable") == 0
    assert error(tmp_path / "t.nii.gz", pose()) == pytest.approx(2, abs=0.5)


def test_figure_and_dice(folder, tmp_path, capsys):
    """The scans, rounded, are their own labels."""
    for name in ("moving/a", "fixed"):
        volume = read_volume(folder / f"{name}.nii.gz")
        path = tmp_path / f"{name[-1]}.nii.gz"
        write_volume(path, np.round(volume.data * 8).astype("int32"), affine=volume.affine)
    labels = ("--labels", tmp_path / "a.nii.gz", tmp_path / "d.nii.gz")
    assert run(folder, "--figure", tmp_path / "x.png", *labels, model="affine") == 0
    assert (tmp_path / "x.png").read_bytes()[:4] == b"\x89PNG"
    words = capsys.readouterr().out.split()
    before, after = float(words[words.index("before,") - 1]), float(words[-2])
    assert before < 0.6 < 0.9 < after


def test_a_folder_of_scans_with_a_bad_one(folder, tmp_path, capsys):
    (folder / "moving" / "c.nii.gz").write_bytes(b"no scan")
    try:
        status = run(folder, "-o", tmp_path / "m", "-t", tmp_path / "t", moving="moving")
    finally:
        (folder / "moving" / "c.nii.gz").unlink()
    assert status == 1
    bad, summary = capsys.readouterr().err.splitlines()
    assert bad.startswith(f"synthtf register: {folder / 'moving' / 'c.nii.gz'}: ")
    assert summary.startswith("synthtf register: 2 done, 1 failed in ")
    names = {path.name for path in (tmp_path / "m").iterdir()}
    assert names == {f"{n}_to_fixed_moved.{e}" for n in "ab" for e in ("nii.gz", "json")}
    assert (tmp_path / "t" / "a_to_fixed_trans.nii.gz").is_file()


def test_what_is_done_is_skipped(folder, tmp_path, capsys):
    words = ("-o", tmp_path / "m", "-t", tmp_path / "t")
    assert run(folder, *words, moving="moving", model="affine") == 0
    (tmp_path / "t" / "b_to_fixed_trans.lta").unlink()
    before = (tmp_path / "m" / "a_to_fixed_moved.nii.gz").stat().st_mtime_ns
    capsys.readouterr()
    assert run(folder, *words, "--skip-existing", moving="moving", model="affine") == 0
    assert "1 done, 1 skipped, 0 failed" in capsys.readouterr().err
    assert (tmp_path / "m" / "a_to_fixed_moved.nii.gz").stat().st_mtime_ns == before
    assert (tmp_path / "t" / "b_to_fixed_trans.lta").is_file()


def test_what_another_model_made_is_made_again(folder, tmp_path, capsys):
    words = ("-t", tmp_path / "t", "--skip-existing")
    assert run(folder, *words, moving="moving", model="affine") == 0
    facts = json.loads((tmp_path / "t" / "a_to_fixed_trans.lta.json").read_text())
    assert facts["Moving"] == str(folder / "moving/a.nii.gz")
    assert facts["Fixed"] == str(folder / "fixed.nii.gz")
    assert facts["ModelFolder"] == str(folder / "affine")
    assert facts["Command"].startswith("synthtf register ")
    capsys.readouterr()
    assert run(folder, *words, "-m", "affine", moving="moving", model="joint") == 0
    assert "2 done, 0 failed" in capsys.readouterr().err


def test_without_json_files(folder, tmp_path):
    assert run(folder, "-t", tmp_path / "t.lta", "--no-sidecar", model="affine") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["t.lta"]


def register(*words):
    return main(["register", *map(str, words), "--no-refine"])


def test_a_table_of_pairs(folder, tmp_path, capsys):
    table = tmp_path / "pairs.tsv"
    rows = [
        ("moving", "fixed", "name"),
        (folder / "moving/a.nii.gz", folder / "fixed.nii.gz", "first"),
        (folder / "fixed.nii.gz", folder / "moving/b.nii.gz", ""),
        (folder / "gone.nii.gz", folder / "fixed.nii.gz", "lost"),
    ]
    table.write_text("\n".join("\t".join(map(str, row)) for row in rows) + "\n")
    model = ("--model", folder / "affine")
    assert register("--pairs", table, "-t", tmp_path / "t", *model) == 1
    bad, summary = capsys.readouterr().err.splitlines()
    assert "gone.nii.gz: " in bad and "2 done, 1 failed in" in summary
    assert error(tmp_path / "t" / "first_trans.lta", pose()) < 1.5
    assert error(tmp_path / "t" / "fixed_to_b_trans.lta", pose().inverse()) < 1.5
    assert not (tmp_path / "t" / "lost_trans.lta").exists()


def test_a_bids_data_set_becomes_derivatives(folder, tmp_path, capsys):
    raw, out = tmp_path / "raw", tmp_path / "out"
    (raw / "sub-1" / "anat").mkdir(parents=True)
    for name, suffix in (("moving/a", "T1w"), ("fixed", "FLAIR")):
        shutil.copy(folder / f"{name}.nii.gz", raw / f"sub-1/anat/sub-1_{suffix}.nii.gz")
    (raw / "dataset_description.json").write_text('{"Name": "Study"}')
    words = ("-o", out, "-t", out, "-T", out, "--model", folder / "affine")
    suffixes = ("--moving-suffix", "T1w", "--fixed-suffix", "FLAIR")
    assert register(raw, *suffixes, *words) == 0
    assert capsys.readouterr().err == ""
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    moved = "sub-1/anat/sub-1_space-FLAIR_desc-registered_T1w"
    transforms = [
        f"sub-1/anat/sub-1_from-{way}_mode-image_xfm" for way in ("T1w_to-FLAIR", "FLAIR_to-T1w")
    ]
    assert files == {
        ".bidsignore",
        "README.md",
        "dataset_description.json",
        *(f"{moved}.{ending}" for ending in ("nii.gz", "json")),
        *(f"{name}.{ending}" for name in transforms for ending in ("lta", "json")),
    }
    assert error(out / f"{transforms[0]}.lta", pose()) < 1.5
    facts = json.loads((out / f"{moved}.json").read_text())
    sources = [f"bids:raw:sub-1/anat/sub-1_{suffix}.nii.gz" for suffix in ("T1w", "FLAIR")]
    assert (facts["Sources"], facts["SpatialReference"]) == (sources, sources[1])
    # All scans of a subject to its first, which is the same here.
    assert register(raw, *words, "--skip-existing") == 0


def test_hounsfield_units_are_passed_on(folder, tmp_path, monkeypatch):
    seen = []

    def note(*scans, ct, **options):
        seen.append(ct)
        raise ValueError("enough")

    monkeypatch.setattr("synthtf.inference.cohorts.registering.register", note)
    for word in ("moving", "both"):
        assert run(folder, "-t", tmp_path / "t.lta", "--ct", word) == 1
    assert seen == [("moving",), ("moving", "fixed")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "expected at least one output"),
        (("-o", "x.nii.gz", "-r", "1"), "λ must lie in"),
        (("-o", "x.nii.gz", "-n", "3"), "at least 5 integration steps"),
        (("-H", "-o", "x.nii.gz"), "only a rigid or affine transform fits a header"),
        (("-t", "x.lta", "-i", "none.lta"), "none.lta"),
        (("-o", "x.nii.gz", "--affine", "none"), "none"),
        (("-o", "x.nii.gz", "--pairs", "t.tsv"), "either MOVING and FIXED, or a table"),
        (("-t", "x.png"), "x.png: unknown ending; it must be one of .lta, .txt"),
        (("-o", "x.nii.gz", "-t", "x.nii.gz"), "would be written to one file"),
    ],
)
def test_wrong_usage_is_one_line(folder, words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(folder, *words) == 2
    text = capsys.readouterr().err
    assert message in text and text.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_affine_run_cannot_warp(folder, tmp_path, capsys):
    assert run(folder, "-o", tmp_path / "x.nii.gz", "-m", "joint", model="affine") != 0
    assert "can do affine, rigid. Received: method='joint'" in capsys.readouterr().err
