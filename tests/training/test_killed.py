"""Processes that are killed: at each file operation of a training, and at any moment."""

import json
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from training_process import arguments, environment

from synthtf.training.checkpoint import Checkpoint

# A training whose process kills itself before a file operation in its run folder.
TRAINING = """
import builtins, io, os, signal, sys
from pathlib import Path
folder, task, kills = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
import numpy as np
from synthtf.layers import RandomIntensity, RandomNoise
from synthtf.synthesis import Recipe
from synthtf.tasks.registry import tasks
from synthtf.training import Schedule
from synthtf.training.plan import TrainingPlan
from synthtf.training.workflow import train_run

done = 0

def counted(original, name):
    def counted(path, *args, **kwargs):
        global done
        mode = kwargs.get("mode", args[0] if args else "r")
        inside = name == "fsync" or str(path).startswith(str(folder))
        if inside and (name != "open" or set(mode) & set("wax")):
            done += 1
            if done == kills:
                os.kill(os.getpid(), signal.SIGKILL)
        return original(path, *args, **kwargs)
    return counted

for owner, name in ((os, "replace"), (os, "rename"), (os, "unlink"), (os, "fsync"),
                    (builtins, "open"), (io, "open")):
    setattr(owner, name, counted(getattr(owner, name), name))
image = np.zeros((32, 32), "int32")
image[6:26, 6:22], image[10:16, 9:15] = 2, 3
plan = TrainingPlan(
    task=tasks()[task](),
    recipe=Recipe([RandomIntensity(), RandomNoise()]),
    shape=(32, 32),
    steps_per_epoch=2,
    seed=1,
)
schedule = Schedule(3, learning_rate=0.01, average=0.5, check_every=3)
train_run([image, image[::-1].copy()], folder, plan, schedule, resume=True, verbose=0)
"""
# At least so many, which is all that the writing of an epoch needs.
KILLS = 20


def start(folder, task, kills):
    return subprocess.run(
        [sys.executable, "-c", TRAINING, folder, task, str(kills)],
        env=environment(),
        capture_output=True,
        text=True,
    )


def contents(folder):
    facts = json.loads((folder / "run.json").read_text())
    del facts["minutes_done"]
    weights = keras.saving.load_model(folder / "model.keras", compile=False).get_weights()
    values = [*weights, *Checkpoint.read(folder).values]
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    texts = [(folder / name).read_bytes() for name in names if name.endswith(("csv", "png"))]
    return names, facts, texts, [value.tobytes() for value in values]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["segmentation", "stripping", "registration"])
def test_killed_processes_resume_to_the_same(tmp_path, task):
    """One training is killed again and again, each time an operation later."""
    whole = start(tmp_path / "whole", task, 0)
    assert whole.returncode == 0, whole.stderr
    folder, kills = tmp_path / "run", 0
    while True:
        kills += 1
        done = start(folder, task, kills)
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
    assert contents(folder) == contents(tmp_path / "whole")
    assert kills >= KILLS


class Training:
    """`synthtf train segmentation` in a process of its own, which goes on in a folder."""

    def __init__(self, phantoms, folder):
        self.state = folder / "checkpoints" / "state.npz"
        self.before = self.leftovers()
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            arguments(phantoms, folder, epochs=30, average=0.9, check_every=3),
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def written(self):
        """When the last checkpoint was."""
        return self.state.stat().st_mtime_ns if self.state.is_file() else 0

    def leftovers(self):
        """What there is of checkpoints that are being written, or were when they were killed."""
        return set(self.state.parent.glob(".state*.part*"))

    def aside(self):
        """What there is of a checkpoint that this process is writing."""
        return self.leftovers() - self.before

    def wait(self, until):
        """Wait for something that comes before the end; give how long it has run."""
        while not until():
            assert self.process.poll() is None, self.process.stderr.read()
            time.sleep(2e-4)
        return time.monotonic() - self.began

    def wait_for_checkpoints(self, count):
        """Wait for so many new ones."""
        for _ in range(count):
            before = self.written()
            self.wait(lambda: self.written() != before)  # noqa: B023

    def kill(self):
        """Kill it; give whether a checkpoint was being written."""
        self.process.kill()
        assert self.process.wait() == -signal.SIGKILL, self.process.stderr.read()
        return bool(self.aside())


def killed_at_random(training, rng, start):
    """Kill while the process begins, or after some checkpoints."""
    if rng.random() < 0.3:
        time.sleep(rng.uniform(0, start))
    else:
        training.wait_for_checkpoints(int(rng.integers(1, 4)))
        time.sleep(rng.uniform(0, 0.3))
    return training.kill()


def killed_while_writing(training, rng):
    """Kill at a moment between the first byte of a checkpoint and its last."""
    training.wait_for_checkpoints(int(rng.integers(0, 3)))
    training.wait(training.aside)
    time.sleep(rng.uniform(0, 2e-3))
    return training.kill()


@pytest.fixture(scope="module")
def undisturbed(phantoms, tmp_path_factory):
    """The contents of such a run, and the seconds until its first checkpoint."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    training = Training(phantoms, folder)
    start = training.wait(training.written)
    assert training.process.wait() == 0, training.process.stderr.read()
    return contents(folder), start


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_moment_it_resumes_to_the_same(phantoms, undisturbed, tmp_path, seed):
    """Three times at random and twice while a checkpoint is written, in any order; then not."""
    expected, start = undisturbed
    rng, folder = np.random.default_rng(seed), tmp_path / "run"
    moments, hits = [], 0
    for writing in rng.permutation([False, False, False, True, True]):
        for _ in range(6):
            training = Training(phantoms, folder)
            hit = (
                killed_while_writing(training, rng)
                if writing
                else killed_at_random(training, rng, start)
            )
            hits += hit
            moments.append((Checkpoint.read(folder).epochs if training.written() else 0, hit))
            if hit or not writing:
                break
    print(f"killed after epochs, and while a checkpoint was written: {moments}")
    training = Training(phantoms, folder)
    assert training.process.wait() == 0, training.process.stderr.read()
    assert hits >= 2
    assert contents(folder) == expected
