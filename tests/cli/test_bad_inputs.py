"""What users throw at the commands that read volumes: one table of faults, one of commands."""

import shutil

import nibabel as nib
import numpy as np
import pytest
from bad_volumes import (
    BATCHES,
    GOOD,
    LABELS,
    NO_LABELS,
    REFUSED,
    WARNED,
    affine,
    apply,
    evaluate,
    labels,
    register,
    run,
    segment,
    strip,
    synthesize,
    train,
)

from synthtf.cli.main import main
from synthtf.data.volume_writer import write_volume


def save(folder, files):
    """Write files of a table, and a good one."""
    folder.mkdir()
    for name, (make, _) in files.items():
        content = make()
        if content is None:
            (folder / name).mkdir()
        elif isinstance(content, str):
            (folder / name).symlink_to(content)
        else:
            (folder / name).write_bytes(content)
    write_volume(folder / GOOD, labels(), affine=affine())
    return folder


def lines_about(text, path):
    return [line for line in text.splitlines() if str(path) in line]


def faults_of(command):
    files = REFUSED | NO_LABELS if command in LABELS else dict(REFUSED)
    if command in (apply, strip):  # which take each frame by itself
        del files["frames.nii"]
    return files


@pytest.mark.parametrize("command", BATCHES)
def test_a_folder_of_bad_doubtful_and_good_files(runs, tmp_path, capsys, command):
    """Each bad file fails in one line, each doubt is said in one, and all other files are done."""
    bad = faults_of(command)
    scans, out = save(tmp_path / "scans ö", bad | WARNED), tmp_path / "out ö"
    assert run(command(runs, scans, out)) == 1
    error = capsys.readouterr().err
    for name, (_, message) in bad.items():
        start = f"synthtf {command.__name__}: {scans / name}"
        failures = [line for line in lines_about(error, scans / name) if line.startswith(start)]
        assert len(failures) == 1 and message in failures[0], (name, error)
    for name, (_, message) in WARNED.items():
        lines = lines_about(error, scans / name)
        assert [line for line in lines if line.startswith("warning: ") and message in line], name
    assert "Traceback" not in error and GOOD not in error
    if command is evaluate:
        done = {
            line.split(",")[0] for line in (tmp_path / "out ö.csv").read_text().splitlines()[1:]
        }
        assert done == {str(scans / name) for name in (GOOD, *WARNED)}
    elif command is not synthesize:
        done = {path.name.split(".")[0].split("_")[0] for path in out.glob("*.nii*")}
        assert done == {name.split(".")[0] for name in (GOOD, *WARNED)}
    else:
        assert len(list(out.glob("*_image.nii.gz"))) == 1
    assert not list(tmp_path.rglob("*.part*"))


@pytest.mark.parametrize("name", [*REFUSED, *NO_LABELS])
def test_training_refuses_a_bad_map(runs, tmp_path, capsys, name):
    make, message = (REFUSED | NO_LABELS)[name]
    scans = save(tmp_path / "maps", {name: (make, message)})
    assert run(train(runs, scans, tmp_path / "run")) == 1
    (line,) = lines_about(capsys.readouterr().err, scans / name)
    assert line.startswith(f"synthtf train: {scans / name}") and message in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", [evaluate, synthesize, train])
def test_labels_that_a_table_does_not_list(runs, tmp_path, capsys, command):
    scans = tmp_path / "a.nii"
    write_volume(scans, labels() + (labels() == 2) * 5, affine=affine())
    words = command(runs, scans, tmp_path / "out")
    assert run([*words, "--labels", runs / "table.tsv"]) == 1
    (line,) = lines_about(capsys.readouterr().err, scans)
    assert " 7 " in line


@pytest.mark.parametrize("command", [synthesize, train])
def test_maps_that_are_all_background(runs, tmp_path, capsys, command):
    scans = tmp_path / "a.nii"
    write_volume(scans, 0 * labels(), affine=affine())
    assert run(command(runs, scans, tmp_path / "out")) == 1
    assert "all background" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("command", [segment, strip, register, evaluate, synthesize, train])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.nii.gz", "does not exist"),
        ("empty", "the ending must be one of .nii.gz, .nii, .mgz, .mgh"),
        ("a.jpg", "unknown ending; it must be one of .nii.gz, .nii, .mgz, .mgh, .png, .tif"),
        ("list.txt", "is an empty list"),
    ],
)
def test_inputs_that_cannot_be_meant(runs, tmp_path, monkeypatch, capsys, command, name, message):
    monkeypatch.setattr("synthtf.runs.run.Run.load", lambda folder: pytest.fail("model loaded"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "list.txt").write_text("\n# nothing\n")
    assert run(command(runs, tmp_path / name, tmp_path / "out")) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"synthtf {command.__name__}: ")
    assert message in line and str(tmp_path / name) in line and not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", [*BATCHES, train])
def test_outputs_that_cannot_be_written(runs, tmp_path, capsys, command):
    scans = tmp_path / GOOD
    write_volume(scans, labels(), affine=affine())
    (tmp_path / "file").write_text("kept")
    out = tmp_path / "file" / "out"
    target = out if command in (apply, evaluate, synthesize, train) else f"{out}.nii.gz"
    assert run(command(runs, scans, target)) in (1, 2)
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"synthtf {command.__name__}: ") and "file" in line
    assert (tmp_path / "file").read_text() == "kept"
    assert not list(tmp_path.rglob("*.part*"))


OVER_INPUT = {
    "segment": "scan.nii.gz -o scan.nii.gz --model {runs}/segmentation",
    "segment --vol": "scan.nii.gz -o o.nii.gz --vol scan.nii.gz --model {runs}/segmentation",
    "strip": "scan.nii.gz -m ./scan.nii.gz --model {runs}/stripping",
    "register": "scan.nii.gz fix.nii.gz -o fix.nii.gz --model {runs}/registration",
    "register -t": "scan.nii.gz fix.nii.gz -t scan.nii.gz --model {runs}/registration",
    "register -O": "scan.nii.gz fix.nii.gz -o a.nii.gz -O a.nii.gz --model {runs}/registration",
    "apply": "{runs}/still.tfm scan.nii.gz scan.nii.gz",
    "evaluate": "scan.nii.gz fix.nii.gz --csv fix.nii.gz",
}


@pytest.mark.parametrize("case", OVER_INPUT)
def test_inputs_are_never_overwritten(runs, tmp_path, monkeypatch, capsys, case):
    monkeypatch.chdir(tmp_path)
    for name in ("scan.nii.gz", "fix.nii.gz"):
        write_volume(tmp_path / name, labels(), affine=affine())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    words = [word.format(runs=runs) for word in OVER_INPUT[case].split()]
    assert run([case.split()[0], *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert ".nii.gz" in line
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


OUT_OF_RANGE = [
    (strip, "-b nan", 1, "within the 10 mm"),
    (register, "-r 0", 2, "λ must lie in (0, 1)"),
    (register, "-r nan", 2, "λ must lie in (0, 1)"),
    (register, "-n 4", 2, "at least 5 integration steps"),
    (register, "-n 1000000", 2, "at most 20"),
    (apply, "--fill inf", 2, "expected a finite number"),
    (synthesize, "--spacing 0", 2, "must be positive"),
    (synthesize, "--spacing nan", 2, "must be positive"),
    (synthesize, "--seed -1", 2, "[0, 2147483647]"),
    (synthesize, "--seed 2147483648", 2, "[0, 2147483647]"),
    (synthesize, "--shape 8", 2, "two or three sizes"),
    (train, "--spacing -1", 2, "must be positive"),
    (train, "--shape 8 0 8", 2, "above 0 for each axis"),
    (train, "--seed -1", 2, "[0, 2147483647]"),
    (train, "--batch-size 0", 2, "[1, 2147483647]"),
    (train, "--steps-per-epoch 0", 2, "[1, 2147483647]"),
    (train, "--epochs -1", 2, "must lie in [0,"),
    (train, "--minutes 0", 2, "must be positive"),
    (train, "--learning-rate nan", 2, "must be finite"),
    (train, "--learning-rate 0", 2, "(0, 1)"),
    (train, "--precision half", 2, "half"),
    (train, "--levels 0", 2, "must lie in [1,"),
    (train, "--features -3", 2, "must lie in [1,"),
    (train, "--mixture-channels -1", 2, "must lie in [0,"),
    (train, "--labels gone.tsv", 2, "gone.tsv"),
    (train, "--recipe gone.json", 2, "gone.json"),
]


@pytest.mark.parametrize(
    ("command", "words", "status", "message"),
    OUT_OF_RANGE,
    ids=[f"{command.__name__} {words}" for command, words, *_ in OUT_OF_RANGE],
)
def test_options_out_of_range(runs, tmp_path, capsys, command, words, status, message):
    scans = tmp_path / GOOD
    write_volume(scans, labels(), affine=affine())
    out = tmp_path / ("out.nii.gz" if command in (strip, register) else "out")
    assert run([*command(runs, scans, out), *words.split()]) == status
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"synthtf {command.__name__}: ") and message in line
    assert not out.exists()


@pytest.mark.parametrize(
    "words",
    ["segment", "strip", "register", "synthesize -n 0", "synthesize --shape -1", "train"],
)
def test_options_of_another_form_are_wrong_usage(words, capsys):
    options = {"segment": "--threads 0", "strip": "--threads x", "register": "-m x", "train": "x"}
    words = f"{words} {options.get(words, '')} a -o b --model c".split()
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2 and "error: " in capsys.readouterr().err


RUN_FAULTS = {
    "run.json": (lambda path: path.write_text("[1"), "not JSON"),
    "recipe.json": (
        lambda path: path.write_text('[{"layer": "RandomWarp", "strength": -1}]'),
        "strength",
    ),
    "labels.tsv": (lambda path: path.write_text("id\tname\nx\ty\n"), "line 2"),
    "model.keras": (lambda path: path.write_bytes(path.read_bytes()[:-50]), "truncated or corrupt"),
}


# The recipe of a run is read where it is shown, and not where its network is used.
DAMAGED = [
    (command, name)
    for command in (segment, strip, register, "info", "export")
    for name in RUN_FAULTS
    if name != "recipe.json" or command == "info"
]


@pytest.mark.parametrize(("command", "name"), DAMAGED)
def test_damaged_runs(runs, tmp_path, capsys, command, name):
    spoil, message = RUN_FAULTS[name]
    kinds = {strip: "stripping", register: "registration"}
    shutil.copytree(runs, tmp_path / "runs")
    folder = tmp_path / "runs" / kinds.get(command, "segmentation")
    spoil(folder / name)
    (folder / "SHA256SUMS").unlink()  # which would be the first to say so
    write_volume(tmp_path / GOOD, labels(), affine=affine())
    if command in ("info", "export"):
        words = [command, folder, *(("-o", tmp_path / "out") if command == "export" else ())]
    else:
        words = command(tmp_path / "runs", tmp_path / GOOD, tmp_path / "out.nii.gz")
    assert run(words) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("synthtf ") and name in line and message in line
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.nii.gz").exists()


def test_strip_takes_each_frame_by_itself(runs, tmp_path):
    frames = np.stack([labels(), 3 * labels()[::-1]], -1).astype("float32")
    write_volume(tmp_path / "four.nii", frames, affine=affine())
    out = {flag: tmp_path / f"{flag[1:]}.nii" for flag in ("-o", "-m", "-d")}
    words = [word for pair in out.items() for word in pair]
    model = ("--model", runs / "stripping", "--no-flip")
    assert run(["strip", tmp_path / "four.nii", *words, *model]) == 0
    for index in range(2):
        one = tmp_path / "one.nii"
        write_volume(one, frames[..., index], affine=affine())
        single = {flag: tmp_path / f"{flag[1:]}1.nii" for flag in out}
        words = [word for pair in single.items() for word in pair]
        assert run(["strip", one, *words, *model]) == 0
        for flag, path in out.items():
            found, expected = nib.load(path).get_fdata(), nib.load(single[flag]).get_fdata()
            np.testing.assert_allclose(found[..., index], expected, atol=1e-5)
