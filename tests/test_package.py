"""Rules that hold for the whole package."""

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest
from setuptools import find_packages

import synthtf

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "synthtf").rglob("*.py"))
# What each part may import of the package, beyond itself.
ALLOWED = {
    "random": {"xla"},
    "ranges": set(),
    "arguments": {"ranges"},
    "label_arguments": {"ranges", "arguments"},
    "lazy": set(),
    "options": {"arguments"},
    "xla": set(),
    "optimizers": set(),
    "version": set(),
    "messages": set(),
    "usage": {"messages"},
    "startup": set(),
    "batch": {"messages"},
    "figures": {"ranges"},
    "ops": {"xla"},
    "losses": {"ops", "ranges"},
    "metrics": {"ops", "ranges"},
    "layers": {"random", "ranges", "arguments", "label_arguments", "ops", "data", "xla"},
    "data": {"ranges", "batch", "lazy", "messages", "usage"},
    "networks": {"layers", "ops", "lazy", "options", "arguments"},
    "synthesis": {"layers", "ops", "random", "ranges", "arguments", "data", "xla"},
    "runs": {"synthesis", "data", "lazy", "version", "xla"},
    "training": {
        *("runs", "synthesis", "layers", "optimizers", "data", "figures", "lazy", "xla"),
        *("options", "arguments", "ranges", "batch", "messages", "usage"),
        *("inference", "evaluation"),
    },
    "streams": {
        *("training", "runs", "synthesis", "data", "ranges", "batch", "lazy", "version"),
        *("options", "arguments"),
    },
    "tasks": {
        *("training", "runs", "synthesis", "networks", "losses", "metrics", "layers", "ops"),
        *("data", "options", "arguments", "ranges"),
    },
    "evaluation": {"data", "batch", "usage"},
    "inference": {
        *("runs", "data", "networks", "interop", "ops", "figures", "version", "xla"),
        *("evaluation", "batch", "messages", "usage", "startup"),
    },
    "published": {
        *("interop", "inference", "networks", "layers", "ops", "data", "runs", "version", "batch"),
        *("messages", "usage", "startup"),
    },
    "reports": {
        *("inference", "evaluation", "data", "figures", "batch", "messages", "usage", "version"),
    },
    "interop": {
        *("runs", "networks", "data", "ranges", "version", "startup", "usage", "lazy", "messages"),
    },
    "compat": {"interop", "networks", "synthesis", "layers", "ops", "data", "random"},
    "argument_contract": {"layers", "arguments"},
    "testing": {"layers", "random", "synthesis", "argument_contract"},
}


def imported(path):
    """Parts of the package that a file imports anywhere, type checking excepted."""
    tree = ast.parse(path.read_text())
    skipped = {
        id(node)
        for guard in ast.walk(tree)
        if isinstance(guard, ast.If) and "TYPE_CHECKING" in ast.dump(guard.test)
        for node in ast.walk(guard)
    }
    names = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("synthtf"):
            parts = node.module.split(".")
            names |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {a.name.split(".")[1] for a in node.names if a.name.startswith("synthtf.")}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path):
    part = path.relative_to(ROOT / "synthtf").parts[0].removesuffix(".py")
    if part in ALLOWED:
        assert imported(path) - {part} <= ALLOWED[part]
    tree = ast.parse(path.read_text())
    assert not any(isinstance(node, ast.Assert) for node in ast.walk(tree))
    assert path.read_text().count("\n") <= 400


def test_import_is_light():
    code = "import sys, synthtf; print([m for m in ('keras', 'tensorflow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", [n for n in synthtf.__all__ if re.match("[a-z]", n)])
def test_public_names_are_documented(name):
    module = importlib.import_module(f"synthtf.{name}")
    assert module.__doc__
    for public in getattr(module, "__all__", ()):
        value = getattr(module, public)
        assert not callable(value) or value.__doc__


PACKAGES = {".".join(path.parent.relative_to(ROOT).parts) for path in FILES}


@pytest.mark.parametrize("name", sorted(PACKAGES - {"synthtf"}))
def test_no_public_name_is_that_of_a_module(name):
    """`synthtf.inference.segment` cannot be a function and the module that holds it."""
    package = importlib.import_module(name)
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    assert not modules & set(getattr(package, "__all__", ()))


def test_metadata_names_every_package():
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert setup["metadata"]["version"] == "attr: synthtf.version.__version__"
    include = setup["options.packages.find"]["include"]
    packages = set(find_packages(ROOT, include=[include]))
    assert packages == {".".join(p.parent.relative_to(ROOT).parts) for p in FILES}


COMMANDS = sorted(
    path.stem
    for path in (ROOT / "synthtf" / "cli").glob("*.py")
    if path.stem not in ("__init__", "main", "arguments", "flags", "plans")
)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_hold_their_arguments_and_a_call(command):
    tree = ast.parse((ROOT / "synthtf" / "cli" / f"{command}.py").read_text())
    assert command.replace("_", "-") in importlib.import_module("synthtf.cli.main").COMMANDS
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    nodes = [node for node in ast.walk(tree) if isinstance(node, defined)]
    assert [node.name for node in nodes] == ["add_parser", "run"]
    statements = [node for node in ast.walk(nodes[1]) if isinstance(node, ast.stmt)]
    # The function itself, its docstring, and what it does.
    assert len(statements) - 2 <= 9


PUBLISHED = sorted(
    path.stem
    for path in (ROOT / "synthtf" / "cli" / "published").glob("*.py")
    if path.stem not in ("__init__", "command")
)


@pytest.mark.parametrize("command", PUBLISHED)
def test_published_commands_hold_their_arguments_and_a_call(command):
    path = ROOT / "synthtf" / "cli" / "published" / f"{command}.py"
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    script = f"synthtf-{command.replace('_', '-')} = synthtf.cli.published.{command}:main"
    assert script in setup["options.entry_points"]["console_scripts"].splitlines()
    functions = [n for n in ast.parse(path.read_text()).body if isinstance(n, ast.FunctionDef)]
    assert [function.name for function in functions] == ["make_parser", "run", "main"]
    statements = [node for node in ast.walk(functions[1]) if isinstance(node, ast.stmt)]
    assert len(statements) - 2 <= 12
    assert importlib.import_module(f"synthtf.cli.published.{command}").make_parser().prog == (
        f"synthtf-{command.replace('_', '-')}"
    )
