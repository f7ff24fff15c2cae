"""A process that uses one network after another does not grow."""

import gc
import shutil
import sys
import weakref
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pytest
from synthseg_weights import write_unet

from synthtf.data import Volume
from synthtf.inference import segment
from synthtf.interop import load_synthseg
from synthtf.runs import Run
from synthtf.runs.run import FACTS, MODEL, RECIPE
from synthtf.runs.unused import EVERY

FOLDER = Path(__file__).parent / "fine_run"
SCAN = Volume(
    np.random.default_rng(0).random((16, 16, 16)).astype("float32"), np.diag([4.0, 4.0, 4.0, 1.0])
)
IMAGE = np.zeros((1, 16, 16, 16, 1), "float32")
_GROWTH = 100  # MB


def resident():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1000


class Loads:
    """Files, good and damaged, and references to the networks that were made from them."""

    def __init__(self, folder):
        self.folder, self.number = folder, 0
        self.networks, self.refused = [], 0
        write_unet(folder / "synthseg_2.0.h5", levels=2)

    def run(self, damaged):
        shutil.rmtree(self.folder / "run", ignore_errors=True)
        shutil.copytree(FOLDER, self.folder / "run")
        (self.folder / "run" / "SHA256SUMS").unlink(missing_ok=True)
        if damaged:
            self.damage(self.folder / "run" / (MODEL, RECIPE, FACTS)[self.number % 3])
        return Run.load(self.folder / "run")

    def damage(self, path):
        data = path.read_bytes()
        path.write_bytes(data[: np.random.default_rng(self.number).integers(len(data))])
        return path

    def network(self, damaged):
        network = self.run(damaged).task_model
        network.predict_on_batch(IMAGE)
        return network

    def recipe(self, damaged):
        assert self.run(damaged).recipe is not None

    def segment(self, damaged):
        run = self.run(damaged)
        segment(SCAN, run, flip=False, refine=False, cleaning=None)
        return run.task_model

    def synthseg(self, damaged):
        path = self.folder / "again.h5"
        shutil.copy(self.folder / "synthseg_2.0.h5", path)
        network = load_synthseg(self.damage(path) if damaged else path)
        network.predict_on_batch(IMAGE)
        return network

    def do(self, kind):
        """Load a file and use it; a third of them are damaged."""
        self.number += 1
        try:
            network = getattr(self, kind)(self.number % 3 == 0)
        except (ValueError, OSError):
            self.refused += 1
        else:
            self.networks += [] if network is None else [weakref.ref(network)]

    def alive(self):
        return sum(ref() is not None for ref in self.networks)


@pytest.fixture
def loads(tmp_path):
    return Loads(tmp_path)


def do_all(loads, number):
    """Do so many loads; gives the most networks there at once, and resident memory."""
    curve, most = [], 0
    for kind in islice(cycle(["network", "recipe", "synthseg", "segment"]), number):
        loads.do(kind)
        most = max(most, loads.alive())
        curve.append(round(resident()))
    return most, curve


def test_networks_that_are_dropped_do_not_pile_up(loads):
    gc.disable()  # Python alone clears them at some time or other
    try:
        most, _ = do_all(loads, 2 * EVERY)
    finally:
        gc.enable()
    assert loads.refused >= 2 and len(loads.networks) >= 4
    # The next network is made while the others are there.
    assert most <= EVERY + 1
    gc.collect()
    assert loads.alive() == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_stays_constant_over_many_loads(loads):
    do_all(loads, 20)
    most, curve = do_all(loads, 180)
    print(curve[::10])
    assert most <= EVERY + 1 and loads.refused > 40
    assert max(curve[-40:]) - max(curve[:40]) < _GROWTH


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_stays_constant_over_a_cohort():
    run = Run.load(FOLDER)
    curve = []
    for _ in range(12):
        segment(SCAN, run)
        curve.append(round(resident()))
    assert max(curve) - curve[1] < _GROWTH
