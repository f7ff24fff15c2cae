"""Tests of `synthtf-synthseg`, with small weights of our own in the published layout."""

import csv

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from synthseg_weights import write_all, write_unet

from synthtf.cli.published.synthseg import main, make_parser
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import read_volume
from synthtf.published.synthseg.labels import PARCELS, QUALITY_NAMES, TOTAL, VERSION_1, VERSION_2
from synthtf.published.synthseg.quality import quality_groups

FLAGS = {
    *("--i", "--o", "--parc", "--robust", "--fast", "--ct", "--vol", "--qc", "--post"),
    *("--resample", "--crop", "--autocrop", "--threads", "--cpu", "--v1", "--keepgeom"),
    *("--addctab", "--noaddctab", "--photo", "-h", "--help", "--model", "--max-memory"),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return write_all(tmp_path_factory.mktemp("models"), features=2, levels=2, sharpness=3.0)


@pytest.fixture(autouse=True)
def _no_folders(monkeypatch):
    """Nothing of the machine's, and environment variables that the command sets are put back."""
    for name in ("SYNTHTF_MODELS", "FREESURFER_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr("synthtf.cli.published.command.limit_threads", lambda count: None)
    monkeypatch.setattr("synthtf.cli.published.command.hide_gpus", lambda: None)


@pytest.fixture
def scan(tmp_path):
    rng = np.random.default_rng(0)
    data = gaussian_filter(rng.normal(size=(20, 22, 24)), 2)
    affine = np.array([[0, 0, -1.2, 3], [1, 0, 0, 4], [0, -0.8, 0, 5], [0, 0, 0, 1]])
    write_volume(tmp_path / "scan.nii.gz", (data * 300 + 40).astype("f4"), affine=affine)
    return tmp_path / "scan.nii.gz"


def read(path):
    with path.open(newline="") as stream:
        return list(csv.reader(stream))


def test_flags_are_those_of_the_original():
    actions = make_parser()._actions
    assert {flag for action in actions for flag in action.option_strings} == FLAGS
    defaults = vars(make_parser().parse_args(["--i", "a", "--o", "b"]))
    assert defaults["threads"] == 1 and defaults["crop"] is None and defaults["gpu"]


def test_all_outputs_of_a_scan(models, scan, tmp_path, capsys, monkeypatch):
    def small(channels, labels, size):
        assert size == 224
        return quality_groups(channels, labels, 32)

    monkeypatch.setattr("synthtf.published.synthseg.pipeline.quality_groups", small)
    out = tmp_path / "out"
    outputs = "--o", out, "--post", out, "--resample", out / "r.mgz", "--vol", out / "v"
    flags = "--fast", "--parc", "--qc", out / "q.csv", "--crop", 32, "--addctab", "--cpu"
    given = map(str, ("--i", scan, *outputs, *flags, "--model", models))
    assert main(list(given)) == 0
    assert capsys.readouterr().out.startswith("SynthSeg 2.0 (fast), published weights ")
    resampled = read_volume(out / "r.mgz")
    assert resampled.shape == (20, 18, 29)
    np.testing.assert_allclose(resampled.spacing, 1, rtol=1e-5)
    labels = nib.load(out / "scan_synthseg.nii.gz")
    assert labels.get_data_dtype() == np.int32 and len(labels.header.extensions) == 1
    np.testing.assert_allclose(labels.affine, resampled.affine, atol=1e-4)
    found = np.asarray(labels.dataobj)
    assert found.shape == resampled.shape and not np.isin(found, (3, 42)).any()
    posteriors = np.asarray(nib.load(out / "scan_posteriors.nii.gz").dataobj)
    assert posteriors.dtype == np.float32 and posteriors.shape == (*found.shape, 33)
    np.testing.assert_allclose(posteriors.sum(-1), 1, atol=1e-5)
    header, row = read(out / "v.csv")
    structures = list(VERSION_2.names.values())[1:]
    assert header == ["subject", TOTAL, *structures, *PARCELS.values()] and row[0] == "scan"
    sums = posteriors.sum((0, 1, 2), dtype="f8")[1:]
    np.testing.assert_allclose(np.array(row[2:34], float), sums, atol=0.01)
    assert float(row[1]) == pytest.approx(sums.sum(), abs=0.01)
    # The parcels add up to the white matter, as SynthSeg's do.
    assert sum(map(float, row[34:])) == pytest.approx(float(row[2]) + float(row[20]), abs=0.1)
    header, row = read(out / "q.csv")
    assert header == ["subject", *QUALITY_NAMES]
    assert all(0 <= float(score) <= 1 and len(score) == 6 for score in row[1:])


def test_geometry_is_kept(models, scan, tmp_path):
    path = tmp_path / "seg.mgz"
    given = "--i", scan, "--o", path, "--v1", "--keepgeom", "--crop", 32, "--model", models
    assert main([*map(str, given), "--vol", str(tmp_path / "v.csv")]) == 0
    labels, source = read_volume(path, labels=True), read_volume(scan)
    assert labels.shape == source.shape
    np.testing.assert_allclose(labels.affine, source.affine, atol=1e-5)
    assert set(np.unique(labels.data)) <= set(VERSION_1.names) and labels.data.any()
    assert read(tmp_path / "v.csv")[0] == ["subject", *list(VERSION_1.names.values())[1:]]


def test_a_bad_scan_does_not_stop_the_others(models, scan, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    scan.rename(folder / "b.nii.gz")
    (folder / "a.nii").write_bytes(b"no volume")
    np.savez(folder / "c.npz", vol_data=read_volume(folder / "b.nii.gz").data)
    monkeypatch.setenv("SYNTHTF_MODELS", str(models))
    given = "--i", folder, "--o", tmp_path / "out", "--robust", "--crop", 32, 32, 32
    assert main([*map(str, given), "--vol", str(tmp_path / "v.csv")]) == 1
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        *("b_synthseg.nii.gz", "c_synthseg.npz")
    ]
    labels = np.load(tmp_path / "out" / "c_synthseg.npz")["vol_data"]
    assert labels.shape == (20, 22, 24) and labels.dtype == np.int32
    assert [row[0] for row in read(tmp_path / "v.csv")] == ["subject", "b", "c.npz"]
    said = capsys.readouterr()
    assert said.out.startswith("SynthSeg-robust 2.0, published weights ") and "a.nii" in said.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--robust", "--v1"], "--v1 cannot be used with --robust"),
        (["--crop", "32", "--autocrop"], "--autocrop cannot be used with --crop"),
        (["--photo", "front"], "--photo must be one of left, right, both. Received: front"),
        (["--photo", "left", "--ct"], "--ct cannot be used with --photo"),
        (["--photo", "left", "--qc", "q.csv"], "--qc cannot be used with --photo"),
        (["--photo", "both"], r"--photo: published weights are missing: synthseg_photo_both_1\.0"),
        (["--robust"], r"--robust: published weights are missing: .* \$SYNTHTF_MODELS"),
        (["--parc", "--qc", "q.csv"], "--parc, --qc: published weights are missing"),
        (["--v1"], r"--v1: published weights are missing: synthseg_1\.0\.h5"),
        (
            ["--parc", "--model", "heads-2mm"],
            "--parc, --robust, --qc, --v1 and --photo need published",
        ),
        (["--model", "absent"], "absent does not exist"),
        (["--vol", "x.txt"], "--vol can only be a .txt list"),
    ],
)
def test_what_cannot_be_done_is_refused(scan, capsys, arguments, message):
    assert main(["--i", str(scan), "--o", "x.nii.gz", *arguments]) == 1
    said = capsys.readouterr()
    assert len(said.err.splitlines()) == 1
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(said.err)


@pytest.fixture
def photo_models(models, tmp_path):
    """Weights for photographs, with FreeSurfer's tables of their labels."""
    folder = tmp_path / "photo"
    folder.mkdir()
    labels = [0, 14, 15, 16, 77, 2, 3, 17, 41, 42, 53]
    names = ["background", *(f"structure {label}" for label in labels[1:])]
    for kind, count in (("both", 11), ("single", 8)):
        sizes = {"outputs": count, "levels": 2, "sharpness": 3.0}
        write_unet(folder / f"synthseg_photo_{kind}_1.0.h5", **sizes)
        tables = {"segmentation_labels": labels, "segmentation_names": names}
        tables["topological_classes"] = [0, 1, 2, 3, 0, 4, 4, 5, 14, 14, 15]
        for table, column in tables.items():
            np.save(folder / f"synthseg_{table}_photo_{kind}_1.0.npy", np.array(column[:count]))
    (folder / "synthseg_parc_2.0.h5").symlink_to(models / "synthseg_parc_2.0.h5")
    return folder


def test_photographs(photo_models, scan, tmp_path, capsys):
    mirrored, data = tmp_path / "mirrored.nii.gz", nib.load(scan).get_fdata()
    # Voxels of 1 mm and even sizes: nothing but the side differs.
    for path, side in ((scan, 1), (mirrored, -1)):
        nib.Nifti1Image(data, np.diag([side, 1, 1, 1])).to_filename(path)
    found, volumes = {}, {}
    for name, path, side in (
        *(("both", scan, "both"), ("left", scan, "left"), ("right", mirrored, "right")),
    ):
        out = tmp_path / f"{name}.nii.gz"
        given = "--i", path, "--o", out, "--vol", tmp_path / f"{name}.csv", "--photo", side
        given = (*given, "--crop", 32, "--parc", "--model", photo_models)
        assert main(list(map(str, given))) == 0
        assert capsys.readouterr().out.startswith("Photo-SynthSeg 1.0, published weights ")
        found[name] = np.asarray(nib.load(out).dataobj)
        volumes[name] = read(tmp_path / f"{name}.csv")
    assert volumes["both"][0][:3] == ["subject", "structure 2", "structure 3"]
    assert len(volumes["both"][0]) == 1 + 10 + len(PARCELS)
    assert len(volumes["left"][0]) == 1 + 7 + len(PARCELS)
    # Parcels add up to the cortex, and a right hemisphere is seen as the left one that it mirrors.
    numbers = np.array(volumes["left"][1][1:], float)
    assert numbers[7:].sum() == pytest.approx(numbers[1], abs=0.1)
    np.testing.assert_allclose(np.array(volumes["right"][1][1:], float), numbers, atol=0.01)
    np.testing.assert_array_equal(found["right"], found["left"])
    assert set(np.unique(found["left"])) <= {0, 14, 15, 16, 77, 2, 17, *PARCELS}
    (photo_models / "synthseg_segmentation_names_photo_both_1.0.npy").write_bytes(b"no table")
    given = "--i", scan, "--o", tmp_path / "x.nii", "--photo", "both", "--model", photo_models
    assert main(list(map(str, given))) == 1
    assert "names_photo_both_1.0.npy is damaged" in capsys.readouterr().err


def test_weights_of_another_network(scan, tmp_path, capsys):
    weights = write_unet(tmp_path / "sr.h5", outputs=1, levels=2)
    given = ["--i", str(scan), "--o", str(tmp_path / "x.nii"), "--model", str(weights)]
    assert main(given) == 1
    assert "the tensor unet_likelihood/kernel must have 33" in capsys.readouterr().err


def test_wrong_usage(capsys):
    assert main([]) == 1
    assert "usage: synthtf-synthseg" in capsys.readouterr().out
    assert main(["--i", "a"]) == 1
    assert "(--i) and an output (--o)" in capsys.readouterr().err
    for arguments in (["--i", "a", "--o", "b", "--threads", "x"], ["--unknown"]):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 2


def test_without_weights_our_own_network_does_it(scan, tmp_path, capsys):
    out = tmp_path / "out"
    given = "--i", scan, "--o", out, "--post", out, "--resample", out, "--vol", tmp_path / "v.csv"
    status = main([*map(str, given), "--fast", "--crop", "64"])
    said = capsys.readouterr()
    assert said.out.startswith("synthtf's own network heads-2mm, not SynthSeg's; no weights ")
    assert "without effect: --crop" in said.err
    labels = read_volume(out / "scan_synthseg.nii.gz", labels=True)
    assert status == (0 if labels.data.any() else 1)
    assert labels.shape == (20, 18, 29)
    assert read_volume(out / "scan_resampled.nii.gz").shape == (20, 18, 29)
    assert nib.load(out / "scan_posteriors.nii.gz").shape[:3] == (20, 18, 29)
    header, row = read(tmp_path / "v.csv")
    assert header == ["subject", TOTAL, *list(VERSION_2.names.values())[1:]] and row[0] == "scan"
    assert float(row[1]) == pytest.approx(sum(map(float, row[2:])), abs=0.1)
