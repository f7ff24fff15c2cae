"""Reading pickles of others without running anything that they ask for.

A pickle is a program. `read_pickle` follows it with a few instructions of its own: it makes plain
containers, and notes what the program would have called. Every name that is not on the caller's
list is refused.
"""

import io
import pickletools
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, BinaryIO

_MAX_BYTES = 2**24  # the tensors of a network take 200 bytes each, their numbers lie elsewhere
_LONGEST_NAME = 100

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = {
    *("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_SET": list}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_DICTIONARIES = ("collections.OrderedDict", "collections.defaultdict")


@dataclass(frozen=True, eq=False)
class Name:
    """A function or a class that a pickle names, such as "torch.FloatStorage"."""

    text: str


@dataclass(frozen=True, eq=False)
class Call:
    """What a pickle would have called.

    Attributes:
        name: the function or class.
        arguments: what it would have been given.
    """

    name: str
    arguments: tuple


def read_pickle(
    file: BinaryIO, names: Collection[str], refer: Callable[[Any], Any] = lambda key: None
) -> Any:
    """Read one pickle of protocol 2 or newer; nothing of it is run.

    Args:
        file: binary, at the start of the pickle; left at its end.
        names: functions and classes that it may name, as "module.name".
        refer: takes what the pickle says of something that is stored outside of it, and returns
            what stands for it in the result.

    Returns:
        Dictionaries, lists, tuples, numbers and texts. A set is a list. Of what it would have
        called there is a `Call`; what an object would have been told about its state is left out.

    Raises:
        ValueError: if it names something else, is damaged, or is longer than 16 MB.
    """
    machine = _Machine(names, refer)
    start = file.tell()
    # Instructions may claim any length; no more than this is ever there.
    head = io.BytesIO(file.read(_MAX_BYTES))
    try:
        for code, argument, _ in pickletools.genops(head):
            if code.name == "STOP":
                file.seek(start + head.tell())
                return machine.pop()
            machine.step(code.name, argument)
    except (IndexError, KeyError, UnicodeError, TypeError, OverflowError) as error:
        raise ValueError(f"its pickle is damaged ({type(error).__name__})") from error
    except ValueError as error:
        if head.getbuffer().nbytes == _MAX_BYTES and head.tell() >= _MAX_BYTES:
            raise ValueError(f"its pickle is longer than {_MAX_BYTES:,} bytes") from error
        raise
    raise ValueError("its pickle has no end")


class _Machine:
    """The stack, the marks in it, and the memo of a pickle."""

    def __init__(self, names: Collection[str], refer: Callable[[Any], Any]) -> None:
        self.names, self.refer = names, refer
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # what lies under each mark
        self.memo: dict[int, Any] = {}

    def pop(self) -> Any:
        return self.stack.pop()

    def since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.below.pop()
        return items

    def step(self, code: str, argument: Any) -> None:
        """Follow one instruction."""
        if code in _VALUES:
            self.stack.append(argument)
        elif code in _CONSTANTS:
            self.stack.append(_CONSTANTS[code])
        elif code in _EMPTY:
            self.stack.append(_EMPTY[code]())
        elif code in _TUPLES:
            count = _TUPLES[code]
            items = [self.pop() for _ in range(count)]
            self.stack.append(tuple(reversed(items)))
        else:
            follow = getattr(self, f"_{code.lower()}", None)
            if follow is None:
                what = code if argument is None else f"{code} {_shortened(argument)}"
                raise ValueError(f"its pickle has the instruction {what}, which weights never need")
            follow(argument)

    def _proto(self, argument: int) -> None:
        pass

    def _frame(self, argument: int) -> None:
        pass

    def _mark(self, argument: None) -> None:
        self.below.append(self.stack)
        self.stack = []

    def _pop(self, argument: None) -> None:
        self.pop()

    def _pop_mark(self, argument: None) -> None:
        self.since_mark()

    def _dup(self, argument: None) -> None:
        self.stack.append(self.stack[-1])

    def _binput(self, argument: int) -> None:
        self.memo[argument] = self.stack[-1]

    _long_binput = _binput

    def _memoize(self, argument: None) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _binget(self, argument: int) -> None:
        self.stack.append(self.memo[argument])

    _long_binget = _binget

    def _tuple(self, argument: None) -> None:
        items = tuple(self.since_mark())
        self.stack.append(items)

    def _list(self, argument: None) -> None:
        items = self.since_mark()
        self.stack.append(items)

    def _dict(self, argument: None) -> None:
        items = self.since_mark()
        self.stack.append(_set_items({}, items))

    def _append(self, argument: None) -> None:
        item = self.pop()
        self._extend([item])

    def _appends(self, argument: None) -> None:
        self._extend(self.since_mark())

    _additems = _appends

    def _extend(self, items: list[Any]) -> None:
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(items)

    def _setitem(self, argument: None) -> None:
        value, key = self.pop(), self.pop()
        self._update([key, value])

    def _setitems(self, argument: None) -> None:
        self._update(self.since_mark())

    def _update(self, items: list[Any]) -> None:
        if isinstance(self.stack[-1], dict):
            _set_items(self.stack[-1], items)

    def _global(self, argument: str) -> None:
        self._named(argument.replace(" ", ".", 1))

    def _stack_global(self, argument: None) -> None:
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise TypeError("a name must be a text")
        self._named(f"{module}.{name}")

    def _named(self, name: str) -> None:
        if name not in self.names:
            raise ValueError(f"its pickle asks for {_shortened(name)}, which weights never need")
        self.stack.append(Name(name))

    def _reduce(self, argument: None) -> None:
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, Name) or not isinstance(arguments, tuple):
            raise TypeError("only what has a name can be called")
        if function.text in _DICTIONARIES:
            pairs = arguments[0] if arguments and isinstance(arguments[0], list) else []
            self.stack.append(_set_items({}, [item for pair in pairs for item in pair]))
        else:
            self.stack.append(Call(function.text, arguments))

    _newobj = _reduce

    def _build(self, argument: None) -> None:
        self.pop()

    def _binpersid(self, argument: None) -> None:
        self.stack.append(self.refer(self.pop()))


def _set_items(target: dict, items: list[Any]) -> dict:
    # The hash of a nested tuple may take forever.
    if len(items) % 2 or not all(isinstance(k, str | int | float | None) for k in items[::2]):
        raise TypeError("the keys of a dictionary must be texts or numbers")
    target.update(zip(items[::2], items[1::2], strict=True))
    return target


def _shortened(text: Any) -> str:
    text = " ".join(str(text).split())
    return text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}..."
