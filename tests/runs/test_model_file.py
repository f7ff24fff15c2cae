"""Networks are read by every version of Keras, and a run says when a file of it was changed."""

import json
import shutil
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from synthtf.data.shipped_models import CHECKSUMS
from synthtf.networks import UNetConfig, unet
from synthtf.runs import Run
from synthtf.runs.model_file import read_network, write_network

FINE = Path(__file__).parent / "fine_run"


@pytest.fixture(scope="module")
def network():
    return unet(3, 2, UNetConfig(2, 2), pairs=[(1, 2)])


def configs(value):
    """Each class of Keras in a config."""
    if isinstance(value, list):
        for item in value:
            yield from configs(item)
    elif isinstance(value, dict):
        if str(value.get("module")).startswith("keras") and isinstance(value.get("config"), dict):
            yield value
        for item in value.values():
            yield from configs(item)


def config_of(path):
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))


def with_config(path, config):
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def assert_same(found, expected):
    for a, b in zip(found.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    image = np.random.default_rng(0).random((1, 8, 8, 1)).astype("float32")
    np.testing.assert_array_equal(found.predict_on_batch(image), expected.predict_on_batch(image))


def test_arguments_that_say_nothing_are_not_written(network, tmp_path):
    path = tmp_path / "model.keras"
    write_network(network, path)
    starts = [c for c in configs(config_of(path)) if c["module"] == "keras.initializers"]
    assert starts and all(set(c["config"]) <= {"value"} for c in starts)
    assert not any("bias_regularizer" in c["config"] for c in configs(config_of(path)))
    assert_same(read_network(path), network)
    assert_same(keras.models.load_model(path, compile=False), network)


def test_arguments_of_a_newer_keras_that_say_nothing_are_passed_over(network, tmp_path):
    path = tmp_path / "model.keras"
    network.save(path)
    config = config_of(path)
    for found in configs(config):
        if found["module"] in ("keras.layers", "keras.initializers"):
            found["config"].update(input_of_tomorrow=None, output_of_tomorrow=False)
        if found["module"] == "keras.initializers":
            found["config"].update(scale_of_tomorrow=2.0)
    with_config(path, config)
    with pytest.raises((TypeError, ValueError)):
        keras.models.load_model(path, compile=False)
    assert_same(read_network(path), network)


def test_arguments_of_a_newer_keras_that_matter_are_refused(network, tmp_path):
    path = tmp_path / "model.keras"
    network.save(path)
    config = config_of(path)
    next(c for c in configs(config) if c["class_name"] == "Conv2D")["config"]["twist"] = 3
    with_config(path, config)
    with pytest.raises(ValueError, match=f"{path}: not a model that can be loaded"):
        read_network(path)


def test_nothing_is_left_behind(network, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    path = tmp_path / "model.keras"
    write_network(network, path)
    read_network(path)
    config = config_of(path)
    config["class_name"] = "Absent"
    with_config(path, config)
    with pytest.raises(ValueError, match="model that can be loaded"):
        read_network(path)
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["model.keras"]
    assert not list((tmp_path / "temporary").iterdir())


@pytest.fixture
def saved(tmp_path):
    return Run.load(FINE).save(tmp_path / "run")


def test_every_flipped_bit_of_a_run_is_refused(saved):
    names = sorted(p.name for p in saved.folder.iterdir())
    assert names == [CHECKSUMS, "labels.tsv", "model.keras", "recipe.json", "run.json"]
    rng = np.random.default_rng(0)
    for name in names:
        path = saved.folder / name
        whole = path.read_bytes()
        places = range(len(whole)) if name == CHECKSUMS else rng.integers(len(whole), size=20)
        for place in places:
            damaged = bytearray(whole)
            damaged[place] ^= 1 << rng.integers(8)
            path.write_bytes(damaged)
            with pytest.raises(ValueError, match="checksum mismatch"):
                Run.load(saved.folder)
        path.write_bytes(whole)
    assert Run.load(saved.folder).task_model


def test_a_file_of_another_run_is_refused(saved, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(saved.folder, other)
    run = Run.load(other)
    run.update(note="another")
    shutil.copyfile(other / "run.json", saved.folder / "run.json")
    with pytest.raises(ValueError, match=r"run\.json: checksum mismatch"):
        Run.load(saved.folder)


@pytest.mark.parametrize("name", ["update", "save_model"])
def test_a_run_that_was_killed_while_it_was_written_loads(saved, monkeypatch, name):
    network = saved.task_model

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("synthtf.runs.run.write_checksums", killed)
    with pytest.raises(KeyboardInterrupt):
        saved.update(note="") if name == "update" else saved.save_model(network)
    assert not (saved.folder / CHECKSUMS).exists()
    assert Run.load(saved.folder).task_model
