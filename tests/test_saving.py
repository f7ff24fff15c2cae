"""Files that hold synthtf's classes load in a fresh process after `import synthtf` alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from synthtf.saving import _PARTS

ROOT = Path(__file__).resolve().parents[1]
MODELS = sorted((ROOT / "models").glob("*/model.keras"))
# All names, found by importing each module of the package, and their modules.
REGISTERED = """
import importlib, json, pkgutil
import keras, synthtf
for found in pkgutil.walk_packages(synthtf.__path__, "synthtf."):
    importlib.import_module(found.name)
names = keras.saving.get_custom_objects()
print(json.dumps({n: c.__module__ for n, c in names.items() if n.startswith("synthtf>")}))
"""
FIND = """
import json, sys
{imports}
before = [m for m in sys.modules if m.startswith("synthtf.layers")]
from keras.src.saving import serialization_lib
for name, module in json.loads(sys.argv[1]).items():
    of_class = serialization_lib._retrieve_class_or_fn(
        name.split(">")[1], name, module, "class", {{}}, {{}}
    )
    assert of_class.__module__ == module, name
assert not before, before
assert keras.saving.get_registered_object("synthtf>Absent") is None
"""
LOAD = """
{imports}
for path in sys.argv[1:]:
    assert isinstance(keras.saving.load_model(path), keras.Model), path
"""
ORDERS = ["import synthtf, keras, sys", "import keras, synthtf, sys"]


def fresh(code, *arguments):
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def registered():
    return json.loads(fresh(REGISTERED).splitlines()[-1])


def test_classes_are_in_the_parts_that_are_searched(registered):
    assert len(registered) > 60
    assert {module.split(".")[1] for module in registered.values()} <= set(_PARTS)


@pytest.mark.parametrize("imports", [ORDERS[0], pytest.param(ORDERS[1], marks=pytest.mark.slow)])
def test_every_class_is_found(registered, imports):
    fresh(FIND.format(imports=imports), json.dumps(registered))


@pytest.mark.skipif(
    tuple(map(int, keras.__version__.split(".")[:2])) < (3, 15),
    reason="Keras alone reads only what this or an older version wrote; `Run.load` reads all",
)
def test_released_models_load():
    fresh(LOAD.format(imports=ORDERS[0]), *MODELS)
