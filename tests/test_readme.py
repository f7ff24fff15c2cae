"""The README's Python blocks run as written, at a tiny size."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest

from synthtf.data.phantoms import write_phantoms

README = Path(__file__).resolve().parents[1] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
# What would take minutes, and what stands for it here.
SMALLER = {"(64, 64, 64)": "(16, 16, 16)", "spacing=3.0": "spacing=8.0"}
SMALLER |= {"num_batches=50": "num_batches=1", "epochs=40": "epochs=1"}
EXPORT = 'model.task_model.export("segmenter")'


def test_there_are_examples():
    assert len(BLOCKS) == 3 and "import synthtf" in BLOCKS[0]
    assert all(text in BLOCKS[0] for text in (*SMALLER, EXPORT))
    assert f"from {write_phantoms.__module__} import write_phantoms" in README.read_text()


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_examples_run(number, tmp_path, monkeypatch):
    code = BLOCKS[number]
    if number == 0:
        write_phantoms(tmp_path / "maps", 2, shape=(24, 24, 24), spacing=8.0)
        for old, new in SMALLER.items():
            code = code.replace(old, new)
        if keras.backend.backend() != "tensorflow":
            code = code.replace(EXPORT, "model.task_model")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "readme"}
    exec(code, names)
    if number == 0 and keras.backend.backend() == "tensorflow":
        assert (tmp_path / "segmenter" / "saved_model.pb").is_file()
    if number == 1:
        assert tuple(names["image"].shape) == (1, 96, 96, 1)
    if number == 2:
        image = np.random.default_rng(0).uniform(size=(2, 8, 8, 1)).astype("float32")
        inverted = np.asarray(keras.ops.convert_to_numpy(names["RandomNegative"]()(image)))
        assert inverted.shape == image.shape and not np.allclose(inverted, image)
