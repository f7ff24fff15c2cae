"""`synthtf-synthstrip`: flags, defaults, exit codes and files of `mri_synthstrip`."""

import nibabel as nib
import numpy as np
import pytest
import stripping_runs
from published_weights import strip_state
from torch_files import save

from synthtf.cli.published.synthstrip import main, make_parser
from synthtf.version import __version__


@pytest.fixture
def scan(tmp_path):
    """A bright ball, int16, with a dark shell."""
    volume, _ = stripping_runs.scan()
    image = nib.Nifti1Image((volume.data * 100).astype("int16"), volume.affine)
    image.to_filename(tmp_path / "scan.nii.gz")
    return tmp_path / "scan.nii.gz"


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """Weights that find the brain where the image is bright."""
    state = strip_state([(1,)], [(1,)], (1,))
    state = {key: np.zeros_like(value) for key, value in state.items()}
    state["remaining.0.conv.bias"][:] = 10
    state["encoder.0.0.conv.weight"][0, 0, 1, 1, 1] = 1
    state["remaining.0.conv.weight"][0, 1, 1, 1, 1] = -20
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("synthstrip.1.pt", "synthstrip.nocsf.1.pt"):
        save(folder / name, state, wrap=lambda s: {"model_state_dict": s})
        state["remaining.0.conv.bias"][:] = 14
    monkeypatch.delenv("SYNTHTF_MODELS", raising=False)
    monkeypatch.setenv("FREESURFER_HOME", str(tmp_path))
    return folder


def count(path):
    return int(np.asarray(nib.load(path).dataobj).sum())


def test_all_outputs(scan, weights, tmp_path, capsys):
    out = [str(tmp_path / f"{name}.nii.gz") for name in "omd"]
    assert main(["-i", str(scan), "-o", out[0], "-m", out[1], "-d", out[2]]) == 0
    assert str(weights / "synthstrip.1.pt") in capsys.readouterr().out
    original, image, mask, distance = map(nib.load, [scan, *out])
    inside = np.asarray(mask.dataobj) == 1
    np.testing.assert_array_equal(image.get_fdata(), np.where(inside, original.get_fdata(), 0))
    assert image.get_data_dtype() == "int16"
    assert mask.get_data_dtype() == "uint8"
    assert distance.get_data_dtype() == "float32"
    assert 0.1 < inside.mean() < 0.9
    np.testing.assert_array_equal(mask.affine, original.affine)
    assert not list(tmp_path.glob("*.json"))
    assert (distance.get_fdata()[inside] < 1).mean() > 0.999


def test_border_fill_model_and_csf(scan, weights, tmp_path):
    mask, image = str(tmp_path / "m.nii.gz"), str(tmp_path / "o.nii.gz")
    sizes = []
    for flags in (
        ["--border", "3.5", "--fill", "-5", "--threads", "1"],
        ["--no-csf", "--max-memory", "100"],
        ["--no-csf", "--model", str(weights / "synthstrip.1.pt"), "-g", "-t", "2"],
    ):
        assert main(["--image", str(scan), "--mask", mask, "--out", image, *flags]) == 0
        sizes.append(count(mask))
        if "--fill" in flags:
            found = nib.load(image).get_fdata()
            assert found.min() == -5
    assert sizes[0] > sizes[2] > sizes[1] > 0


def test_a_fill_that_the_type_of_the_scan_cannot_hold(scan, weights, tmp_path):
    image = nib.load(scan)
    data = image.get_fdata().astype("uint8")
    nib.Nifti1Image(data, image.affine).to_filename(scan)
    out = str(tmp_path / "o.nii.gz")
    assert main(["-i", str(scan), "-o", out, "--fill", "-5.5"]) == 0
    assert nib.load(out).get_fdata().min() == -5.5


def test_without_published_weights_the_own_network_works(scan, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("SYNTHTF_MODELS", raising=False)
    monkeypatch.delenv("FREESURFER_HOME", raising=False)
    calls = []

    def strip_cohort(*args, **kwargs):
        from synthtf.batch import Outcome

        calls.append((args, kwargs))
        return Outcome(1)

    monkeypatch.setattr("synthtf.published.synthstrip.cohort.strip_cohort", strip_cohort)
    out = str(tmp_path / "o.nii.gz")
    assert main(["-i", str(scan), "-o", out, "--no-csf", "-b", "2", "-f", "3"]) == 0
    said = capsys.readouterr().out
    assert "no published weights synthstrip.nocsf.1.pt" in said
    assert "strip-3mm of synthtf is used instead" in said
    ((args, kwargs),) = calls
    assert args == (str(scan), out)
    assert (kwargs["border"], kwargs["fill"]) == (2, 3)
    assert kwargs["csf"] is False
    assert not kwargs["options"].sidecars


def test_a_bad_scan_does_not_stop_the_others(scan, weights, tmp_path, capsys):
    folder = tmp_path / "scans"
    folder.mkdir()
    (folder / "a.nii.gz").write_bytes(b"no volume")
    scan.rename(folder / "b.nii.gz")
    assert main(["-i", str(folder), "-m", str(tmp_path / "masks")]) == 1
    assert [path.name for path in (tmp_path / "masks").iterdir()] == ["b_mask.nii.gz"]
    assert "a.nii.gz" in capsys.readouterr().err


def test_exit_codes(scan, weights, tmp_path, capsys):
    assert main([]) == 1
    assert "usage: synthtf-synthstrip" in capsys.readouterr().out
    for flags, message in (
        ([], "at least one output must be given: -o, -m or -d"),
        (["-o", str(scan)], "is also an input"),
        (["-m", "m.nii.gz", "--model", "nowhere"], "nowhere does not exist; give a file of"),
        (["-m", "m.nii.gz", "--model", str(scan)], "is not a file of PyTorch weights"),
        (["-m", "m.nii.gz", "--max-memory", "0"], "memory is limited to more than 0 GB"),
    ):
        assert main(["-i", str(scan), *flags]) == 1
        error = capsys.readouterr().err
        assert error.startswith("synthtf-synthstrip: ")
        assert message in error
        assert error.count("\n") == 1
    with pytest.raises(SystemExit, match="2"):
        main(["-o", "x.nii.gz"])
    with pytest.raises(SystemExit, match="2"):
        main(["-i", str(scan), "--unknown"])


@pytest.mark.parametrize(
    "line",
    [
        "-i a.nii.gz -o b.nii.gz -m c.nii.gz -g -b 2 --no-csf --model w.pt",  # FreeSurfer, niwrap
        "-i a.nii.gz --model w.pt -b 1 -o b.nii.gz -m c.nii.gz -n 4",  # MRIQC's interface
        "--image a --out b --mask c --sdt d --border 1 --fill 0 --threads 2 --gpu",
    ],
)
def test_command_lines_of_others_are_understood(line):
    args = make_parser().parse_args(line.split())
    assert args.image
    assert args.out
    assert args.mask


def test_version(capsys):
    with pytest.raises(SystemExit) as status:
        main(["-v"])
    assert status.value.code == 0 and capsys.readouterr().out.strip() == __version__
