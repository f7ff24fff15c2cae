"""Flags of options, and options from flags."""

import argparse
import dataclasses
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, TypeVar

from synthtf.data.shipped_models import model_folder
from synthtf.options import Option, Options, options_of
from synthtf.usage import UsageError, usage_errors

Class = TypeVar("Class", bound=Options)
Group = argparse.ArgumentParser | argparse._ArgumentGroup

RUN = "RUN"
_NONE = "none"
_METAVARS = {int: "N", float: "X", str: "NAME"}


def add_flags(
    group: Group,
    classes: Sequence[type[Options]],
    names: Sequence[str] = ("",),
    only: Sequence[str] | None = None,
) -> None:
    """Add a flag for each option; its value is an attribute only if the flag is given.

    Args:
        group: gets the flags.
        classes: of options; a flag that several have is added once.
        names: of the classes, for the defaults where these differ.
        only: names of the options that get a flag. None: all.
    """
    found: dict[str, list[tuple[str, Option, Any]]] = {}
    for cls, name in zip(classes, names, strict=True):
        for described, default in _leaves(cls):
            if only is None or described.name in only:
                found.setdefault(described.name, []).append((name, described, default))
    for variants in found.values():
        defaults = {name: _shown(default) for name, _, default in variants}
        _add_flag(group, variants[0][1], _help(variants[0][1].text, defaults))


def flags_of(cls: type[Options]) -> set[str]:
    """Give the names of the options of a class that have a flag."""
    return {described.name for described, _ in _leaves(cls)}


def refuse_foreign(args: argparse.Namespace, own: type[Options], others: Sequence[type]) -> None:
    """Refuse flags of other classes than the own one.

    Raises:
        UsageError: if one is given.
    """
    for other in others:
        for described, _ in _leaves(other):
            if hasattr(args, described.name) and described.name not in flags_of(own):
                raise UsageError(f"{_flag(described)} is not an option of the task {own.name}")


def find_runs(args: argparse.Namespace, *classes: type[Options]) -> None:
    """Put the folders of runs in the place of their names.

    Raises:
        UsageError: if there is no such run.
    """
    for described, _ in (leaf for cls in classes for leaf in _leaves(cls)):
        value = getattr(args, described.name, None)
        if described.metavar == RUN and isinstance(value, str):
            with usage_errors():
                folder = model_folder(value, described.name, _flag(described))
            setattr(args, described.name, folder)


def options_from(args: argparse.Namespace, cls: type[Class], **more: Any) -> Class:
    """Make options from the flags that were given.

    Args:
        args: parsed.
        cls: of the options.
        **more: values of options that have no flag.

    Raises:
        ValueError: if a value is out of range.
    """
    values = dict(more)
    for name, described in options_of(cls).items():
        if described.flag and described.nested:
            own = type(described.default)
            given = {n: getattr(args, n) for n in options_of(own) if hasattr(args, n)}
            values[name] = dataclasses.replace(described.default, **given)
        elif described.flag and hasattr(args, name):
            values[name] = getattr(args, name)
    return cls(**values)


def _leaves(cls: type[Options], values: Any = None) -> Iterator[tuple[Option, Any]]:
    """Go through the options with flags and their defaults, those of nested options too."""
    for name, described in options_of(cls).items():
        default = described.default if values is None else getattr(values, name)
        if described.flag and described.nested:
            yield from _leaves(type(default), default)
        elif described.flag:
            yield described, default


def _add_flag(group: Group, described: Option, text: str) -> None:
    choices = _choices(described)
    common = {"dest": described.name, "default": argparse.SUPPRESS, "help": text}
    if described.types == (bool,):
        group.add_argument(_flag(described), action=argparse.BooleanOptionalAction, **common)
        return
    kind = _kind(described)
    metavar = described.metavar or _METAVARS[kind]
    if choices:
        metavar = f"{{{','.join(choices)}}}"
        common["choices"] = (*choices, None) if described.argument.optional else choices
    if any(typing.get_origin(t) is not None and not choices for t in described.types[:1]):
        common["nargs"] = "+"
    if bool in described.types:
        group = group.add_mutually_exclusive_group()
        group.add_argument(
            f"--no-{_flag(described)[2:]}",
            action="store_false",
            **{**common, "help": argparse.SUPPRESS},
        )
        common["help"] = f"{text}; --no-{_flag(described)[2:]} for none"
    read = _or_none(kind) if described.argument.optional else kind
    group.add_argument(_flag(described), type=read, metavar=metavar, **common)


def _flag(described: Option) -> str:
    return f"--{described.name.replace('_', '-')}"


def _kind(described: Option) -> type:
    """Type that one word of the command line is read as."""
    first = described.types[0]
    if typing.get_origin(first) is not None and not _choices(described):
        first = typing.get_args(first)[0]
    return first if first in (int, float) else str


def _choices(described: Option) -> tuple[str, ...]:
    found = [typing.get_args(t) for t in described.types if typing.get_origin(t) is Literal]
    if not found:
        return ()
    return (*found[0], *((_NONE,) if described.argument.optional else ()))


def _or_none(kind: type) -> Callable[[str], Any]:
    """Read a value that may be "none"."""

    def read(text: str) -> Any:
        return None if text == _NONE else kind(text)

    read.__name__ = kind.__name__
    return read


def _help(text: str, defaults: dict[str, str]) -> str:
    """Help of a flag with its default, or with those of several classes."""
    different = set(defaults.values())
    if len(different) == 1:
        shown = different.pop()
    else:
        shown = ", ".join(f"{default} for {name}" for name, default in defaults.items() if default)
    text = text.replace("`", "").replace("%", "%%")
    return f"{text} (default: {shown})" if shown else text


def _shown(default: Any) -> str:
    """A default as the command line shows it; empty if there is nothing to show."""
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, int | float):
        return f"{default:g}"
    return default if isinstance(default, str) else ""
