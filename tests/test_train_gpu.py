"""`scripts/train_gpu.sh` goes on with a run of TensorFlow on JAX, and TensorFlow goes on again."""

import csv
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from synthtf.data import write_volume
from synthtf.networks import UNetConfig
from synthtf.tasks import SegmentationTask
from synthtf.training import Schedule
from synthtf.training.plan import TrainingPlan
from synthtf.training.workflow import train_run

SCRIPT = Path(__file__).parents[1] / "scripts" / "train_gpu.sh"


@pytest.fixture(autouse=True)
def float32():
    yield
    keras.config.set_dtype_policy("float32")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs JAX")
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="begins on TensorFlow")
def test_a_run_goes_from_tensorflow_to_jax_and_back(tmp_path):
    labels = np.zeros((24, 24), "int32")
    labels[6:17, 5:15] = 2
    write_volume(tmp_path / "map.nii.gz", labels, affine=np.eye(4))
    plan = TrainingPlan(
        recipe="tutorial",
        shape=(16, 16),
        steps_per_epoch=2,
        precision="mixed_bfloat16",
        task=SegmentationTask(UNetConfig(4, 2, fine_features=2)),
    )
    maps, folder = [tmp_path / "map.nii.gz"], tmp_path / "run"

    def train(epochs):
        schedule = Schedule(epochs, anneal=False, average=0.998, check_every=0)
        run = train_run(maps, folder, plan, schedule, resume=True, verbose=0)
        with (folder / "log.csv").open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert [int(row["epoch"]) for row in rows] == list(range(len(rows)))
        assert all(np.isfinite(float(row["loss"])) for row in rows)
        return run, len(rows)

    run, epochs = train(1)
    assert epochs == 1
    python = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{python}{os.pathsep}{os.environ['PATH']}", "STEPS": "2"}
    environment["OUT"] = str(tmp_path / "out")
    # The flags of the network and the data are those of the run.
    done = subprocess.run(
        ["bash", SCRIPT, maps[0], folder, "0.001", "--check-every", "0"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    # What JAX wrote gives the same on TensorFlow as on JAX, and can go elsewhere in parts.
    image = np.random.default_rng(0).random((1, 16, 16, 1)).astype("float32")
    found = run.load(folder).task_model.predict_on_batch(image)
    np.save(tmp_path / "image.npy", image)
    code = "import keras, numpy, sys; m = keras.models.load_model(sys.argv[1], compile=False); "
    code += "numpy.save(sys.argv[3], m.predict_on_batch(numpy.load(sys.argv[2])))"
    files = [folder / "model.keras", tmp_path / "image.npy", tmp_path / "jax.npy"]
    on_jax = {**environment, "KERAS_BACKEND": "jax"}
    subprocess.run([sys.executable, "-c", code, *map(str, files)], env=on_jax, check=True)
    np.testing.assert_allclose(found, np.load(tmp_path / "jax.npy"), atol=1e-4)
    parts = sorted((tmp_path / "out").glob("run.tar.xz.*"))
    listed = subprocess.run(
        f"cat {' '.join(map(str, parts))} | tar -tJ", shell=True, capture_output=True, text=True
    )
    assert "./checkpoints/state.npz" in listed.stdout.split()
    _, epochs = train(3)
    assert epochs == 3


def test_a_call_without_arguments_says_how():
    done = subprocess.run(["bash", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 2
    assert "bash scripts/train_gpu.sh MAPS RUN MINUTES" in done.stderr


@pytest.mark.skipif(shutil.which("xz") is None, reason="needs xz")
@pytest.mark.parametrize("limit", [{}, {"OUT_MB": "0"}])
def test_what_is_there_is_packed_after_a_failure(tmp_path, limit):
    run, out = tmp_path / "run", tmp_path / "out"
    (run / "checkpoints").mkdir(parents=True)
    out.mkdir()
    for name in ("log.csv", "model.keras", "checkpoints/backup"):
        (run / name).write_text(name)
    (out / "run.tar.xz.ab").write_text("of an earlier call, which was larger")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", SCRIPT, tmp_path, run, "1", "--no-such-flag"],
        env={**os.environ, **limit, "PATH": path, "OUT": str(out)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "--no-such-flag" in done.stderr
    assert [part.name for part in out.iterdir()] == ["run.tar.xz.aa"]
    listed = subprocess.run(
        ["tar", "-tJf", out / "run.tar.xz.aa"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "./model.keras" in listed
    assert ("./checkpoints/backup" in listed) == (not limit)
