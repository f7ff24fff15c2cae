"""Reading weights from files of PyTorch: without PyTorch, and without running what they hold."""

import io
import math
import os
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from synthtf.interop.h5 import Weights
from synthtf.interop.pickled import Call, Name, read_pickle

STATE = "model_state_dict"
"""Key of the weights in a checkpoint."""

_MAX_BYTES = 2**31
_MOST_INFLATED = 8  # times the size of the file; PyTorch compresses nothing
_SMALL = 2**24  # bytes that any file may inflate to
_ZIP = b"PK\x03\x04"
_LEGACY = b"\x80\x02\x8a\x0a"  # start of files before PyTorch 1.6
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_BFLOAT16 = "u2"  # the upper half of a float32
_STORAGES = {
    "Float": "f4",
    "Double": "f8",
    "Half": "f2",
    "BFloat16": _BFLOAT16,
    "Long": "i8",
    "Int": "i4",
    "Short": "i2",
    "Char": "i1",
    "Byte": "u1",
    "Bool": "b1",
}
_TENSORS = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor")
_PARAMETER = "torch._utils._rebuild_parameter"
# What else a checkpoint of a training may name. Nothing of it is called or used.
_IGNORED = {
    *("collections.OrderedDict", "collections.defaultdict", "argparse.Namespace"),
    *("torch.Size", "torch.device", "torch.float32", "torch.float16", "torch.float64"),
    *("numpy.dtype", "numpy.ndarray", "_codecs.encode", "__builtin__.set", "builtins.set"),
    *(
        f"numpy.{core}.multiarray.{name}"
        for core in ("core", "_core")
        for name in ("scalar", "_reconstruct")
    ),
}
_NAMES = {*(f"torch.{kind}Storage" for kind in _STORAGES), *_TENSORS, _PARAMETER, *_IGNORED}


class _NotTorchError(Exception):
    """What the file holds is not what PyTorch writes."""


@dataclass(frozen=True)
class _Storage:
    """Numbers that tensors share: their NumPy type without byte order, their key and count."""

    kind: str
    key: str
    count: int

    @classmethod
    def named(cls, found: Any) -> "_Storage":
        """Understand how a pickle refers to a storage."""
        if not isinstance(found, tuple) or len(found) < 5 or any(part for part in found[5:]):
            raise _NotTorchError("it refers to something that is no storage of numbers")
        _, kind, key, _, count = found[:5]
        known = isinstance(kind, Name) and kind.text.removesuffix("Storage").split(".")[-1]
        if known not in _STORAGES or not isinstance(key, str) or not _is_size(count):
            raise _NotTorchError("it refers to a storage of an unknown kind")
        return cls(_STORAGES[known], key, count)

    def decode(self, data: bytes, big_endian: bool) -> np.ndarray:
        """Turn the bytes of the storage into numbers."""
        kind = np.dtype(self.kind)
        if len(data) != self.count * kind.itemsize:
            raise _NotTorchError(
                f"its storage {self.key[:40]} has {len(data):,} bytes, not {self.count:,} numbers"
            )
        return np.frombuffer(data, kind.newbyteorder(">" if big_endian else "<"))


Load = Callable[[_Storage], np.ndarray]


def is_torch_file(path: str | os.PathLike) -> bool:
    """Whether the first bytes of a file are those of a file of PyTorch."""
    with open(path, "rb") as file:
        return file.read(4) in (_ZIP, _LEGACY)


def read_torch(path: str | os.PathLike) -> Weights:
    """Read the state dict of a network from a file of `torch.save`.

    The file may hold the state dict itself, or a dictionary that has it as "model_state_dict",
    beside whatever else a training keeps.

    Args:
        path: path of the file, in PyTorch's format of zip archives or the one before.

    Returns:
        float32 arrays by layer and name: "encoder.0.conv.weight" is "weight" of "encoder.0.conv".

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged, inflates to too much, asks for functions that weights
            do not need, or holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; give a file of PyTorch weights")
    size = path.stat().st_size
    if size > _MAX_BYTES:
        raise ValueError(f"{path} must hold at most {_MAX_BYTES} bytes. Received: {size}")
    broken = (zipfile.BadZipFile, zlib.error, OSError, EOFError, KeyError, RuntimeError)
    try:
        with path.open("rb") as file:
            start = file.read(len(_ZIP))
            file.seek(0)
            state, load = (_open_archive if start == _ZIP else _open_legacy)(file, size)
            return _weights(state, load, path)
    except (*broken, _NotTorchError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path} is not a file of PyTorch weights: {reason}") from error


def kernel_of(weights: Weights, name: str, path: str | os.PathLike, tool: str) -> np.ndarray:
    """Give the kernel of a convolution, outputs and inputs first.

    Args:
        weights: as from `read_torch`.
        name: name of the layer.
        path: path of the file, for the message.
        tool: whose network it is, likewise.

    Raises:
        ValueError: if there is none, or it has neither two nor three spatial axes.
    """
    if "weight" not in weights.get(name, {}):
        raise ValueError(f"{path} lacks the tensor {name}/weight of {tool}'s network")
    kernel = weights[name]["weight"]
    if kernel.ndim not in (4, 5):
        raise ValueError(
            f"{path}: the tensor {name}/weight must be a 2D or 3D kernel. "
            f"Received: shape {kernel.shape}"
        )
    return kernel


def _open_archive(file: BinaryIO, size: int) -> tuple[Any, Load]:
    """Read the pickle of a zip archive; give what loads its storages."""
    archive = zipfile.ZipFile(file)
    inflated = sum(member.file_size for member in archive.infolist())
    if inflated > min(_MAX_BYTES, max(_SMALL, _MOST_INFLATED * size)):
        raise _NotTorchError(f"it would inflate from {size:,} to {inflated:,} bytes")
    pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise _NotTorchError("the archive must hold one data.pkl")
    root = pickles[0].removesuffix("data.pkl")
    order = f"{root}byteorder"
    big = order in archive.namelist() and archive.read(order).strip() == b"big"
    state = _read(io.BytesIO(archive.read(pickles[0])))
    return state, lambda storage: storage.decode(archive.read(f"{root}data/{storage.key}"), big)


def _open_legacy(file: BinaryIO, size: int) -> tuple[Any, Load]:
    """Read the pickles of a file before PyTorch 1.6; give what loads its storages."""
    if file.read(len(_LEGACY)) != _LEGACY:
        raise _NotTorchError("its first bytes are those of no format of PyTorch")
    file.seek(0)
    if _read(file) != _LEGACY_MAGIC:
        raise _NotTorchError("its first bytes are those of no format of PyTorch")
    _read(file)  # version of the format
    machine = _read(file)
    found: dict[str, _Storage] = {}
    state = _read(file, found)
    keys = _read(file)
    if not isinstance(keys, list) or not all(isinstance(key, str) and key in found for key in keys):
        raise _NotTorchError("it does not list its storages")
    # The count of each storage, then its numbers.
    places, place = {}, file.tell()
    for key in keys:
        places[key] = place + 8
        place += 8 + found[key].count * np.dtype(found[key].kind).itemsize
    if place > size:
        raise _NotTorchError("it is truncated")

    def load(storage: _Storage) -> np.ndarray:
        if storage != found[storage.key]:
            raise _NotTorchError(f"it refers to its storage {storage.key[:40]} in two ways")
        file.seek(places[storage.key])
        data = file.read(storage.count * np.dtype(storage.kind).itemsize)
        return storage.decode(data, isinstance(machine, dict) and not machine["little_endian"])

    return state, load


def _read(file: BinaryIO, found: dict[str, _Storage] | None = None) -> Any:
    """Read a pickle of PyTorch, and note its storages."""

    def refer(key: Any) -> _Storage:
        storage = _Storage.named(key)
        if found is not None:
            found.setdefault(storage.key, storage)
        return storage

    try:
        return read_pickle(file, _NAMES, refer)
    except ValueError as error:
        raise _NotTorchError(error) from error


def _weights(state: Any, load: Load, path: Path) -> Weights:
    """Load the tensors of a state dict."""
    if isinstance(state, dict) and STATE in state:
        state = state[STATE]
    if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
        raise ValueError(f"{path} must hold the state dict of a model. Received: {_kind_of(state)}")
    tensors = {key: _Tensor.built(value) for key, value in state.items()}
    for key, tensor in tensors.items():
        if tensor is None or tensor.storage.kind not in ("f2", "f4", "f8", _BFLOAT16):
            raise ValueError(f"{path}: {key[:100]!r} must be a floating-point tensor")
    # A tensor may repeat a few stored numbers any number of times.
    total = sum(math.prod(tensor.shape) for tensor in tensors.values())
    if 4 * total > _MAX_BYTES:
        raise ValueError(f"{path} must hold at most {_MAX_BYTES // 4} numbers. Received: {total}")
    weights: Weights = {}
    for key, tensor in tensors.items():
        values = tensor.read(load)
        if not np.isfinite(values).all():
            raise ValueError(f"{path}: the tensor {key} must be finite")
        layer, _, name = key.rpartition(".")
        weights.setdefault(layer, {})[name] = values
    return weights


@dataclass(frozen=True)
class _Tensor:
    """Which numbers of a storage a tensor has."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @classmethod
    def built(cls, found: Any) -> "_Tensor | None":
        """Understand how PyTorch would build a tensor or a parameter; None if it is neither."""
        if isinstance(found, Call) and found.name == _PARAMETER and found.arguments:
            found = found.arguments[0]
        if not isinstance(found, Call) or found.name not in _TENSORS or len(found.arguments) < 4:
            return None
        tensor = cls(*found.arguments[:4])
        sizes = (tensor.shape, tensor.strides)
        sound = isinstance(tensor.storage, _Storage) and _is_size(tensor.offset)
        if not sound or not all(isinstance(s, tuple) and all(map(_is_size, s)) for s in sizes):
            return None
        if len(tensor.shape) != len(tensor.strides) or len(tensor.shape) > 8:
            return None
        return tensor

    def read(self, load: Load) -> np.ndarray:
        """Load the tensor as float32."""
        steps = zip(self.shape, self.strides, strict=True)
        last = self.offset + sum((size - 1) * step for size, step in steps)
        if math.prod(self.shape) and last >= self.storage.count:
            raise _NotTorchError("a tensor reaches beyond its storage")
        values = load(self.storage)
        if self.storage.kind == _BFLOAT16:
            values = (values.astype("uint32") << 16).view("float32")
        if not math.prod(self.shape):
            return np.zeros(self.shape, "float32")
        strides = [step * values.itemsize for step in self.strides]
        view = np.lib.stride_tricks.as_strided(
            values[self.offset :], self.shape, strides, writeable=False
        )
        return np.array(view, "float32", order="C")


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**48


def _kind_of(value: Any) -> str:
    return "Tensor" if _Tensor.built(value) is not None else type(value).__name__
