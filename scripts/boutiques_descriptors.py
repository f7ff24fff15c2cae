"""Write Boutiques descriptors of the commands, from their parsers.

    python scripts/boutiques_descriptors.py [FOLDER]

They are in docs/boutiques; `bosh validate` of the package boutiques checks them.
"""

import argparse
import importlib
import json
import re
import sys
from configparser import ConfigParser
from pathlib import Path

from synthtf.cli.main import build_parser
from synthtf.version import __version__

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "boutiques"
IMAGE = {"type": "docker", "image": "synthtf", "index": "local"}
NUMBERS = {"positive_integer": True, "int": True, "cores": True, "key_part": True, "float": False}
_CODES = {1: "Some inputs failed", 2: "Wrong usage"}
_READ = {"IN", "MOVING", "FIXED", "TABLE", "MAP", "MAPS", "MASK", "SCAN1", "SCAN2", "SCANS"}
"""What stands for a file or folder that is there, and that a container must see."""


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Name of a command, as in a shell, to its parser."""
    found = {}
    for action in build_parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            found |= {f"synthtf {name}": parser for name, parser in action.choices.items()}
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    for line in config["options.entry_points"]["console_scripts"].split("\n"):
        name, _, place = line.partition(" = ")
        module = importlib.import_module(place.partition(":")[0]) if place else None
        if hasattr(module, "make_parser"):
            found[name] = module.make_parser()
    return {
        name: each for command, parser in found.items() for name, each in _leaves(command, parser)
    }


def describe(command: str, parser: argparse.ArgumentParser) -> dict:
    """Descriptor of a command.

    Args:
        command: its name, as in a shell.
        parser: its parser.
    """
    inputs, groups = [], []
    exclusive = {id(a): g for g in parser._mutually_exclusive_groups for a in g._group_actions}
    members: dict[int, list[str]] = {}
    for action in parser._actions:
        for entry in _inputs(action):
            inputs.append(entry)
            if id(action) in exclusive:
                members.setdefault(id(exclusive[id(action)]), []).append(entry["id"])
    for number, ids in enumerate(each for each in members.values() if len(each) > 1):
        groups.append(
            {"id": f"choice_{number}", "name": f"One of {', '.join(ids)}", "members": ids}
            | {"mutually-exclusive": True}
        )
    keys = " ".join(entry["value-key"] for entry in _in_order(inputs))
    descriptor = {
        "name": command,
        "description": " ".join((parser.description or command).split()),
        "tool-version": __version__,
        "schema-version": "0.5",
        "command-line": f"{command} {keys}".strip(),
        "container-image": IMAGE,
        "inputs": inputs,
        "error-codes": [{"code": code, "description": text} for code, text in _CODES.items()],
        "tags": {"domain": ["neuroinformatics", "mri"]},
    }
    return descriptor | ({"groups": groups} if groups else {})


def write(folder: Path = FOLDER) -> None:
    """Write all descriptors.

    Args:
        folder: gets a file for each command; others of the same ending are deleted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = {file_name(command): text(command, parser) for command, parser in parsers().items()}
    for path in folder.glob("*.json"):
        if path.name not in texts:
            path.unlink()
    for name, content in texts.items():
        (folder / name).write_text(content, encoding="utf-8")


def text(command: str, parser: argparse.ArgumentParser) -> str:
    """Content of the file of a command."""
    return json.dumps(describe(command, parser), indent=2, ensure_ascii=False) + "\n"


def file_name(command: str) -> str:
    """Name of the file of a command."""
    return f"{command.replace(' ', '-')}.json"


def _leaves(command: str, parser: argparse.ArgumentParser) -> list:
    """Commands below a command that has some; itself if not."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            pairs = action.choices.items()
            return [leaf for name, each in pairs for leaf in _leaves(f"{command} {name}", each)]
    return [(command, parser)]


def _inputs(action: argparse.Action) -> list[dict]:
    """Inputs of an argument: one, or none of those that only print."""
    if isinstance(action, argparse._HelpAction | argparse._VersionAction):
        return []
    if action.help == argparse.SUPPRESS:
        return []
    flag = max(action.option_strings, key=len, default=None)
    name = action.dest if flag is None else flag.lstrip("-")
    key = re.sub(r"\W", "_", name)
    entry = {
        "id": key,
        "name": name,
        "description": _help(action),
        "value-key": f"[{key}]",
        "optional": bool(flag and not action.required) or action.nargs in ("?", "*"),
    }
    if flag:
        entry["command-line-flag"] = flag
    if action.nargs == 0 or isinstance(action, argparse.BooleanOptionalAction):
        return [entry | {"type": "Flag"}]
    entry |= _value(action)
    if action.nargs in ("+", "*") or isinstance(action.nargs, int):
        entry["list"] = True
        if isinstance(action.nargs, int):
            entry |= {"min-list-entries": action.nargs, "max-list-entries": action.nargs}
    return [entry]


def _value(action: argparse.Action) -> dict:
    """Type and choices of a value; what is written is a string, as it need not exist."""
    if action.choices is not None:
        return {
            "type": "String",
            "value-choices": [str(c) for c in action.choices if c is not None],
        }
    kind = getattr(action.type, "__name__", "")
    if kind in NUMBERS and "none" not in str(action.help):
        return {"type": "Number", "integer": NUMBERS[kind]}
    return {"type": "File" if action.metavar in _READ else "String"}


def _help(action: argparse.Action) -> str:
    """Help of an argument with its default, in one line."""
    formatter = argparse.HelpFormatter("")
    return " ".join(formatter._expand_help(action).split()) if action.help else action.dest


def _in_order(inputs: list[dict]) -> list[dict]:
    """Positional arguments first: a list behind a flag would swallow them."""
    return sorted(inputs, key=lambda entry: "command-line-flag" in entry)


if __name__ == "__main__":
    write(*map(Path, sys.argv[1:2]))
