"""Exported networks give the same outputs without synthtf, for images of any size."""

import contextlib
import json
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest

from synthtf.cli.main import main
from synthtf.data import LabelTable
from synthtf.interop.export import _portable, export_run
from synthtf.networks import RegistrationConfig, UNetConfig, registration_unet, unet
from synthtf.runs import Run
from synthtf.synthesis import Recipe

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="formats that TensorFlow exports"
)

SHAPES = ((8, 12, 4), (12, 8, 16))

LOADERS = {
    "savedmodel": """
import tensorflow as tf
network = tf.saved_model.load("out/saved_model").signatures["serving_default"]
def call(inputs):
    return {name: x.numpy() for name, x in network(**inputs).items()}
""",
    "onnx": """
import onnxruntime
network = onnxruntime.InferenceSession("out/model.onnx")
names = [output.name for output in network.get_outputs()]
def call(inputs):
    return dict(zip(names, network.run(names, inputs)))
""",
    "litert": """
import tensorflow as tf
network = tf.lite.Interpreter("out/model.tflite").get_signature_runner("serving_default")
def call(inputs):
    return network(**inputs)
""",
}
CALL = """
import sys
import numpy as np
for case in ("0", "1"):
    with np.load(f"{case}_in.npz") as inputs:
        np.savez(f"{case}_out.npz", **call(dict(inputs)))
print([name for name in sys.modules if name.startswith("synthtf")])
"""


def make_run(folder, task):
    facts = {"shape": [16] * 3, "spacing": [2.0] * 3, "multiple": 4, "output_labels": [0, 2]}
    table, recipe = LabelTable.from_labels([0, 2]), Recipe.preset("tutorial")
    run = Run.create(folder, table, recipe, {"task": task, **facts})
    keras.utils.set_random_seed(0)
    if task == "segmentation":
        run.save_model(unet(2, 3, UNetConfig(4, 2, mixture_channels=1)))
    else:
        run.save_model(registration_unet(3, RegistrationConfig((4, 4), (4, 4, 4))))
    return run


def served(tmp_path, kind, inputs):
    for case, values in enumerate(inputs):
        np.savez(tmp_path / f"{case}_in.npz", **values)
    command = [sys.executable, "-c", LOADERS[kind] + CALL]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("[]")
    return [dict(np.load(tmp_path / f"{case}_out.npz")) for case in range(len(inputs))]


@pytest.mark.filterwarnings("ignore:In the future `np.object`:FutureWarning")
@pytest.mark.parametrize(
    "kind", ["savedmodel", "onnx", pytest.param("litert", marks=pytest.mark.slow)]
)
def test_segmentation_elsewhere(tmp_path, kind):
    if kind == "onnx":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tf2onnx about NumPy
            pytest.importorskip("tf2onnx")
        pytest.importorskip("onnxruntime")
    run = make_run(tmp_path / "run", "segmentation")
    exact = kind == "savedmodel"
    with (
        contextlib.nullcontext()
        if exact
        else pytest.warns(UserWarning, match="can differ from its")
    ):
        export_run(run, tmp_path / "out", kind)
    rng = np.random.default_rng(0)
    inputs = [{"image": rng.random((1, *shape, 1), "float32")} for shape in SHAPES]
    for values, found in zip(inputs, served(tmp_path, kind, inputs), strict=True):
        (found,) = found.values()
        expected = run.task_model.predict_on_batch(values["image"])
        np.testing.assert_allclose(found, expected, atol=1e-4)
    facts = json.loads((tmp_path / "out" / "network.json").read_text())
    assert facts["inputs"] == {"image": [None, None, None, None, 1]}
    assert facts["spacing_mm"] == [2, 2, 2] and facts["output_labels"] == [0, 2]
    assert LabelTable.read(tmp_path / "out" / "labels.tsv") == run.table


@pytest.mark.slow
def test_registration_elsewhere(tmp_path, capsys):
    run = make_run(tmp_path / "run", "registration")
    assert main(["export", str(tmp_path / "run"), "-o", str(tmp_path / "out")]) == 0
    assert "saved_model: savedmodel" in capsys.readouterr().out
    rng = np.random.default_rng(0)
    inputs = [
        {name: rng.random((1, *shape, 1), "float32") for name in ("moving", "fixed")}
        for shape in SHAPES
    ]
    for values, found in zip(inputs, served(tmp_path, "savedmodel", inputs), strict=True):
        for name, expected in run.task_model.predict_on_batch(values).items():
            np.testing.assert_allclose(found[name], expected, atol=1e-4)


def test_refuses(tmp_path, monkeypatch):
    run = make_run(tmp_path / "run", "segmentation")
    with pytest.raises(ValueError, match="`kind` must be one of"):
        export_run(run, tmp_path / "out", "pickle")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="needs tf2onnx: pip install"):
        export_run(run, tmp_path / "out", "onnx")
    assert main(["export", str(tmp_path / "none"), "-o", str(tmp_path / "out")]) == 2


def test_means_over_many_voxels_are_exact():
    """The libraries that run the formats add up in float32, as the clone then does by rows."""
    image = keras.Input((None, None, None, 2))
    model = keras.Model(image, keras.layers.GroupNormalization(-1, epsilon=1e-5)(image))
    x = np.random.default_rng(0).normal(20, 1, (1, 64, 64, 64, 2)).astype("float32")
    found = np.array(_portable(model, pooling=False)(x))
    exact = x.astype(float)
    exact = exact - exact.mean((1, 2, 3))
    exact = exact / np.sqrt(np.square(exact).mean((1, 2, 3)) + 1e-5)
    np.testing.assert_allclose(found, exact, atol=1e-5)
