"""Files as PyTorch writes them, written without PyTorch."""

import pickle
import struct
import zipfile

import numpy as np

KINDS = {"f4": "Float", "f8": "Double", "f2": "Half", "i8": "Long", "i4": "Int"}
MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001


class Code(bytes):
    """Instructions of a pickle, to be put where a value stands."""


def text(value):
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def integer(value):
    return pickle.dumps(value, 2)[2:-1]


def call(name, *arguments):
    """What calls a function with arguments."""
    module, _, function = name.rpartition(".")
    return Code(b"c%s\n%s\n" % (module.encode(), function.encode()) + encode(arguments) + b"R")


def encode(value):
    """Instructions that make a value."""
    if isinstance(value, Code):
        return bytes(value)
    if isinstance(value, dict):
        pairs = b"".join(encode(part) for item in value.items() for part in item)
        return b"}(" + pairs + b"u"
    if isinstance(value, tuple | list):
        start, end = (b"(", b"t") if isinstance(value, tuple) else (b"](", b"e")
        return start + b"".join(map(encode, value)) + end
    return text(value) if isinstance(value, str) else integer(value)


class Storages:
    """The storages of a file, and how its pickle refers to them."""

    def __init__(self, legacy=False):
        self.legacy, self.arrays = legacy, []

    def reference(self, array, count=None):
        self.arrays.append(array)
        kind = KINDS[array.dtype.str[1:]]
        storage = (
            "storage",
            Code(b"ctorch\n%sStorage\n" % kind.encode()),
            str(len(self.arrays) - 1),
            "cpu",
            array.size if count is None else count,
            *((None,) if self.legacy else ()),
        )
        return Code(encode(storage) + b"Q")

    def tensor(self, array, shape=None, strides=None, offset=0, count=None):
        """What rebuilds an array."""
        shape = array.shape if shape is None else shape
        if strides is None:
            strides = tuple(int(s) // array.itemsize for s in array.strides)
        flat = np.ascontiguousarray(array).ravel()
        arguments = (self.reference(flat, count), offset, shape, strides, False)
        return call("torch._utils._rebuild_tensor_v2", *arguments, call("collections.OrderedDict"))

    def state(self, arrays):
        """A state dict of arrays; other values are left as they are."""
        return {
            key: self.tensor(value) if isinstance(value, np.ndarray) else value
            for key, value in arrays.items()
        }


def pickled(value):
    return b"\x80\x02" + encode(value) + b"."


def save(path, arrays, *, wrap=lambda state: state, compression=zipfile.ZIP_STORED, storages=None):
    """Write arrays by name as `torch.save` writes a state dict."""
    storages = storages or Storages()
    value = wrap(storages.state(arrays))
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled(value))
        archive.writestr("archive/byteorder", "little")
        for index, array in enumerate(storages.arrays):
            archive.writestr(f"archive/data/{index}", array.tobytes())
        archive.writestr("archive/version", "3\n")


def save_legacy(path, arrays):
    """Write arrays by name as `torch.save` did before PyTorch 1.6."""
    storages = Storages(legacy=True)
    state = storages.state(arrays)
    keys = [str(index) for index in range(len(storages.arrays))]
    machine = {"protocol_version": VERSION, "little_endian": True, "type_sizes": {"int": 4}}
    with open(path, "wb") as file:
        for value in (MAGIC, VERSION, machine, state, keys):
            file.write(pickled(value))
        for array in storages.arrays:
            file.write(struct.pack("<q", array.size) + array.tobytes())
