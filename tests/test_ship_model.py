import hashlib
from pathlib import Path

import keras
import numpy as np
import pytest
from scripts_as_modules import load_script

from synthtf.data.shipped_models import CHECKSUMS, shipped_models
from synthtf.networks import UNetConfig, unet
from synthtf.runs import Run, model_file
from synthtf.runs.model_file import write_network

RUN = Path(__file__).parent / "runs" / "fine_run"


def test_a_shipped_model_is_smaller_and_has_the_same_weights(tmp_path, capsys):
    load_script("ship_model").main([str(RUN), "-o", str(tmp_path / "small")])
    assert "weights changed by at most" in capsys.readouterr().out
    run, small = Run.load(RUN), Run.load(tmp_path / "small")  # which compares the checksums
    assert {weight.dtype for weight in small.task_model.weights} == {"float32"}
    for before, after in zip(
        run.task_model.get_weights(), small.task_model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(after, before.astype("float16"))
    sizes = [(folder / "model.keras").stat().st_size for folder in (RUN, small.folder)]
    assert sizes[1] < sizes[0] - run.task_model.count_params()
    lines = (small.folder / CHECKSUMS).read_text().splitlines()
    assert len(lines) == 4
    for line in lines:
        digest, name = line.split()
        assert hashlib.sha256((small.folder / name).read_bytes()).hexdigest() == digest


def test_weights_of_another_model_are_stored_once(tmp_path, monkeypatch):
    inner = unet(3, 2, UNetConfig(2, 2))
    image = keras.Input((None, None, 1))
    outer = keras.Model(image, keras.layers.Conv2D(2, 1)(inner(image)))
    paths = [tmp_path / name / "model.keras" for name in ("inner", "outer")]
    for path, network in zip(paths, (inner, outer), strict=True):
        path.parent.mkdir()
        write_network(network, path)
    monkeypatch.setattr(model_file, "shipped_models", lambda: {"inner": paths[0].parent})
    before = paths[1].stat().st_size
    assert load_script("ship_model").share(paths[1], paths[0]) == len(inner.weights)
    assert paths[1].stat().st_size < before
    for found, expected in zip(
        model_file.read_network(paths[1]).get_weights(), outer.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    inner.set_weights([2 * weight for weight in inner.get_weights()])
    write_network(inner, paths[0])
    with pytest.raises(ValueError, match="needs weights of the model inner"):
        model_file.read_network(paths[1])


def test_shipped_models_are_small():
    sizes = [(folder / "model.keras").stat().st_size for folder in shipped_models().values()]
    assert sum(sizes) < 20e6
