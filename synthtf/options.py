"""Options: frozen dataclasses whose fields say all there is to say of each option, once.

    @options
    class UNetConfig(Options):
        '''Size of a U-Net.'''

        features: Annotated[int, Limits(1)] = option(24, "feature maps of the first level")
        loss: Literal["dice", "cross-entropy"] = option("dice", "what is minimised")

The annotation says what may be given, as in a layer's signature (`synthtf.arguments`). From the
fields come the check of the values, the section "Attributes" of the docstring, the signature and
the docstring of a function that takes the options, the dictionary that JSON can hold, and the flags
of the command line. A field may itself hold options.
"""

import dataclasses
import functools
import inspect
import os
import textwrap
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from synthtf.arguments import Argument, arguments_of

Class = TypeVar("Class", bound=type)

_WIDTH = 96
_SECTIONS = ("Returns:", "Raises:", "Example:", "Reference:")


def option(
    default: Any = dataclasses.MISSING,
    text: str = "",
    *,
    factory: Callable[[], Any] | Any = dataclasses.MISSING,
    metavar: str = "",
    flag: bool = True,
) -> Any:
    """Describe a field of options.

    Args:
        default: its value unless another is given; none if it must be given.
        text: help, a clause in lower case.
        factory: makes the default instead.
        metavar: what stands for the value in the help of the command line. Empty: it follows from
            the type.
        flag: whether the option has a flag; a field of options passes it on to its fields.
    """
    metadata = {"text": text, "metavar": metavar, "flag": flag}
    return dataclasses.field(default=default, default_factory=factory, metadata=metadata)


@typing.dataclass_transform(frozen_default=True, field_specifiers=(option,))
def options(cls: Class) -> Class:
    """Make a frozen dataclass of options, and write its fields into its docstring."""
    cls = dataclasses.dataclass(frozen=True)(cls)
    cls.__doc__ = _with_attributes(cls.__doc__, list(options_of(cls).values()))
    return cls


@dataclasses.dataclass(frozen=True)
class Option:
    """A field of options.

    Attributes:
        argument: name, parser and limits.
        text: help.
        metavar: what stands for the value in the help of the command line, or empty.
        flag: whether it has a flag.
        types: those that a value may have, but for None.
        default: `inspect.Parameter.empty` if it must be given.
    """

    argument: Argument
    text: str
    metavar: str
    flag: bool
    types: tuple[Any, ...]
    default: Any

    @property
    def name(self) -> str:
        """Name of the field."""
        return self.argument.name

    @property
    def nested(self) -> tuple[type["Options"], ...]:
        """Classes of options that the value may be of."""
        return tuple(t for t in self.types if isinstance(t, type) and issubclass(t, Options))

    def parse(self, value: Any) -> Any:
        """Check a value, and give it as it is stored.

        Raises:
            ValueError: if it is not what the annotation says.
        """
        value = self.argument.parse(value)
        if not self.nested or isinstance(value, self.types):
            return value
        if value is None and self.argument.optional:
            return value
        names = " or ".join(t.__name__ for t in self.nested)
        raise ValueError(f"`{self.name}` must be a {names}. Received: {self.name}={value!r}")

    def revive(self, value: Any) -> Any:
        """Give a value from what JSON holds of it."""
        if not self.nested or not isinstance(value, Mapping):
            return value
        # Where there are several classes, the names of the options tell which one it is.
        known = [t for t in self.nested if value.keys() <= options_of(t).keys()]
        return (known or self.nested)[0].from_dict(value)


class Options:
    """Base of all options: checks the values, and gives them as JSON can hold them."""

    def __post_init__(self) -> None:
        """Check every value by its annotation."""
        for name, described in options_of(type(self)).items():
            object.__setattr__(self, name, described.parse(getattr(self, name)))

    def to_dict(self) -> dict[str, Any]:
        """Give the options as a dictionary that JSON can hold, with None for what it cannot."""
        return {name: _plain(getattr(self, name)) for name in options_of(type(self))}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Options":
        """Make options from what `to_dict` gave; what is left out keeps its default.

        Raises:
            ValueError: if a name is unknown, or a value is not what the field says.
        """
        known = options_of(cls)
        unknown = [name for name in values if name not in known]
        if unknown:
            raise ValueError(
                f"unknown {cls.__name__} option {unknown[0]!r}; the options are {list(known)}"
            )
        return cls(**{name: known[name].revive(value) for name, value in values.items()})


@functools.cache
def options_of(cls: type[Options]) -> dict[str, Option]:
    """Describe the fields of options, by name."""
    hints = typing.get_type_hints(cls, include_extras=True)
    arguments = arguments_of(cls.__init__)
    return {
        field.name: Option(
            arguments[field.name],
            types=_types(hints[field.name]),
            default=arguments[field.name].default
            if field.default_factory is dataclasses.MISSING
            else field.default_factory(),
            **field.metadata,
        )
        for field in dataclasses.fields(cls)
    }


def signature_of(function: Callable, cls: type[Options]) -> inspect.Signature:
    """Give the signature of a function of named arguments and `**options`, with the options in it.

    Args:
        function: takes some arguments and the options.
        cls: class of the options.
    """
    signature, hints = inspect.signature(function), typing.get_type_hints(cls)
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    more = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=o.default, annotation=hints[name]
        )
        for name, o in options_of(cls).items()
    ]
    return signature.replace(parameters=[*own, *more])


def _with_attributes(text: str | None, listed: Sequence[Option]) -> str:
    """Write a section about the options into a docstring, before the sections at its end."""
    lines = inspect.cleandoc(text or "").splitlines()
    sections = [i for i, line in enumerate(lines) if line.startswith(_SECTIONS)]
    start = sections[0] if sections else len(lines)
    before, after = lines[:start], lines[start:]
    made = ["Attributes:", *(line for described in listed for line in _entry(described))]
    gap = [""]
    around = [*before, *made, *gap, *after] if after else [*before, *gap, *made]
    return "\n".join([*around, ""])


def _entry(described: Option) -> list[str]:
    """Lines of a docstring about an option."""
    text = f"{described.name}: {described.text}."
    return textwrap.wrap(text, _WIDTH, initial_indent=" " * 4, subsequent_indent=" " * 8)


def _types(hint: Any) -> tuple[Any, ...]:
    """Give the types that a hint is made of, but for None."""
    origin = typing.get_origin(hint)
    if origin is Annotated:
        return _types(typing.get_args(hint)[0])
    if origin in (typing.Union, types.UnionType):
        return tuple(t for member in typing.get_args(hint) for t in _types(member))
    return () if hint is type(None) else (hint,)


def _plain(value: Any) -> Any:
    """Give a value as JSON can hold it."""
    if isinstance(value, Options):
        return value.to_dict()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return Path(value).name
    return value if value is None or isinstance(value, str | int | float) else None
