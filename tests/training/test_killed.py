"""Processes that are killed at the file operations of a training, for each task."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

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
    root = Path(__file__).resolve().parents[2]
    return subprocess.run(
        [sys.executable, "-c", TRAINING, folder, task, str(kills)],
        env=os.environ | {"PYTHONPATH": str(root), "MPLBACKEND": "agg"},
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
