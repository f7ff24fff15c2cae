"""A training that dies at any file operation goes on to the same result."""

import builtins
import csv
import errno
import io
import json
import os

import keras
import numpy as np
import pytest
from small_model import LABELS, RECIPE, SHAPE, small_maps, small_model

from synthtf.data import LabelTable
from synthtf.runs import Run
from synthtf.training import Schedule
from synthtf.training.checkpoint import Checkpoint, finished_epochs
from synthtf.training.loop import train

SCHEDULE = Schedule(2, learning_rate=0.05, average=0.5, check_every=3)


def make(folder, new=True):
    model, maps = small_model(), small_maps(num_batches=2)
    facts = {"task": "small", "shape": list(SHAPE), "spacing": [1.0, 1.0], "multiple": 1}
    facts["output_labels"] = LABELS
    if new or not finished_epochs(folder):  # as `train_run` does
        run = Run.create(folder, LabelTable.from_labels(LABELS), RECIPE, facts)
    else:
        run = Run.load(folder)
    return run, model, maps


def go(folder, resume=False, schedule=SCHEDULE, spoil=()):
    run, model, maps = make(folder, not resume)
    model.spoil = spoil
    train(run, model, maps, schedule, resume=resume, verbose=0)
    return run


def contents(folder):
    """All that two trainings must have in common."""
    facts = json.loads((folder / "run.json").read_text())
    del facts["minutes_done"]
    weights = keras.saving.load_model(folder / "model.keras", compile=False).get_weights()
    checkpoint = Checkpoint.read(folder)
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    texts = [(folder / name).read_bytes() for name in names if name.endswith(("csv", "png"))]
    values = [value.tobytes() for value in (*weights, *checkpoint.values)]
    return names, facts, texts, values, checkpoint.rows, checkpoint.guard


@pytest.fixture(scope="module", autouse=True)
def _quick_figures():
    """Figures that show what they are drawn from as text."""

    def draw(source, path, titles=None):
        with open(path, "wb") as file:
            file.write(str(titles or source.read_bytes()).encode())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("synthtf.figures.contact_sheet", draw)
        patch.setattr("synthtf.figures.learning_curve", draw)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    go(folder)
    return contents(folder)


class Killed(BaseException):
    pass


class Operations:
    """Lets so many file operations happen, and none after them."""

    def __init__(self, monkeypatch, allowed, folder):
        self.allowed, self.done, self.folder = allowed, 0, str(folder)
        for owner, name in (
            *((os, name) for name in ("replace", "rename", "unlink", "fsync")),
            *((module, "open") for module in (builtins, io)),
        ):
            monkeypatch.setattr(owner, name, self.counted(getattr(owner, name), name))

    def counted(self, original, name):
        def counted(path, *args, **kwargs):
            mode = kwargs.get("mode", args[0] if args else "r")
            if name == "fsync" or (
                str(path).startswith(self.folder) and (name != "open" or set(mode) & set("wax"))
            ):
                self.done += 1
                if self.done > self.allowed:
                    self.stop()
            return self.opened(original(path, *args, **kwargs), name)

        return counted

    def stop(self):
        raise Killed

    def opened(self, result, name):
        return result


def test_killed_before_each_file_operation_it_resumes_to_the_same(whole, tmp_path, monkeypatch):
    """One training is killed again and again, each time an operation later."""
    folder, kills = tmp_path / "run", 0
    while True:
        with monkeypatch.context() as patch:
            operations = Operations(patch, kills, folder)
            try:
                go(folder, resume=kills > 0)
                break
            except Killed:
                kills += 1
        assert kills < 60
    assert contents(folder) == whole
    assert kills >= 12 and operations.done <= kills


class FullDisk(Operations):
    """Has no room from some write on."""

    def counted(self, original, name):
        def counted(path, *args, **kwargs):
            mode = kwargs.get("mode", args[0] if args else "r")
            result = original(path, *args, **kwargs)
            if name == "open" and str(path).startswith(self.folder) and set(mode) & set("wax"):
                return Limited(result, self)
            return result

        return counted


class Limited:
    """A file on such a disk."""

    def __init__(self, file, disk):
        self.file, self.disk = file, disk

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def write(self, data):
        self.disk.done += 1
        if self.disk.done > self.disk.allowed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.file.name))
        return self.file.write(data)


def test_a_full_disk_leaves_the_last_checkpoint(whole, tmp_path, monkeypatch):
    """There is room for more and more writes, until there is for all."""
    folder, writes = tmp_path / "run", 0
    while True:
        with monkeypatch.context() as patch:
            disk = FullDisk(patch, writes, folder)
            try:
                go(folder, resume=writes > 0)
                break
            except OSError as error:
                assert error.errno == errno.ENOSPC
        assert not list(folder.rglob("*.part*"))
        writes = max(writes + 1, int(1.3 * writes))
    assert contents(folder) == whole
    assert writes >= 10 and disk.done <= writes


def test_a_disk_that_is_really_full_leaves_the_last_checkpoint(whole, small_disk):
    """There are more and more pages for the run."""
    disk, leave = small_disk
    folder, pages, epochs = disk / "run", 1, []
    while True:
        leave(4096 * pages)
        try:
            go(folder, resume=True)
            break
        except OSError as error:
            assert error.errno == errno.ENOSPC and str(folder) in error.filename
        assert not list(folder.rglob("*.part*"))
        epochs.append(finished_epochs(folder))
        pages = max(pages + 1, int(1.2 * pages))
    assert contents(folder) == whole
    assert epochs == sorted(epochs) and set(epochs) >= {0, 1}


def test_a_loss_that_is_not_finite_stops_and_resumes(whole, tmp_path, capsys):
    folder = tmp_path / "run"
    with pytest.raises(ValueError, match=r"step 2 of epoch 2.* keys \(3, 5\).* epoch 1 is kept"):
        go(folder, spoil=(3,))
    with open(folder / "guard.csv", newline="") as file:
        last = list(csv.DictReader(file))[-1]
    assert (last["seed"], last["number"], last["faults"]) == ("3", "5", "loss not finite")
    run = Run.load(folder)
    assert run.metadata["epochs_done"] == 1 and "(3, 5)" in run.metadata["stopped"]
    assert all(np.isfinite(value).all() for value in run.task_model.get_weights())
    go(folder, resume=True)
    assert "after epoch 1; before, the loss became not finite" in capsys.readouterr().err
    assert contents(folder) == whole


def test_weights_that_are_not_finite_are_not_written(tmp_path, monkeypatch):
    """The last step of an epoch may spoil them while its loss was fine."""
    update = keras.Model.train_step

    def spoiled(self, data):
        result = update(self, data)
        if int(self.optimizer.iterations) == 4:
            self.trainable_variables[0].assign(np.inf * self.trainable_variables[0])
        return result

    monkeypatch.setattr(keras.Model, "train_step", spoiled)
    with pytest.raises(ValueError, match=r"the weights became not finite in step 2 of epoch 2"):
        go(tmp_path)
    assert Checkpoint.read(tmp_path).epochs == Run.load(tmp_path).metadata["epochs_done"] == 1


def test_ctrl_c_says_from_where_it_resumes(tmp_path, monkeypatch, capsys):
    step = keras.Model.train_step

    def interrupted(self, data):
        if int(self.optimizer.iterations) == 3:
            raise KeyboardInterrupt
        return step(self, data)

    monkeypatch.setattr(keras.Model, "train_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path)
    assert "interrupted after epoch 1, from which it can resume" in capsys.readouterr().err


@pytest.mark.parametrize("option", [{"optimizer": "adam"}, {"average": 0.0}])
def test_another_optimizer_is_refused(whole, tmp_path, option):
    go(tmp_path, schedule=Schedule(1, average=0.5))
    with pytest.raises(ValueError, match=f"another `{next(iter(option))}`"):
        go(tmp_path, resume=True, schedule=Schedule(2, **{"average": 0.5} | option))


def test_a_damaged_checkpoint_is_named(tmp_path):
    go(tmp_path, schedule=Schedule(1))
    path = tmp_path / "checkpoints" / "state.npz"
    data = path.read_bytes()
    for damaged in (data.replace(b"epochs_done", b"epochs_dune"), data[:100], b""):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"state\.npz: not a checkpoint"):
            Checkpoint.read(tmp_path)
