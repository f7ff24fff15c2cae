"""The loops in docs/loops.md run as written, at a tiny size."""

import importlib.util
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from backend_process import run

from synthtf.cli.main import main
from synthtf.data.phantoms import write_phantoms
from synthtf.layers import RandomIntensity, RandomNoise
from synthtf.runs import Run
from synthtf.synthesis import Recipe

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "loops.md").read_text()
BLOCKS = re.findall(r"```python ?(\w*)\n(.*?)```", TEXT, re.DOTALL)
# What would take minutes, and what stands for it here.
SMALLER = {
    "4, shape=(64, 64, 64), spacing=3.0": "1, shape=(24, 24, 24), spacing=8.0",
    "(64, 64, 64), maps.labels, spacing=3.0": (
        "(16, 16, 16), maps.labels, spacing=8.0, recipe=synthtf.Recipe.load('recipe.json'), "
        "network=synthtf.networks.UNetConfig(2, 2)"
    ),
    "num_batches=50": "num_batches=1",
    "steps_per_epoch=50": "steps_per_epoch=1",
    "epochs=2": "epochs=1",
    "batch_size=2": "batch_size=1",
}
RECIPE = Recipe([RandomIntensity(), RandomNoise()])
PRODUCER = "--shape 16 16 16 --spacing 8 --features 2 --levels 2 --num 6 --shard-size 2"
PRODUCER += " --recipe recipe.json"
REFUSALS = """
from synthtf.training.devices import refuse_processes

for refused in (refuse_processes, on_devices(1).__enter__):
    try:
        refused()
    except ValueError as error:
        assert "processes" in str(error)
    else:
        raise AssertionError(refused)
"""
needs_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs JAX")


def code_of(backend):
    blocks = [code for only, code in BLOCKS if only in ("", backend)]
    for old, new in SMALLER.items():
        blocks = [code.replace(old, new) for code in blocks]
    return blocks


def test_there_are_examples():
    assert [only for only, _ in BLOCKS] == ["", "", "", "tensorflow", "jax", "", "", "processes"]
    assert all(any(text in code for _, code in BLOCKS) for text in SMALLER)
    for command in re.findall(r"^synthtf .*[^&\n]", TEXT, re.MULTILINE):
        assert "--shape 64 64 64" in command


@pytest.mark.slow
def test_examples_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    RECIPE.save("recipe.json")
    names = {"__name__": "loops"}
    backend = keras.backend.backend()
    for code in code_of(backend):
        if "read_batches" in code:
            assert main(["stream", "produce", "maps", "-o", "buffer", *PRODUCER.split()]) == 0
        exec(code, names)
        if "loss" in names:
            assert np.isfinite(float(np.asarray(keras.ops.convert_to_numpy(names["loss"]))))
    assert (tmp_path / "run" / "model.keras").is_file()


@pytest.mark.slow
@needs_jax
def test_examples_run_on_jax(tmp_path):
    made, step = code_of("jax")[0], next(code for only, code in BLOCKS if only == "jax")
    RECIPE.save(tmp_path / "recipe.json")
    check = "import numpy as np\nassert np.isfinite(float(loss))\n"
    run("jax", "\n".join([made, "learner = model.on_samples()", step, check]), tmp_path)


@pytest.mark.slow
@needs_jax
def test_two_processes_train_as_one_does(tmp_path):
    write_phantoms(tmp_path / "maps", 2, shape=(24, 24, 24), spacing=8.0)
    RECIPE.save(tmp_path / "recipe.json")
    code = code_of("processes")[-1]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        here = f"127.0.0.1:{free.getsockname()[1]}"
    joined = code.replace("10.0.0.1:1234", here) + REFUSALS
    alone = re.sub("keras.distribution.initialize.*", "", code)
    one = {"on_devices(2)": "on_devices(1)", '"run"': '"alone"', 'os.environ["RANK"]': '"0"'}
    for old, new in one.items():
        assert old in alone
        alone = alone.replace(old, new)
    root = str(Path(__file__).resolve().parents[1])
    environment = os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": root}
    command = [sys.executable, "-c"]
    both = [
        subprocess.Popen([*command, joined], cwd=tmp_path, env=environment | {"RANK": rank})
        for rank in "01"
    ]
    try:
        assert [process.wait() for process in both] == [0, 0]
    finally:
        for process in both:
            process.kill()
    run("jax", alone, tmp_path)
    weights = [Run.load(tmp_path / name).task_model.get_weights() for name in ("run", "alone")]
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
