"""`synthtf-synthmorph`: flags, defaults, exit codes and files of `mri_synthmorph`."""

import nibabel as nib
import numpy as np
import pytest
from published_weights import save_in_order, synthmorph_detector, synthmorph_hypernetwork

from synthtf.batch import Outcome
from synthtf.cli.published.synthmorph import main, make_parser
from synthtf.interop import read_transform


@pytest.fixture
def scans(tmp_path):
    """Two images of different grids and types."""
    rng = np.random.default_rng(0)
    paths = []
    for name, shape, dtype in (("moving", (20, 22, 24), "int16"), ("fixed", (24, 20, 18), "uint8")):
        coarse = rng.uniform(0, 200, [n // 2 for n in shape])
        data = np.kron(coarse, np.ones((2, 2, 2)))
        affine = np.array([[0, 0, 1.2, -12], [-1, 0, 0, 10], [0, 1.1, 0, -11], [0, 0, 0, 1]])
        if name == "fixed":
            affine = np.diag([1.0, 1.1, 1.2, 1])
            affine[:3, 3] = -12, -11, -10
        paths.append(tmp_path / f"{name}.nii.gz")
        nib.Nifti1Image(data.astype(dtype), affine).to_filename(paths[-1])
    return [str(path) for path in paths]


@pytest.fixture
def models(tmp_path, monkeypatch):
    """Published files of small networks, where FreeSurfer keeps them."""
    folder = tmp_path / "models"
    folder.mkdir()
    save_in_order(folder / "synthmorph.affine.2.h5", synthmorph_detector(outputs=9))
    save_in_order(folder / "synthmorph.rigid.1.h5", synthmorph_detector(outputs=9, seed=1))
    save_in_order(folder / "synthmorph.deform.3.h5", synthmorph_hypernetwork())
    monkeypatch.delenv("SYNTHTF_MODELS", raising=False)
    monkeypatch.setenv("FREESURFER_HOME", str(tmp_path))
    return folder


@pytest.fixture
def no_models(tmp_path, monkeypatch):
    monkeypatch.delenv("SYNTHTF_MODELS", raising=False)
    monkeypatch.setenv("FREESURFER_HOME", str(tmp_path / "none"))


def data(path):
    return nib.load(path).get_fdata()


@pytest.mark.parametrize("model", ["affine", "rigid"])
def test_matrices(scans, models, tmp_path, capsys, model):
    o, back, t, inverse = (str(tmp_path / n) for n in ("o.nii.gz", "O.mgz", "t.lta", "T.lta"))
    flags = ["-m", model, "-e", "32", "-o", o, "-O", back, "-t", t, "-T", inverse, "-j", "1"]
    assert main(["register", *flags, *scans]) == 0
    assert f"published weights {models}/synthmorph.{model}" in capsys.readouterr().out
    moving, fixed = map(nib.load, scans)
    there, again = read_transform(t), read_transform(inverse)
    np.testing.assert_allclose(there.matrix @ again.matrix, np.eye(4), atol=1e-5)
    np.testing.assert_allclose(there.fixed.affine, fixed.affine, atol=1e-4)
    np.testing.assert_allclose(there.moving.affine, moving.affine, atol=1e-4)
    assert (there.fixed.shape, there.moving.shape) == (fixed.shape, moving.shape)
    for path, like in ((o, fixed), (back, moving)):
        image = nib.load(path)
        assert image.shape == like.shape
        np.testing.assert_allclose(image.affine, like.affine, atol=1e-5)
        assert image.get_data_dtype().newbyteorder("=") == "float32"
    assert main(["-H", *flags, *scans]) == 0
    for path, like, moved in ((o, moving, there), (back, fixed, again)):
        image = nib.load(path)
        np.testing.assert_array_equal(image.get_fdata(), like.get_fdata())
        assert image.get_data_dtype().newbyteorder("=") == like.get_data_dtype()
        expected = np.linalg.inv(moved.matrix) @ like.affine
        np.testing.assert_allclose(image.affine, expected, atol=1e-4)


def test_deformations(scans, models, tmp_path):
    fields = {}
    for name, flags in {
        "joint": [],
        "init": ["-m", "deform", "-i", f"{tmp_path}/a.lta", "-M"],
        "r": ["-r", "0.9"],
        "n": ["-n", "5"],
        "e": ["-e", "64"],
        "memory": ["--max-memory", "100", "-g", "-v", "-d", f"{tmp_path}/seen"],
    }.items():
        t = f"{tmp_path}/{name}.nii.gz"
        if name == "init":
            assert main(["-m", "affine", "-e", "32", "-t", f"{tmp_path}/a.lta", *scans]) == 0
        assert main(["-e", "32", "-t", t, *flags, *scans]) == 0
        field = nib.load(t)
        assert field.shape == (24, 20, 18, 1, 3)
        assert field.header["intent_code"] == 1006
        assert field.get_data_dtype() == "float32"
        fields[name] = field.get_fdata()
    np.testing.assert_array_equal(fields["memory"], fields["joint"])
    for name in ("r", "n", "e"):
        assert np.abs(fields[name] - fields["joint"]).max() > 1e-4
    for name in ("inp_1", "inp_2"):
        image = nib.load(tmp_path / "seen" / f"{name}.mgz")
        assert image.shape == (32, 32, 32)
        assert "".join(nib.aff2axcodes(image.affine)) == "LIA"
        assert image.get_fdata().max() == 1


def test_weights_are_told_apart_by_what_they_hold(scans, models, tmp_path, capsys):
    both = tmp_path / "both.h5"
    save_in_order(both, synthmorph_hypernetwork(), synthmorph_detector(outputs=9), nested=False)
    files = [str(models / f"synthmorph.{name}.h5") for name in ("deform.3", "affine.2")]
    found = []
    for weights in (
        ["--model", str(models)],
        ["-w", files[0], "-w", files[1]],
        ["-w", files[1], "--model", files[0]],
        ["--model", str(both)],
    ):
        assert main(["-e", "32", "-o", f"{tmp_path}/o.nii.gz", *weights, *scans]) == 0
        found.append(data(tmp_path / "o.nii.gz"))
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)
    capsys.readouterr()
    for weights, message in (
        (files[1], "no deformable network, which joint registration needs; give synthmorph.deform"),
        (scans[0], "is not a readable HDF5 file"),
        ("nowhere", "nowhere does not exist"),
        (str(tmp_path), "has none of the published weights synthmorph.affine.2.h5"),
    ):
        assert main(["-o", f"{tmp_path}/o.nii.gz", "-w", weights, *scans]) == 1
        assert message in capsys.readouterr().err


def test_apply(scans, models, tmp_path, capsys):
    o, t = f"{tmp_path}/o.nii.gz", f"{tmp_path}/t"
    for trans, flags in ((f"{t}.lta", ["-m", "affine"]), (f"{t}.mgz", []), (f"{t}.nii", [])):
        assert main(["-e", "32", "-o", o, "-t", trans, *flags, *scans]) == 0
        a, b = f"{tmp_path}/a.nii.gz", f"{tmp_path}/b.mgz"
        assert main(["apply", trans, scans[0], a]) == 0
        np.testing.assert_allclose(data(a), data(o), atol=0.05)
        assert nib.load(a).get_data_dtype() == "float32"
        assert main(["apply", "-m", "nearest", "-t", "int16", trans, scans[0], a, scans[0], b]) == 0
        np.testing.assert_array_equal(data(a), data(b))
        assert nib.load(a).get_data_dtype() == "int16"
        assert set(np.unique(data(a))) <= {0, *np.unique(data(scans[0]))}
    for trans in (f"{t}.lta", f"{t}.mgz"):
        for method in ("lin", "n"):
            assert main(["app", "-m", method, trans, scans[0], a]) == 0
            assert main(["app", "-m", method, "-f", "999", trans, scans[0], b]) == 0
            outside = data(b) == 999
            assert outside.any() and not data(a)[outside].any()
            np.testing.assert_array_equal(data(a)[~outside], data(b)[~outside])
    labels = np.arange(20 * 22 * 24).reshape(20, 22, 24) + 2**25 + 1
    image = nib.Nifti1Image(labels.astype("int32"), nib.load(scans[0]).affine)
    image.to_filename(f"{tmp_path}/l.nii.gz")
    for flags in (["-m", "nearest", "-t", "int32"], ["-H"]):
        assert main(["apply", *flags, f"{t}.lta", f"{tmp_path}/l.nii.gz", a]) == 0
        assert np.isin(data(a), [0, *labels.ravel()]).all()
        assert data(a).max() > 2**25
    frames = np.stack([data(scans[0]), 2 * data(scans[0])], axis=-1)
    nib.Nifti1Image(frames, nib.load(scans[0]).affine).to_filename(f"{tmp_path}/f.nii.gz")
    assert main(["apply", f"{t}.lta", f"{tmp_path}/f.nii.gz", a]) == 0
    np.testing.assert_allclose(data(a)[..., 1], 2 * data(a)[..., 0], atol=1e-3)
    assert main(["apply", "-H", f"{t}.lta", scans[0], a]) == 0
    np.testing.assert_array_equal(data(a), data(scans[0]))
    matrix = np.linalg.inv(read_transform(f"{t}.lta").matrix)
    expected = matrix @ nib.load(scans[0]).affine
    np.testing.assert_allclose(nib.load(a).affine, expected, atol=1e-4)
    capsys.readouterr()
    for words, message in (
        (["-H", f"{t}.mgz", scans[0], a], "-H: a header cannot hold the deformation"),
        ([f"{t}.lta", scans[0]], "each image needs an output"),
        ([f"{t}.lta", scans[0], scans[0]], "is also an input"),
        ([f"{t}.lta", scans[0], "x.txt"], "an output must end in"),
        ([scans[0], scans[0], a], "unknown transform type"),
        ([f"{tmp_path}/b.mgz", scans[0], a], "displacement field of three frames"),
        (["none.lta", scans[0], a], "none.lta"),
        ([f"{t}.lta", "none.nii.gz", a], "none.nii.gz"),
    ):
        assert main(["apply", *words]) == 1
        assert message in capsys.readouterr().err


def test_without_published_weights_own_networks_work(
    scans, no_models, tmp_path, monkeypatch, capsys
):
    calls = []

    def register_cohort(*args, **kwargs):
        calls.append((args, kwargs))
        return Outcome(1)

    monkeypatch.setattr("synthtf.published.synthmorph.running.register_cohort", register_cohort)
    o = f"{tmp_path}/o.nii.gz"
    for flags, model, affine, method in (
        ([], "deformable-2mm", "affine-2mm", "joint"),
        (["-m", "deform"], "deformable-2mm", None, "deformable"),
        (["-m", "affine", "-H"], "affine-2mm", None, "affine"),
        (["-m", "rigid"], "affine-2mm", None, "rigid"),
        (["reg", "-m", "def"], "deformable-2mm", None, "deformable"),
    ):
        assert main([*flags, "-o", o, "-r", "0.7", "-n", "6", *scans]) == 0
        out = capsys.readouterr().out
        assert "no published weights synthmorph." in out
        assert f"{model} will be used instead" in out
        (_, outputs, path), kwargs = calls.pop()
        assert (path.name, kwargs["method"]) == (model, method)
        assert getattr(kwargs["affine"], "name", None) == affine
        assert (kwargs["regularization"], kwargs["steps"]) == (0.7, 6)
        assert (outputs.moved, outputs.header_only) == (o, "-H" in flags)
    (tmp_path / "i.lta").write_text("")
    for flags in (["-e", "192"], ["-d", str(tmp_path)], ["-M", "-i", f"{tmp_path}/i.lta"]):
        assert main([*flags, "-o", o, *scans]) == 1
        assert f"{flags[0]}: only with published weights" in capsys.readouterr().err


def test_exit_codes(scans, models, tmp_path, capsys):
    assert main([]) == 0
    assert "usage: synthtf-synthmorph [-h] register|apply" in capsys.readouterr().out
    o = ["-o", f"{tmp_path}/o.nii.gz"]
    for flags, message in (
        ([], "at least one output must be given: -o, -O, -t, -T or -d"),
        (["-o", scans[0]], "is also an input"),
        ([*o, "-O", o[1]], "-o and -O must be two files. Received: "),
        (["-o", str(tmp_path)], "-o must be a file. Received: the folder"),
        ([*o, "-H"], "-H: a header cannot hold a deformation"),
        ([*o, "-M"], "-M: there is no initial transform to apply half of; add -i"),
        ([*o, "-i", "none.lta"], "none.lta does not exist"),
        ([*o, "-r", "0"], "must lie in (0, 1). Received: 0"),
        ([*o, "-n", "4"], "at least 5 integration steps"),
        ([*o, "-e", "30"], "`extent` must be a multiple of 4"),
        (["-t", "t.lta"], "-t must end in .nii.gz or .nii or .mgz or .mgh. Received: t.lta"),
        (["-m", "affine", "-T", "t.nii.gz"], "-T must end in .lta. Received: t.nii.gz"),
        ([*o, "--max-memory", "0"], "memory is limited to more than 0 GB"),
    ):
        assert main([*flags, *scans]) == 1, flags
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert main([*o, "none.nii.gz", scans[1]]) == 1
    assert "none.nii.gz does not exist" in capsys.readouterr().err
    for words in (["-o", "x.nii.gz", scans[0]], [*scans, "--unknown"], ["-m", "other", *scans]):
        with pytest.raises(SystemExit, match="2"):
            main(words)


@pytest.mark.parametrize(
    "line",
    [
        "-m joint -t t.mgz -o o.mgz moving.mgz fixed.mgz",
        "-m affine -o o.mgz -O i.mgz -t t.lta -T v.lta -H -i i.lta -j 8 -g m.mgz f.mgz",
        "-r 0.25 -n 10 -e 192 -w affine.h5 -w deform.h5 -d folder -M -i i.lta m.nii f.nii",
    ],
)
def test_command_lines_of_others_are_understood(line):
    args = make_parser().parse_args(["register", *line.split()])
    assert args.moving.startswith("m")
    assert args.fixed.startswith("f")
    args = make_parser().parse_args(["apply", "-m", "nearest", "-t", "uint8", "t.mgz", "a", "b"])
    assert (args.trans, args.files) == ("t.mgz", ["a", "b"])


def test_defaults():
    args = make_parser().parse_args(["register", "moving", "fixed"])
    assert (args.mode, args.regularization, args.steps, args.extent) == ("joint", 0.5, 7, 256)
    assert (args.threads, args.gpu, args.mid_space, args.header_only) == (None, False, False, False)
