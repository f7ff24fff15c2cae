"""`synthtf-synthsr`: flags, defaults, exit codes and files of `mri_synthsr` and of its pair."""

import nibabel as nib
import numpy as np
import pytest
from published_weights import save_synthsr, synthsr_tensors

from synthtf.cli.published.synthsr import main, make_parser

FILES = {
    "synthsr_v20_230130.h5": 1,
    "synthsr_lowfield_v20_230130.h5": 1,
    "SynthSR_v10_210712.h5": 1,
    "synthsr_v10_210712_hyperfine.h5": 2,
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home") / "models"
    folder.mkdir()
    for seed, (name, channels) in enumerate(FILES.items()):
        save_synthsr(folder / name, synthsr_tensors(channels, seed=seed))
    return folder


@pytest.fixture
def scan(tmp_path, models, monkeypatch):
    monkeypatch.delenv("SYNTHTF_MODELS", raising=False)
    monkeypatch.setenv("FREESURFER_HOME", str(models.parent))
    data = np.random.default_rng(0).integers(-50, 900, (14, 12, 10)).astype("int16")
    image = nib.Nifti1Image(data, np.diag([-1.2, 1, 1.5, 1]))
    image.to_filename(tmp_path / "scan.nii.gz")
    return tmp_path / "scan.nii.gz"


def read(path):
    return nib.load(path).get_fdata()


def test_weights_follow_the_flags(scan, models, tmp_path, capsys):
    out = str(tmp_path / "out.nii.gz")
    found = {}
    for flags, name in (
        ([], "synthsr_v20_230130.h5"),
        (["--lowfield", "--cpu"], "synthsr_lowfield_v20_230130.h5"),
        (["--v1", "--lowfield"], "SynthSR_v10_210712.h5"),
        (
            ["--model", str(models / "synthsr_lowfield_v20_230130.h5")],
            "synthsr_lowfield_v20_230130.h5",
        ),
    ):
        assert main(["--i", str(scan), "--o", out, *flags]) == 0
        assert str(models / name) in capsys.readouterr().out
        found.setdefault(name, []).append(read(out))
    low = found["synthsr_lowfield_v20_230130.h5"]
    np.testing.assert_array_equal(*low)
    assert np.abs(low[0] - found["synthsr_v20_230130.h5"][0]).max() > 1
    image = nib.load(out)
    assert image.shape == (17, 12, 15)
    assert image.get_data_dtype() == "int16"
    assert nib.aff2axcodes(image.affine) == ("L", "A", "S")
    np.testing.assert_allclose(image.header.get_zooms(), 1, atol=1e-6)
    corner = [-0.5, -0.5, -0.5, 1]
    np.testing.assert_allclose(image.affine @ corner, nib.load(scan).affine @ corner, atol=1e-5)


def test_options_change_the_result(scan, tmp_path):
    out = str(tmp_path / "out.nii.gz")
    results = []
    for flags in ([], ["--disable_sharpening"], ["--disable_flipping"], ["--ct"]):
        assert main(["--i", str(scan), "--o", out, *flags, "--threads", "2"]) == 0
        results.append(read(out))
    for index, one in enumerate(results):
        for other in results[:index]:
            assert np.abs(one - other).max() > 0.1
    assert results[1].max() <= 128.01


def test_pair(scan, tmp_path, capsys):
    out = str(tmp_path / "out.nii.gz")
    assert main(["--t1", str(scan), "--t2", str(scan), "--o", out, "--threads", "1", "--cpu"]) == 0
    assert "synthsr_v10_210712_hyperfine.h5" in capsys.readouterr().out
    assert read(out).min() >= 0
    assert main(["--t1", str(scan), "--t2", str(tmp_path / "none.nii.gz"), "--o", out]) == 1
    assert "none.nii.gz does not exist" in capsys.readouterr().err
    expected, folders = read(out), []
    for name, scans in (("t1", ("a.nii", "b.nii.gz")), ("t2", ("x.nii.gz", "y.nii"))):
        folders.append(tmp_path / name)
        folders[-1].mkdir()
        for file in scans:
            nib.load(scan).to_filename(folders[-1] / file)
    flags = ["--t1", str(folders[0]), "--t2", str(folders[1])]
    assert main([*flags, "--o", str(tmp_path / "out")]) == 0
    for name in ("a_synthsr.nii", "b_synthsr.nii.gz"):
        np.testing.assert_array_equal(read(tmp_path / "out" / name), expected)
    lists = [tmp_path / f"{name}.txt" for name in ("t1", "t2", "o")]
    for path, files in zip(lists, (("a.nii",), ("x.nii.gz",), ("of_list.nii.gz",)), strict=True):
        path.write_text("".join(f"{path.with_suffix('') / file}\n" for file in files))
    flags = ["--t1", str(lists[0]), "--t2", str(lists[1]), "--o", str(lists[2])]
    assert main(flags) == 0
    np.testing.assert_array_equal(read(tmp_path / "o" / "of_list.nii.gz"), expected)
    (folders[1] / "y.nii").unlink()
    assert main(["--t1", str(folders[0]), "--t2", str(folders[1]), "--o", str(tmp_path / "p")]) == 1
    assert "--t2 must have as many images as --t1. Received: 2 T1 and 1" in capsys.readouterr().err


def test_folders_lists_and_bad_scans(scan, tmp_path, capsys):
    folder = tmp_path / "scans"
    folder.mkdir()
    (folder / "a.nii").write_bytes(b"no volume")
    (folder / "b.nii.gz").write_bytes(scan.read_bytes())
    np.savez(folder / "c.npz", vol_data=np.random.default_rng(0).uniform(size=(8, 8, 8)))
    nib.MGHImage(np.float32(read(scan)), np.eye(4)).to_filename(folder / "d.mgz")
    out = tmp_path / "out"
    assert main(["--i", str(folder), "--o", str(out)]) == 1
    names = [path.name for path in sorted(out.iterdir())]
    assert names == ["b_synthsr.nii.gz", "c_synthsr.npz", "d_synthsr.mgz"]
    assert np.load(out / "c_synthsr.npz")["vol_data"].shape == (8, 8, 8)
    assert f"{folder / 'a.nii'}: " in capsys.readouterr().err
    for name, path in (("in", folder / "b.nii.gz"), ("out", tmp_path / "x" / "listed.nii.gz")):
        (tmp_path / f"{name}.txt").write_text(f"{path}\n")
    assert main(["--i", str(tmp_path / "in.txt"), "--o", str(tmp_path / "out.txt")]) == 0
    assert (tmp_path / "x" / "listed.nii.gz").exists()
    assert main(["--i", str(scan), "--o", str(tmp_path / "new")]) == 0
    assert (tmp_path / "new" / "scan_synthsr.nii.gz").exists()


def test_exit_codes(scan, models, tmp_path, monkeypatch, capsys):
    assert main([]) == 1
    assert "usage: synthtf-synthsr" in capsys.readouterr().out
    out = str(tmp_path / "out.nii.gz")
    pair = models / "synthsr_v10_210712_hyperfine.h5"
    for flags, message in (
        (["--i", str(scan)], "expected --i and --o, or --t1, --t2 and --o"),
        (["--i", str(scan), "--t1", str(scan), "--o", out], "expected --i and --o, or --t1"),
        (["--i", "none.nii.gz", "--o", out], "none.nii.gz does not exist"),
        (["--i", str(scan), "--o", str(scan)], "is also an input"),
        (["--i", str(scan), "--o", out, "--model", str(pair)], "expects 1 input channels, not 2"),
    ):
        assert main(flags) == 1
        error = capsys.readouterr().err
        assert error.startswith("synthtf-synthsr: ")
        assert message in error
        assert error.count("\n") == 1
    with pytest.raises(SystemExit, match="2"):
        main(["--i", str(scan), "--unknown"])
    monkeypatch.delenv("FREESURFER_HOME")
    assert main(["--i", str(scan), "--o", out]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "no published weights synthsr_v20_230130.h5 (--model, $SYNTHTF_MODELS or" in error


@pytest.mark.parametrize(
    "line",
    [
        # As niwrap writes it, but for --i and --o, which it leaves out.
        "--i a --o b --ct --disable_sharpening --disable_flipping --lowfield --v1 --threads 2 "
        "--cpu --model w.h5",
        "--t1 a --t2 b --o c --threads 2 --cpu",
    ],
)
def test_command_lines_of_others_are_understood(line):
    args = make_parser().parse_args(line.split())
    assert args.threads == 2
    assert not args.gpu
