"""Weights damaged at random or made to harm: refused in one line, never believed (rows 41, 46, 47).

HDF5 keeps no checksums, so that a flipped bit among the numbers of an .h5 file cannot be known;
the archive around those of a .keras file does.
"""

import io
import re
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest
from faults import attempt, bounded_memory, flip, generator, overwrite, truncate

from synthtf.data.label_table import LabelTable
from synthtf.data.shipped_models import CHECKSUMS
from synthtf.interop.h5 import read_keras_config, read_keras_h5
from synthtf.runs.run import MODEL, Run
from synthtf.synthesis import Recipe

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as on Linux")

FACTS = {
    "task": "segmentation",
    "shape": [16, 16],
    "spacing": [1, 1],
    "multiple": 2,
    "output_labels": [0, 1],
}


@pytest.fixture
def weights(tmp_path):
    """Weights as legacy Keras has them."""
    path, rng = tmp_path / "good.h5", np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for layer in "abc":
            file[f"{layer}/{layer}/kernel:0"] = rng.normal(size=(3, 3, 2, 4)).astype("float32")
            file[f"{layer}/{layer}/bias:0"] = np.ones(4, "float32")
        packed = rng.normal(size=(30, 30)).astype("float32")
        file.create_dataset("d/kernel:0", data=packed, chunks=(10, 10), compression="gzip")
    return path


def test_h5_damaged_at_random(weights):
    whole, rng, refused = weights.read_bytes(), generator("h5"), 0
    path = weights.with_name("damaged.h5")
    names = {layer: set(tensors) for layer, tensors in read_keras_h5(weights).items()}
    with bounded_memory():
        for index in range(60):
            damage = (truncate, flip, overwrite)[index % 3]
            path.write_bytes(damage(whole, rng, *((len(whole),) if damage is overwrite else ())))
            found, _ = attempt(read_keras_h5, path)
            attempt(read_keras_config, path)
            refused += found is None
            assert found is None or index % 3 or {k: set(v) for k, v in found.items()} == names
    assert 20 <= refused < 60


HARM = {
    "external link": lambda file: file.__setitem__("k", h5py.ExternalLink("/etc/x.h5", "/k")),
    "soft link": lambda file: file.__setitem__("k", h5py.SoftLink("/d")),
    "never written": lambda file: file.create_dataset("k/k", (2**14, 2**13), "f4"),
    "packed zeros": lambda file: file.create_dataset(
        "k/k", (2**14, 2**13), "f4", chunks=(2**9, 2**9), compression="gzip"
    ),
    "too many": lambda file: file.create_dataset("k/k", (2**40,), "f4", chunks=(2**20,)),
    "other file": lambda file: file.create_dataset(
        "k/k", (2,), "f4", external=[("/etc/passwd", 0, 8)]
    ),
    "not finite": lambda file: file.__setitem__("k/k", np.full(3, np.nan, "f4")),
    "text": lambda file: file.__setitem__("k/k", "abc"),
}


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
def test_h5_made_to_harm(weights, harm):
    with h5py.File(weights, "a") as file:
        harm(file)
    with bounded_memory():
        found, said = attempt(read_keras_h5, weights)
    assert found is None and "/k" in said[0]


@pytest.fixture
def run(tmp_path):
    """A run with a network of one convolution, large enough for several reads of a file."""
    run = Run.create(
        tmp_path / "run", LabelTable.from_labels([1]), Recipe.preset("tutorial"), FACTS
    )
    inputs = keras.Input((None, None, 1))
    run.save_model(keras.Model(inputs, keras.layers.Conv2D(2, 65, name="only")(inputs)))
    (run.folder / CHECKSUMS).unlink()
    return run


def load(folder):
    """The network of a run, loaded anew; errors name its file."""
    return Run.load(folder).task_model


def test_keras_damaged_at_random(run):
    path, rng = run.folder / MODEL, generator("keras")
    whole, good = path.read_bytes(), run.task_model.get_weights()
    refused = 0
    for index in range(60):
        path.write_bytes((truncate, flip)[index % 2](whole, rng))
        network, said = attempt(load, run.folder)
        refused += network is None
        if network is None:
            assert re.search(r"model\.keras is (truncated or )?corrupt.*; copy it again", said[0])
        else:
            for found, expected in zip(network.get_weights(), good, strict=True):
                np.testing.assert_array_equal(found, expected)
    assert refused > 55


def rewrite(path, name, change):
    """Change a member of an archive, whose checksums are right again."""
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    members[name] = change(members[name])
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)


def linked(data):
    stream = io.BytesIO(data)
    with h5py.File(stream, "a") as file:
        del file["layers/conv2d/vars/0"]
        file["layers/conv2d/vars/0"] = h5py.ExternalLink("/etc/x.h5", "/k")
    return stream.getvalue()


def with_kernel(change):
    """Change the file and its kernel."""

    def changed(data):
        stream = io.BytesIO(data)
        with h5py.File(stream, "a") as file:
            kernel = file["layers/conv2d/vars/0"][()]
            del file["layers/conv2d/vars/0"]
            change(file, "layers/conv2d/vars/0", kernel)
        return stream.getvalue()

    return changed


def unwritten(file, name, kernel):
    file.create_dataset(name, kernel.shape, "f4")


def half_written(file, name, kernel):
    dataset = file.create_dataset(name, kernel.shape, "f4", chunks=(5, 65, 1, 2))
    dataset[:5] = kernel[:5]


def claiming(file, name, kernel):
    file.create_dataset(name, (2**20, 2**20), "f4", chunks=(2**10, 2**10))


def zeros(file, name, kernel):
    file[name] = 0 * kernel


def infinite(file, name, kernel):
    file[name] = np.full_like(kernel, np.inf)


def far(file, name, kernel):
    file[name] = kernel * 1e20


def without_bias(data):
    stream = io.BytesIO(data)
    with h5py.File(stream, "a") as file:
        del file["layers/conv2d/vars/1"]
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("model.weights.h5", linked, "must not be a link"),
        ("model.weights.h5", without_bias, "only"),
        ("model.weights.h5", lambda data: b"", "."),
        ("model.weights.h5", with_kernel(unwritten), "stored can hold"),
        ("model.weights.h5", with_kernel(half_written), "never written completely"),
        ("model.weights.h5", with_kernel(claiming), "stored can hold"),
        ("model.weights.h5", with_kernel(zeros), "never written"),
        ("model.weights.h5", with_kernel(infinite), "finite"),
        ("model.weights.h5", with_kernel(far), "at most 1e"),
        ("config.json", lambda data: data.replace(b"65", b"64"), "only"),
        ("config.json", lambda data: b"[" * 100_000, "."),
        ("config.json", lambda data: b"{}", "."),
        ("config.json", lambda data: data.replace(b"keras.layers", b"os.path"), "."),
    ],
)
def test_keras_made_to_harm(run, name, change, message):
    rewrite(run.folder / MODEL, name, change)
    with bounded_memory():
        network, said = attempt(load, run.folder)
    assert network is None
    assert re.search(rf"model\.keras: not a model that can be loaded, .*({message})", said[0])


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5", "metadata.json", "other"])
@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_that_inflates_without_end(run, name, method):
    path = run.folder / MODEL
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    members[name] = b" " * 2**26
    with zipfile.ZipFile(path, "w", method) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    del members
    with bounded_memory():
        network, said = attempt(load, run.folder)
    assert network is None and f"{name} inflates to 67,108,864 bytes" in said[0]


def test_a_newer_keras_is_named(run):
    rewrite(run.folder / MODEL, "metadata.json", lambda data: b'{"keras_version": "99.1.0"}')
    assert load(run.folder)
    rewrite(run.folder / MODEL, "config.json", lambda data: data.replace(b"Conv2D", b"Conv9D"))
    network, said = attempt(load, run.folder)
    assert network is None
    assert f"written by Keras 99.1.0, and this is Keras {keras.__version__}" in said[0]


def test_lambda_layers_are_refused(run):
    inputs = keras.Input((None, None, 1))
    run.save_model(keras.Model(inputs, keras.layers.Lambda(lambda x: x + 1)(inputs)))
    network, said = attempt(load, run.folder)
    assert network is None and "Lambda" in said[0]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("task", (None, 1, [])),
        ("shape", (None, 8, [8], [0, 8], [8, 8.5], "88", [8, 8, 8, 8])),
        ("spacing", (None, 1, [1], [0, 1], [1, -1], ["1", "1"], [1, float("nan")], [1, 10**400])),
        ("multiple", (None, 0, -2, 1.5, "2", [2])),
        ("output_labels", (None, 1, ["0"], [-1], [0.5], {})),
    ],
)
def test_facts_of_the_wrong_kind(tmp_path, name, values):
    for value in values:
        table = LabelTable.from_labels([1])
        run = Run.create(tmp_path, table, Recipe.preset("tutorial"), {**FACTS, name: value})
        found, said = attempt(Run.load, run.folder)
        assert found is None and f"run.json: expected `{name}` as " in said[0]


@pytest.mark.parametrize("text", ["", "3", "[]", '"task"', "[" * 200_000, "{}", "\0"])
def test_facts_of_another_form(tmp_path, text):
    run = Run.create(tmp_path, LabelTable.from_labels([1]), Recipe.preset("tutorial"), FACTS)
    (run.folder / "run.json").write_text(text)
    found, said = attempt(Run.load, run.folder)
    assert found is None and "run.json: checksum mismatch" in said[0]
    (run.folder / CHECKSUMS).unlink()
    found, said = attempt(Run.load, run.folder)
    assert found is None and "run.json: " in said[0]
