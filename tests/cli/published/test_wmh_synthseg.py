"""`synthtf-wmh-synthseg`: flags, defaults, exit codes and files of `mri_WMHsynthseg`."""

import csv

import nibabel as nib
import numpy as np
import pytest
from published_weights import wmh_state
from torch_files import save

from synthtf.cli.published.wmh_synthseg import main, make_parser


@pytest.fixture
def scan(tmp_path, monkeypatch):
    models = tmp_path / "home" / "models"
    models.mkdir(parents=True)
    name = "WMH-SynthSeg_v10_231110.pth"
    save(models / name, wmh_state(), wrap=lambda s: {"model_state_dict": s})
    monkeypatch.delenv("SYNTHTF_MODELS", raising=False)
    monkeypatch.setenv("FREESURFER_HOME", str(models.parent))
    data = np.random.default_rng(0).integers(0, 900, (14, 12, 10)).astype("int16")
    image = nib.Nifti1Image(data, np.diag([-1.2, 1, 1.5, 1]))
    image.to_filename(tmp_path / "scan.nii.gz")
    return tmp_path / "scan.nii.gz"


def test_all_outputs(scan, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    flags = ["--csv_vols", "v.csv", "--save_lesion_probabilities", "--threads", "-1"]
    assert main(["--i", "scan.nii.gz", "--o", "./out/x.nii.gz", *flags, "--device", "cuda"]) == 0
    assert "WMH-SynthSeg_v10_231110.pth" in capsys.readouterr().out
    labels, lesions = (nib.load(f"out/x{name}.nii.gz") for name in ("", ".lesion_probs"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "x.lesion_probs.nii.gz",
        "x.nii.gz",
    ]
    for image in (labels, lesions):
        assert image.shape == (17, 12, 15)
        assert image.get_data_dtype() == "float32"
        assert nib.aff2axcodes(image.affine) == ("R", "A", "S")
    with open("v.csv", newline="") as file:
        header, row = csv.reader(file)
    assert header[:3] == ["Input-file", "Intracranial-volume", "3rd-ventricle(14)"]
    assert len(header) == len(row) == 34
    assert row[0] == "./out/x.nii.gz"
    volumes = np.array(row[1:], float)
    np.testing.assert_allclose(volumes[0], volumes[1:].sum(), rtol=1e-6)
    lesion = header.index("WMH(77)")
    np.testing.assert_allclose(float(row[lesion]), lesions.get_fdata().sum(), rtol=1e-4)


def test_folders_and_bad_scans(scan, tmp_path, capsys):
    folder = tmp_path / "scans"
    folder.mkdir()
    (folder / "a.nii.gz").write_bytes(b"no volume")
    scan.rename(folder / "b.nii.gz")
    table = tmp_path / "v.csv"
    out = tmp_path / "out"
    assert main(["--i", str(folder), "--o", str(out), "--csv_vols", str(table)]) == 1
    assert [path.name for path in out.iterdir()] == ["b_seg.nii.gz"]
    assert "a.nii.gz" in capsys.readouterr().err
    rows = table.read_text().splitlines()
    assert len(rows) == 2
    assert rows[1].startswith(f"{out / 'b_seg.nii.gz'},")


def test_exit_codes(scan, tmp_path, monkeypatch, capsys):
    assert main([]) == 1
    assert "usage: synthtf-wmh-synthseg" in capsys.readouterr().out
    out = ["--o", str(tmp_path / "out.nii.gz")]
    for flags, message in (
        (["--i", "none.nii.gz", *out], "none.nii.gz does not exist"),
        (["--i", str(scan), *out, "--csv_vols", "v.txt"], "--csv_vols must be a .csv file in"),
        (["--i", str(scan), *out, "--csv_vols", "no/v.csv"], "--csv_vols must be a .csv file in"),
        (["--i", str(scan), "--o", str(tmp_path / "out.npz")], "out.npz: unknown ending"),
        (["--i", str(scan), *out, "--model", str(scan)], "is not a file of PyTorch weights"),
    ):
        assert main(flags) == 1
        error = capsys.readouterr().err
        assert error.startswith("synthtf-wmh-synthseg: ")
        assert message in error
        assert error.count("\n") == 1
    for flags in (["--i", str(scan)], ["--i", str(scan), *out, "--device", "tpu"]):
        with pytest.raises(SystemExit, match="2"):
            main(flags)
    monkeypatch.delenv("FREESURFER_HOME")
    assert main(["--i", str(scan), *out]) == 1
    assert "no published weights WMH-SynthSeg_v10_231110.pth" in capsys.readouterr().err


def test_defaults_and_crop():
    args = make_parser().parse_args(["--i", "a", "--o", "b", "--crop"])
    assert args.crop
    assert args.threads == 1
    assert args.gpu is False
    assert args.save_lesion_probabilities is False
