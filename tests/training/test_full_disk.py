"""A training from the command line on a disk that is full, and then has room."""

import json
import subprocess

import keras
import numpy as np
import pytest
from training_process import arguments, environment

from synthtf.training.checkpoint import finished_epochs

SHARES = (0.1, 0.5, 0.8, 0.95)
"""Of the room that the run takes in the end; as a file is replaced, more is needed."""


def start(phantoms, folder):
    command = arguments(phantoms, folder, average=0.9)
    return subprocess.run(command, env=environment(), capture_output=True, text=True)


def size_of(folder):
    return sum(path.stat().st_size for path in folder.rglob("*.*"))


def contents(folder):
    facts = json.loads((folder / "run.json").read_text())
    network = keras.saving.load_model(folder / "model.keras", compile=False)
    log = np.genfromtxt(folder / "log.csv", delimiter=",", names=True)
    return facts["steps_done"], log.tolist(), [x.tobytes() for x in network.get_weights()]


@pytest.mark.slow
def test_it_says_so_in_one_line_and_goes_on_where_there_is_room(phantoms, small_disk, tmp_path):
    assert start(phantoms, tmp_path / "whole").returncode == 0
    needed = size_of(tmp_path / "whole")
    disk, leave = small_disk
    folder, epochs = disk / "run", []
    for share in SHARES:
        leave(max(0, int(share * needed) - size_of(folder)))
        done = start(phantoms, folder)
        epochs.append(finished_epochs(folder))
        last = done.stderr.splitlines()[-1]
        print(f"{share:.0%} of {needed:,} bytes: epoch {epochs[-1]}; {last}")
        if done.returncode == 0:
            break
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert last.startswith(f"synthtf train: No space left on device: {folder}/")
        assert not list(folder.rglob("*.part*"))
    assert epochs == sorted(epochs) and len(epochs) > 2 and epochs[-1] > 0
    (disk / "filler").unlink()
    done = start(phantoms, folder)
    assert done.returncode == 0, done.stderr
    assert contents(folder) == contents(tmp_path / "whole")
