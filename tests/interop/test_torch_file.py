"""Files of PyTorch, read without PyTorch and without running what they hold."""

import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from torch_files import Code, Storages, call, encode, pickled, save, save_legacy, text

from synthtf.interop.torch_file import read_torch

RNG = np.random.default_rng(0)
ARRAYS = {
    "a.conv.weight": RNG.normal(size=(4, 3, 3)).astype("float32"),
    "a.conv.bias": RNG.normal(size=4).astype("float64"),
    "b.weight": RNG.normal(size=(2, 5)).astype("float16"),
    "c.scale": np.array(2.5, "float32"),
    "d.none": np.zeros((0, 3), "float32"),
}


def check(found):
    for key, value in ARRAYS.items():
        layer, _, name = key.rpartition(".")
        assert found[layer][name].dtype == "float32"
        np.testing.assert_array_equal(found[layer][name], value.astype("float32"))
    assert sum(map(len, found.values())) == len(ARRAYS)


WRAPS = {
    "a state dict": lambda state: state,
    "an ordered one": lambda state: Code(
        encode(call("collections.OrderedDict"))
        + b"("
        + encode(state)[2:-1]
        + b"u"
        # Its attributes.
        + encode({"_metadata": call("collections.OrderedDict")})
        + b"b"
    ),
    "a checkpoint": lambda state: {
        "epoch": 7,
        "loss": call(
            "numpy.core.multiarray.scalar", call("numpy.dtype", "f8", False, True), "abcdefgh"
        ),
        "optimizer_state_dict": {"state": {0: {"step": 3}}, "param_groups": [{"lr": 0.1}]},
        "model_state_dict": state,
    },
}


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS.keys())
def test_archives(tmp_path, wrap):
    save(tmp_path / "x.pt", ARRAYS, wrap=wrap)
    check(read_torch(tmp_path / "x.pt"))


def test_files_before_archives(tmp_path):
    save_legacy(tmp_path / "x.pt", ARRAYS)
    check(read_torch(tmp_path / "x.pt"))
    whole = (tmp_path / "x.pt").read_bytes()
    (tmp_path / "x.pt").write_bytes(whole[:-8])
    with pytest.raises(ValueError, match="is not a file of PyTorch weights: it is truncated"):
        read_torch(tmp_path / "x.pt")


def test_parts_of_storages_and_transposed_tensors(tmp_path):
    numbers = np.arange(24, dtype="float32")
    storages = Storages()
    state = {
        "a.part": storages.tensor(numbers, (2, 3), (3, 1), offset=6),
        "a.transposed": storages.tensor(numbers, (3, 2), (1, 3)),
        "a.parameter": call("torch._utils._rebuild_parameter", storages.tensor(numbers), True, ()),
    }
    save(tmp_path / "x.pt", state, storages=storages)
    found = read_torch(tmp_path / "x.pt")["a"]
    np.testing.assert_array_equal(found["part"], [[6, 7, 8], [9, 10, 11]])
    np.testing.assert_array_equal(found["transposed"], [[0, 3], [1, 4], [2, 5]])
    np.testing.assert_array_equal(found["parameter"], numbers)


def test_half_precision_of_google(tmp_path):
    values = np.array([1.5, -2.0, 0.25], "float32")
    upper = (values.view("uint32") >> 16).astype("uint16")
    storages = Storages()
    storages.arrays.append(upper)
    storage = ("storage", Code(b"ctorch\nBFloat16Storage\n"), "0", "cpu", 3)
    tensor = call(
        "torch._utils._rebuild_tensor_v2", Code(encode(storage) + b"Q"), 0, (3,), (1,), False, ()
    )
    save(tmp_path / "x.pt", {"a.b": tensor}, storages=storages)
    np.testing.assert_array_equal(read_torch(tmp_path / "x.pt")["a"]["b"], values)


HOSTILE = {
    "a function": (call("posix.system", "echo ran > ran"), "asks for posix.system, which"),
    "one of Python": (call("builtins.eval", "1"), "asks for builtins.eval, which"),
    "one of PyTorch": (call("torch.load", "x"), "asks for torch.load, which"),
    "a name alone": (Code(b"cos\nsystem\n"), "asks for os.system, which"),
    "by two texts": (
        Code(b"\x8c\x05posix\x8c\x06system\x93"),
        "asks for posix.system, which",
    ),
    "an old class": (Code(b"(iposix\nsystem\n"), "instruction INST posix system, which"),
    "a number": (Code(b"\x82\x01"), "instruction EXT1 1, which"),
    "a nested key": (Code(b"}((N\x85Nu"), "its pickle is damaged"),
    "an end": (Code(b"00"), "its pickle is damaged"),
    "a call of a text": (Code(b"X\x01\x00\x00\x00a)R"), "its pickle is damaged"),
    "a memo": (Code(b"h\x07"), "its pickle is damaged"),
}


@pytest.mark.parametrize(("value", "message"), HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("place", ["weights", "beside them"])
def test_hostile_pickles_are_refused_by_name(tmp_path, monkeypatch, value, message, place):
    monkeypatch.chdir(tmp_path)
    other = {"a.b": value}
    state = other if place == "weights" else {"model_state_dict": {}, "other": other}
    save("x.pt", state)
    with pytest.raises(ValueError, match=message) as error:
        read_torch("x.pt")
    assert "x.pt is not a file of PyTorch weights" in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "ran").exists()


def test_pickles_that_take_forever(tmp_path):
    # A billion references to each other; a key whose hash visits all of them.
    layers = b"N" + b"".join(b"q%c0h%ch%c\x86" % (i, i, i) for i in range(60))
    save(tmp_path / "x.pt", {"a.b": Code(layers)})
    with pytest.raises(ValueError, match=r"'a.b' must be a floating-point tensor"):
        read_torch(tmp_path / "x.pt")
    save(tmp_path / "x.pt", {"a": Code(b"}(" + layers + b"Nu")})
    with pytest.raises(ValueError, match="its pickle is damaged"):
        read_torch(tmp_path / "x.pt")
    save(tmp_path / "x.pt", {"a": "x" * 2**24})
    with pytest.raises(ValueError, match="is longer than 16,777,216 bytes"):
        read_torch(tmp_path / "x.pt")


@pytest.mark.parametrize("code", [b"X\xff\xff\xff\x7f", b"\x8d" + b"\xff" * 7 + b"\x3f"])
def test_lengths_that_are_claimed(tmp_path, code):
    path = tmp_path / "x.pt"
    for write in (save, save_legacy):
        write(path, {"a.b": Code(code)})
        with pytest.raises(ValueError, match=r"is not a file of PyTorch weights: .*expected \d+ b"):
            read_torch(path)


def test_storages_are_referred_to_in_one_way(tmp_path):
    save_legacy(tmp_path / "x.pt", {"a.b": np.ones(3, "float32"), "a.c": np.ones(5, "float32")})
    whole = (tmp_path / "x.pt").read_bytes()
    (tmp_path / "x.pt").write_bytes(whole.replace(text("1"), text("0")))
    with pytest.raises(ValueError, match=r"(does not list|in two ways)"):
        read_torch(tmp_path / "x.pt")


def test_files_that_inflate(tmp_path):
    path = tmp_path / "x.pt"
    zeros = {"a.b": np.zeros(2**23, "float32")}
    save(path, zeros, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match=r"it would inflate from .* to 33,554,"):
        read_torch(path)
    # Numbers that are not there: steps of zero.
    storages = Storages()
    wide = {"a.b": storages.tensor(np.ones(1, "float32"), (2**30,), (0,))}
    save(path, wide, storages=storages)
    with pytest.raises(ValueError, match=r"at most 536870912 numbers. Received: 1073741824"):
        read_torch(path)


def broken(**changes):
    storages = Storages()
    arguments = {"shape": (4,), "strides": (1,), "offset": 0, "count": None, **changes}
    return storages, {"a.b": storages.tensor(np.ones(4, "float32"), **arguments)}


BROKEN = {
    "beyond": (broken(shape=(5,)), "a tensor reaches beyond its storage"),
    "offset": (broken(offset=1), "a tensor reaches beyond its storage"),
    "short": (broken(count=5), "its storage 0 has 16 bytes, not 5 numbers"),
    "negative": (broken(shape=(-1,)), "'a.b' must be a floating-point tensor"),
    "axes": (broken(shape=(2, 2)), "'a.b' must be a floating-point tensor"),
    "backwards": (broken(strides=(-1,), offset=3), "'a.b' must be a floating-point tensor"),
    "whole": ((None, {"a.b": np.arange(3)}), "'a.b' must be a floating-point tensor"),
    "number": ((None, {"a.b": 3}), "'a.b' must be a floating-point tensor"),
    "infinite": ((None, {"a.b": np.array([np.inf], "f4")}), "a.b must be finite"),
    "keys": ((None, {1: np.ones(3, "f4")}), "must hold the state dict of a model. Received: dict"),
}


@pytest.mark.parametrize(("made", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_tensors_are_refused(tmp_path, made, message):
    storages, state = made
    save(tmp_path / "x.pt", state, storages=storages)
    with pytest.raises(ValueError, match=message) as error:
        read_torch(tmp_path / "x.pt")
    assert str(tmp_path / "x.pt") in str(error.value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not at all",
        b"PK\x03\x04 not at all",
        pickle.dumps({"a": 1}, 2),
        pickled(0x1950A86A20F9469CFC6C),
        pickled(0x1950A86A20F9469CFC6C)[:-1],
    ],
)
def test_other_files_are_refused(tmp_path, data):
    path = tmp_path / "x.pt"
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_torch(path)
    path.write_bytes(data)
    with pytest.raises(ValueError, match="is not a file of PyTorch weights"):
        read_torch(path)


def test_every_byte_may_be_damaged(tmp_path):
    path = tmp_path / "x.pt"
    save(path, {"a.b": np.ones(3, "float32")})
    whole = bytearray(path.read_bytes())
    for place in range(0, len(whole), 3):
        damaged = whole.copy()
        damaged[place] ^= 0x55
        path.write_bytes(damaged)
        try:
            read_torch(path)
        except ValueError as error:
            assert str(path) in str(error)


def test_pytorch_is_not_needed(tmp_path):
    save(tmp_path / "x.pt", ARRAYS)
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from synthtf.interop.torch_file import read_torch\n"
        f"print(len(read_torch({str(tmp_path / 'x.pt')!r})), 'keras' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["4", "False"]
