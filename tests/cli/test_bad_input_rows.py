"""The 48 rows of what users throw at the commands: each a real call, and what the user is told.

`python tests/bad_input_table.py` prints a line per row: what was said or done.
"""

import errno
import json
import os
import re
import resource
import shutil
import sys
import types
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest
from bad_volumes import (
    LABELS,
    MM,
    SIDE,
    affine,
    apply,
    evaluate,
    labels,
    register,
    segment,
    strip,
    synthesize,
    train,
    volume,
)
from bad_volumes import run as call

from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import read_volume
from synthtf.layers import RandomIntensity
from synthtf.runs import Run

SLICE = labels()[..., SIDE // 2 : SIDE // 2 + 1]
COMMANDS = (segment, strip, register, apply, evaluate, synthesize, train)
SIZE = "--features 2 --levels 1 --batch-size 1 --steps-per-epoch 2 --check-every 0"


@pytest.fixture
def user(tmp_path, monkeypatch, capsys, record_property, runs):
    """Somebody at a terminal, in a folder of their own."""
    monkeypatch.chdir(tmp_path)

    def said():
        lines = capsys.readouterr().err.splitlines()
        lines = [line for line in lines if " GB of memory for " not in line]
        record_property("said", (lines or ["done"])[-1].replace(str(tmp_path), "."))
        return lines

    def run(*words):
        try:
            return call(words)
        except SystemExit as stop:
            return stop.code

    def refused(words, status, *parts, lines=1):
        """The call ends with a status, in one line that has all parts."""
        capsys.readouterr()
        allowed = status if isinstance(status, tuple) else (status,)
        found, told = run(*words), said()
        assert found in allowed, (found, told)
        assert len(told) >= 1 and (lines is None or len(told) == lines), told
        assert all(str(part) in told[-1] for part in parts), told
        assert not any("Traceback" in line for line in told)
        assert not list(tmp_path.rglob("*.part*"))
        return told[-1]

    def scan(name="scan.nii.gz", data=None, matrix=None):
        path = tmp_path / name
        write_volume(
            path, labels() if data is None else data, affine=affine() if matrix is None else matrix
        )
        return path

    def save(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return types.SimpleNamespace(
        runs=runs,
        folder=tmp_path,
        run=run,
        said=said,
        refused=refused,
        scan=scan,
        save=save,
        note=lambda text: record_property("said", text),
    )


@pytest.fixture
def unloaded(monkeypatch):
    """No model may be loaded."""
    monkeypatch.setattr("synthtf.runs.run.Run.load", lambda folder: pytest.fail("model loaded"))


def data_of(path):
    return np.asarray(nib.load(path).dataobj)


def has(lines, *parts):
    return any(all(str(part) in line for part in parts) for line in lines)


def training(user, *words, maps=None, out="run"):
    maps = user.scan("map.nii.gz", SLICE) if maps is None else maps
    recipe = user.save("recipe.json", '[{"layer": "RandomIntensity"}]')
    words = ("train", "segmentation", maps, "-o", user.folder / out, *SIZE.split(), *words)
    return (*words, "--recipe", recipe)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of one epoch, which tests may copy."""
    folder = tmp_path_factory.mktemp("trained")

    def save(name, content):
        (folder / name).write_text(content)
        return folder / name

    write_volume(folder / "map.nii.gz", SLICE, affine=affine())
    somebody = types.SimpleNamespace(folder=folder, save=save)
    words = ("--epochs", 1, "--no-anneal")
    assert call(training(somebody, *words, maps=folder / "map.nii.gz")) == 0
    return folder / "run"


@pytest.fixture
def run_folder(user, trained):
    """A copy of that run."""
    return shutil.copytree(trained, user.folder / "run")


# 1 ... 3: which files


MISSING = {
    **{command.__name__: None for command in COMMANDS},
    "check": "check gone.nii.gz",
    "report": "report gone.nii.gz gone.nii.gz -o r.html",
    "export": "export gone.nii.gz -o e",
    "info": "info gone.nii.gz",
    "convert": "convert gone.nii.gz -o m.keras",
    "labels build": "labels build gone.nii.gz gone.nii.gz -o m.nii.gz",
    "labels enrich": "labels enrich gone.nii.gz gone.nii.gz -o m.nii.gz",
}


@pytest.mark.parametrize("command", MISSING)
def test_row_01_missing_path(user, command):
    if MISSING[command] is None:
        (found,) = [c for c in COMMANDS if c.__name__ == command]
        words = found(user.runs, user.folder / "gone.nii.gz", user.folder / "o.nii.gz")
    else:
        words = MISSING[command].split()
    user.refused(words, 2, "gone.nii.gz")


@pytest.mark.parametrize("command", [segment, strip, register])
@pytest.mark.parametrize("way", ["folder to file", "file to folder"])
def test_row_02_folder_in_file_out(user, unloaded, command, way):
    scan, out = user.scan("in/a.nii.gz"), user.folder / "o.nii.gz"
    user.scan("in/b.nii.gz")
    if way == "folder to file":
        user.refused(command(user.runs, scan.parent, out), 2, "o.nii.gz")
    else:
        (user.folder / "out").mkdir()
        user.refused(command(user.runs, scan, user.folder / "out"), 2, "out")


@pytest.mark.parametrize(
    "words",
    [
        "synthesize in -o file",
        "train segmentation in -o file",
        "report in in -o out",
        "evaluate in in --csv out",
        "report in/a.nii.gz in/a.nii.gz -o out",
        "export heads-2mm -o file",
        "convert in -o m.keras",
        "labels enrich in in -o m.nii.gz",
        "apply {runs}/still.tfm in out",
    ],
)
def test_row_02_folders_of_other_commands(user, words):
    user.scan("in/a.nii.gz")
    user.save("file", "kept")
    (user.folder / "out").mkdir()
    user.refused([word.format(runs=user.runs) for word in words.split()], 2)
    assert (user.folder / "file").read_text() == "kept"


@pytest.mark.parametrize("command", [segment, strip, register, evaluate, synthesize, train])
def test_row_03_empty_folder(user, unloaded, command):
    user.save("in/notes.doc", "x")
    words = command(user.runs, user.folder / "in", user.folder / "out")
    user.refused(words, 2, ".nii.gz, .nii, .mgz, .mgh")


# 4 ... 17: volumes


def test_row_04_truncated(user):
    path = user.scan("in/bad.nii.gz")
    path.write_bytes(path.read_bytes()[:-200])
    user.scan("in/good.nii.gz")
    words = segment(user.runs, path.parent, user.folder / "out")
    assert user.run(*words) == 1
    assert has(user.said(), path, "truncated")
    assert {p.name for p in (user.folder / "out").glob("*.nii.gz")} == {"good_seg.nii.gz"}


def test_row_05_one_flipped_bit(user):
    path = user.scan()
    whole, rng, seen = path.read_bytes(), np.random.default_rng(5), 0
    for position in rng.integers(10, len(whole), 60):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            read_volume(path)
        except ValueError as error:
            seen += str(path) in str(error)
    assert seen == 60
    user.refused(segment(user.runs, path, "o.nii.gz"), 1, path, "copy it again")


def test_row_06_a_header_that_claims_too_much(user):
    path = user.save("huge.nii", volume(dim=[3, *[32000] * 3, 1, 1, 1, 1]))
    user.refused(segment(user.runs, path, "o.nii.gz"), 1, path, "32000 x 32000 x 32000")


@pytest.mark.parametrize("command", [segment, strip, register, apply, evaluate, synthesize])
def test_row_07_frames(user, command):
    path = user.save("frames.nii", volume(np.stack([labels()] * 3, -1)))
    out = user.folder / ("out" if command in (apply, synthesize, evaluate) else "o.nii.gz")
    status = user.run(*command(user.runs, path, out))
    lines = user.said()
    if status:
        assert status == 1 and has(lines, path, "frames"), lines
    else:
        written = [p for p in user.folder.rglob("*.nii*") if p != path]
        assert written and all(data_of(p).shape[3:] == (3,) for p in written)


def test_row_08_a_2d_file(user):
    path = user.scan("flat.nii.gz", SLICE)
    assert read_volume(path).ndim == 2
    assert user.run(*segment(user.runs, path, "o.nii.gz")) == 0
    assert data_of("o.nii.gz").shape == (SIDE, SIDE, 1)
    assert user.run(*apply(user.runs, path, user.folder / "out")) == 0
    (moved,) = (user.folder / "out").iterdir()
    assert data_of(moved).shape == (SIDE, SIDE, 1)


def test_row_09_a_trailing_axis(user):
    path = user.save("axis.nii", volume(labels()[..., None]))
    assert user.run(*segment(user.runs, path, "o.nii.gz")) == 0
    assert has(user.said(), path, "fourth axis, of length one, was dropped")
    assert data_of("o.nii.gz").shape == (SIDE,) * 3


@pytest.mark.parametrize("kind", [[(c, "u1") for c in "RGB"], "complex64"], ids=["RGB", "complex"])
def test_row_10_voxels_that_are_no_numbers(user, kind):
    path = user.save("x.nii", volume(np.ones((9, 9, 9), kind)))
    user.refused(segment(user.runs, path, "o.nii.gz"), 1, path, "must be real numbers")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_row_11_nan_and_inf(user, value):
    data = labels().astype("float32")
    data[2:4, 2, 2] = value
    path = user.scan("nan.nii.gz", data)
    assert user.run(*segment(user.runs, path, "o.nii.gz")) == 0
    assert has(user.said(), path, "2 ") and data_of("o.nii.gz").any()


@pytest.mark.parametrize("value", [0, 7])
def test_row_12_a_constant_image(user, value):
    path = user.scan("flat.nii.gz", np.full((SIDE,) * 3, value, "float32"))
    with np.errstate(all="raise"):
        status = user.run(*segment(user.runs, path, "o.nii.gz"))
    lines = user.said()
    assert status in (0, 1) and has(lines, "constant") and has(lines, path)


@pytest.mark.parametrize("row", [[0, 0, 0, 1], [1, 0, 0, np.nan]], ids=["singular", "nan"])
def test_row_13_an_affine_that_is_none(user, row):
    path = user.save("x.nii", volume(srow_x=row, sform_code=1, qform_code=0))
    user.refused(segment(user.runs, path, "o.nii.gz"), 1, path, "affine is singular")


def test_row_14_two_affines(user):
    path = user.save("x.nii", volume(qform_code=1, sform_code=1, qoffset_x=7))
    assert user.run(*segment(user.runs, path, "o.nii.gz")) == 0
    assert has(user.said(), path, "qform and sform differ", "sform is used")


def test_row_15_no_affine(user):
    pixdim = [1, MM, MM, MM, 1, 1, 1, 1]
    path = user.save("x.nii", volume(qform_code=0, sform_code=0, pixdim=pixdim))
    assert user.run(*segment(user.runs, path, "o.nii.gz")) == 0
    assert has(user.said(), path, "sets no orientation")


def test_row_16_left_handed_oblique_sheared(user):
    assert user.run(*segment(user.runs, user.scan(), "straight.nii.gz")) == 0
    straight = np.bincount(data_of("straight.nii.gz").ravel(), minlength=25)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]]
    shear = np.eye(4)
    shear[0, 1] = 0.2
    mirror = np.diag([-1.0, 1, 1, 1])
    for name, change in {"mirror": mirror, "oblique": turn, "shear": shear}.items():
        path = user.scan(f"{name}.nii.gz", matrix=change @ affine())
        assert user.run(*segment(user.runs, path, f"o_{name}.nii.gz")) == 0
        found = nib.load(f"o_{name}.nii.gz")
        np.testing.assert_array_equal(found.affine, nib.load(path).affine)
        counts = np.bincount(data_of(f"o_{name}.nii.gz").ravel(), minlength=25)
        assert np.abs(counts - straight)[1:].max() < 0.2 * straight[1:].max(), name
    user.said()


@pytest.mark.parametrize("size", [0.2, 10.0])
def test_row_17_small_and_large_voxels(user, capsys, size):
    path = user.scan("x.nii.gz", labels()[8:16, 8:16, 8:16], np.diag([size, size, size, 1]))
    status = user.run(*segment(user.runs, path, "o.nii.gz"))
    lines = capsys.readouterr().err.splitlines()
    user.note(lines[0])
    assert has(lines, "GB of memory for") and status in (0, 1)
    assert has(lines, "warning", path)


# 18 ... 21: outputs


def test_row_18_a_full_disk(user):
    path, limits = user.scan(), resource.getrlimit(resource.RLIMIT_FSIZE)
    user.save("o.nii.gz", "earlier")
    noise = np.random.default_rng(0).integers(0, 3, (SIDE,) * 3) * 1.0
    path = user.scan("noise.nii.gz", noise)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, limits[1]))
    try:
        status = user.run(*segment(user.runs, path, "o.nii.gz"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert status == 1 and has(user.said(), "cannot write o.nii.gz", os.strerror(errno.EFBIG))
    assert (user.folder / "o.nii.gz").read_text() == "earlier"
    assert not list(user.folder.glob(".*"))


def test_row_18_a_read_only_output(user, unloaded):
    out = user.save("o.nii.gz", "earlier")
    out.chmod(0o444)
    user.refused(segment(user.runs, user.scan(), out), 2, out, "read-only")
    assert out.read_text() == "earlier"


@pytest.mark.parametrize("command", [segment, strip, register])
def test_row_19_output_equals_input(user, unloaded, command):
    path = user.scan()
    before = path.read_bytes()
    user.refused(command(user.runs, path, path), 2, path, "also an input")
    assert path.read_bytes() == before


def test_row_20_an_output_that_exists(user):
    path, out = user.scan(), user.save("o.nii.gz", "earlier")
    assert user.run(*segment(user.runs, path, out)) == 0
    written = out.stat().st_mtime_ns
    assert user.run(*segment(user.runs, path, out), "--skip-existing") == 0
    assert out.stat().st_mtime_ns == written and data_of(out).any()
    assert user.run("train", "--help") == 0


def test_row_21_spaces_and_other_scripts(user):
    path = user.scan("zwei Wörter/脳 1.nii.gz")
    out = user.folder / "résultats ü" / "脳 seg.nii.gz"
    assert user.run(*segment(user.runs, path, out)) == 0
    assert json.loads((out.parent / "脳 seg.json").read_text())["Input"] == str(path)


# 22 ... 31: label maps and tables


@pytest.mark.parametrize("command", [*LABELS, train])
def test_row_22_labels_that_are_not_whole(user, command):
    path = user.save("x.nii", volume(labels() + np.float32(0.25)))
    words = command(user.runs, path, user.folder / "out")
    user.refused(words, 1, path, "must be whole numbers", "0.25")


@pytest.mark.parametrize("command", [*LABELS, train])
def test_row_23_a_label_that_is_not_listed(user, command):
    path = user.scan("x.nii.gz", labels() + (labels() == 2) * 5)
    count = int((labels() == 2).sum())
    words = command(user.runs, path, user.folder / "out")
    line = user.refused([*words, "--labels", user.runs / "table.tsv"], 1, path, " 7")
    assert re.search(rf"\b{count:,}\b", line), (count, line)


def test_row_24_a_listed_label_that_never_occurs(user):
    table = user.save("t.tsv", "id\tname\n0\tair\n1\tgrey\n2\twhite\n8\tnever\n9\tnor\n")
    words = synthesize(user.runs, user.scan(), user.folder / "out")
    assert user.run(*words, "--labels", table) == 0
    found = [line for line in user.said() if "never occur" in line]
    assert len(found) == 1 and "8" in found[0]


@pytest.mark.parametrize("change", [-1, 2.0**33])
@pytest.mark.parametrize("command", [*LABELS, train])
def test_row_25_labels_out_of_range(user, command, change):
    path = user.save("x.nii", volume(labels() * change))
    words = command(user.runs, path, user.folder / "out")
    user.refused(words, 1, path, "[0, 2^31)")


def test_row_26_an_int64_label_map(user):
    large = labels().astype("int64") * (2**30 - 3)
    path = user.folder / "x.nii.gz"
    nib.Nifti1Image(large, affine(), dtype="int64").to_filename(path)
    np.testing.assert_array_equal(read_volume(path, labels=True).data, large)
    assert user.run(*evaluate(user.runs, path, user.folder / "out")) == 0
    user.note("read as it is")


def test_row_27_a_left_label_without_its_right_partner(user):
    table = user.save("t.tsv", "id\tname\tside\tpartner\n0\tair\t-\t-\n1\tA\tleft\t-\n2\tB\t-\t-\n")
    recipe = user.save("r.json", '[{"layer": "RandomFlip"}, {"layer": "RandomIntensity"}]')
    words = ("synthesize", user.scan(), "-o", "out", "-n", 1, "--labels", table)
    user.refused((*words, "--recipe", recipe), (1, 2), "label 1", "partner", lines=None)


def test_row_28_a_map_that_is_all_background(user):
    user.scan("in/a.nii.gz")
    path = user.scan("in/b.nii.gz", 0 * labels())
    assert user.run(*synthesize(user.runs, path.parent, user.folder / "out")) == 0
    assert has(user.said(), path, "all background and was skipped")


def test_row_29_mixed_shapes_spacings_and_orientations(user):
    user.scan("in/a.nii.gz")
    user.scan("in/b.nii.gz", labels()[2:, 1:-2], np.diag([-1.5, 2, 2.5, 1]))
    user.scan("in/c.mgz", labels(), affine()[[2, 0, 1, 3]])
    words = synthesize(user.runs, user.folder / "in", user.folder / "out")
    words[words.index("-n") + 1] = 3
    assert user.run(*words) == 0
    written = [nib.load(p) for p in sorted((user.folder / "out").glob("*_image.nii.gz"))]
    assert len(written) == 3 and len({image.shape for image in written}) == 1
    assert {nib.aff2axcodes(image.affine) for image in written} == {("R", "A", "S")}
    user.note("one shape, one spacing, RAS")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("id\tname\n0\ta\nx\tb\n", 3),
        ("id\tname\n0\ta\n1\tb\n1\tc\n", 4),
        ("0 air 0 0 0 0\n1 grey 1 2\n", 2),
        ("0 air 0 0 0 0\n1 grey 1 2 3 0\n1 white 1 2 3 0\n", 3),
    ],
)
def test_row_30_a_line_of_a_table(user, text, line):
    table = user.save("t.tsv" if text.startswith("id") else "t.txt", text)
    words = synthesize(user.runs, user.scan(), user.folder / "out")
    user.refused([*words, "--labels", table], 2, table, f"line {line}")


def test_row_31_priors_of_the_wrong_length(user):
    with pytest.raises(ValueError, match=r"priors.*\b4\b.*\b2\b|priors.*\b2\b.*\b4\b") as error:
        RandomIntensity(labels=[0, 1, 2, 3], priors=[(0, 1), (0, 1)])
    user.note(str(error.value))


# 32 ... 36: memory, machines


@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_row_32_pickled_arrays(user, unloaded, ending):
    path = user.folder / f"x.{ending}"
    saver = np.save if ending == "npy" else np.savez
    saver(path, np.array([{"a": 1}], object), allow_pickle=True)
    user.refused(segment(user.runs, path, "o.nii.gz"), 2, path, "unknown ending")


def test_row_33_a_shape_that_is_no_multiple(user):
    path = user.scan("x.nii.gz", labels()[:-1, :-3, 2:])
    assert user.run(*segment(user.runs, path, "o.nii.gz")) == 0
    assert data_of("o.nii.gz").shape == (SIDE - 1, SIDE - 3, SIDE - 2)
    user.note("padded and cropped")


def test_row_34_a_patch_larger_than_the_volume(user):
    assert user.run(*segment(user.runs, user.scan(), "a.nii.gz")) == 0
    assert user.run(*segment(user.runs, user.scan(), "b.nii.gz"), "--patch", 256) == 0
    np.testing.assert_array_equal(data_of("a.nii.gz"), data_of("b.nii.gz"))
    user.note("the same labels")


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("OOM when allocating tensor")])
def test_row_35_out_of_memory(user, monkeypatch, error):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr("keras.Model.predict_on_batch", fail)
    monkeypatch.setattr("keras.Model.__call__", fail)
    line = user.refused(segment(user.runs, user.scan(), "o.nii.gz"), 1, "out of memory", lines=None)
    assert "patch" in line or "crop" in line or "memory" in line.split("out of memory")[1]


def test_row_36_a_gpu_that_is_absent(user, monkeypatch):
    tensorflow = pytest.importorskip("tensorflow")
    from synthtf.startup import load_backend

    if tensorflow.config.list_physical_devices("GPU"):
        pytest.skip("there is a GPU")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.warns(UserWarning, match="CUDA_VISIBLE_DEVICES.*no GPU") as found:
        load_backend()
    user.note(str(found[0].message))


# 37 ... 45: trainings


def test_row_37_a_loss_that_is_nan(user, monkeypatch):
    import keras

    from synthtf.tasks.segmenting.model import SegmentationModel

    objective = SegmentationModel.objective

    def broken(self, outputs):
        step = keras.ops.cast(self.optimizer.iterations, "float32")
        loss = objective(self, outputs)
        return loss + keras.ops.where(step >= 3, np.nan, 0.0)

    monkeypatch.setattr(SegmentationModel, "objective", broken)
    assert user.run(*training(user, "--epochs", 3)) == 1
    assert has(user.said(), "loss")
    weights = Run.load(user.folder / "run").task_model.get_weights()
    assert all(np.isfinite(w).all() for w in weights)
    assert "0,5,map,1,loss not finite" in (user.folder / "run" / "guard.csv").read_text()


class Killed(BaseException):
    """What nobody catches."""


def test_row_38_killed_in_the_middle_of_a_checkpoint(user, run_folder, monkeypatch):
    from synthtf.data import whole_files

    before, replace = Run.load(run_folder).task_model.get_weights(), os.replace

    def kill(source, target):
        if "model" in os.path.basename(target) or "checkpoint" in str(target):
            raise Killed
        replace(source, target)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(whole_files.os, "replace", kill)
        call(training(user, "--epochs", 2, "--no-anneal", "--resume"))
    for a, b in zip(Run.load(run_folder).task_model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    user.note("the one before loads")


def test_row_39_resuming_goes_on_bit_for_bit(user, run_folder):
    words = ("--epochs", 2, "--no-anneal")
    assert user.run(*training(user, *words, out="whole")) == 0
    assert user.run(*training(user, *words, "--resume")) == 0
    weights = [Run.load(name).task_model.get_weights() for name in ("whole", run_folder)]
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)
    user.note("the same weights")


def test_row_40_resuming_with_another_configuration(user, run_folder):
    words = training(user, "--epochs", 2, "--resume", "--features", 3)
    user.refused(words, (1, 2), "cannot resume with another `network`", lines=None)


def test_row_41_weights_of_another_architecture(user, runs):
    shutil.copytree(runs / "segmentation", "run")
    shutil.copy(runs / "registration" / "model.keras", "run/model.keras")
    words = ("segment", user.scan(), "-o", "o.nii.gz", "--model", "run")
    user.refused(words, 1, "model.keras", lines=None)
    assert not (user.folder / "o.nii.gz").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("train segmentation {scan} -o out --seed -1", "[0, 2147483647]"),
        ("train segmentation {scan} -o out --learning-rate 7", "[0, 1]"),
        ("register {scan} {scan} -o out.nii.gz -r 2", "(0, 1)"),
        ("segment {scan} -o out.nii.gz --min-size -1", "0"),
    ],
)
def test_row_42_options_out_of_range(user, unloaded, words, message):
    user.scan("scan.nii.gz")
    user.scan("fixed.nii.gz")
    words = words.replace("{scan}", "fixed.nii.gz", 1).format(scan="scan.nii.gz").split()
    user.refused(words, (1, 2), message)


def test_row_43_a_file_that_fails_while_it_is_loaded(user):
    paths = [user.scan(f"in/{name}.nii.gz", SLICE) for name in "abc"]
    words = training(user, "--epochs", 1, maps=user.folder / "in")
    paths[1].write_bytes(paths[1].read_bytes()[:-100])
    user.refused(words, 1, paths[1], "truncated", lines=None)


def test_row_44_an_empty_result(user):
    path = user.scan("dark.nii.gz", np.zeros((SIDE,) * 3, "float32"))
    user.refused(segment(user.runs, path, "o.nii.gz"), 1, path, lines=None)


@pytest.mark.slow
def test_row_44_one_thread_or_several(user):
    import subprocess

    scan, code = user.scan(), "import sys; from synthtf.cli.main import main; main(sys.argv[1:])"
    for threads in (1, 2):
        words = segment(user.runs, scan, f"o{threads}.nii.gz")
        words = [sys.executable, "-c", code, *map(str, words), "--threads", str(threads)]
        assert subprocess.run(words, check=False).returncode == 0
    np.testing.assert_array_equal(data_of("o1.nii.gz"), data_of("o2.nii.gz"))


def test_row_45_interrupted(user, run_folder, monkeypatch):
    import keras

    end = keras.callbacks.CallbackList.on_train_batch_end

    def interrupt(self, batch, logs=None):
        end(self, batch, logs)
        if batch == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(keras.callbacks.CallbackList, "on_train_batch_end", interrupt)
        words = training(user, "--epochs", 3, "--resume", "--no-anneal")
        user.refused(words, 130, "interrupted", lines=None)
    assert Run.load(run_folder).task_model.get_weights()


# 46 ... 48: harm


@pytest.mark.parametrize("harm", ["external link", "external storage", "shape"])
def test_row_46_an_h5_file_made_to_harm(user, harm):
    path = user.folder / "w.h5"
    with h5py.File(path, "w") as file:
        if harm == "external link":
            file["unet/kernel:0"] = h5py.ExternalLink("/etc/hostname", "/k")
        elif harm == "external storage":
            outside = [("/etc/hostname", 0, 64)]
            file.create_dataset("unet/kernel:0", (4, 4), "f4", external=outside)
        else:
            file.create_dataset("unet/kernel:0", (2**40,), "f4", chunks=(2**20,))
    user.refused(("convert", path, "-o", "m.keras"), (1, 2), path, lines=None)
    assert not (user.folder / "m.keras").exists()


def test_row_47_a_lambda_layer(user, runs):
    import warnings

    import keras

    shutil.copytree(runs / "segmentation", "run")
    inputs = keras.Input((None, None, None, 1))
    network = keras.Model(inputs, keras.layers.Lambda(lambda x: x + 1)(inputs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network.save("run/model.keras")
    Path("run/SHA256SUMS").unlink()
    words = ("segment", user.scan(), "-o", "o.nii.gz", "--model", "run")
    user.refused(words, 1, "model.keras", "Lambda", lines=None)


@pytest.mark.parametrize("name", ["../../etc/x", "/etc/x", "a/../../x"])
def test_row_48_names_that_lead_elsewhere(user, unloaded, name):
    scan, fixed = user.scan(), user.scan("fixed.nii.gz")
    table = user.save("p.tsv", f"moving\tfixed\tname\n{scan}\t{fixed}\t{name}\n")
    model = ("--model", user.runs / "registration")
    found = user.run("register", "--pairs", table, "-o", "in/out", *model)
    assert found == 2 and has(user.said(), name, "leaves the folder")
    assert not (user.folder / "in").exists()


def test_every_row_has_a_test():
    found = {int(name[9:11]) for name in globals() if name.startswith("test_row_")}
    assert found == set(range(1, 49))
