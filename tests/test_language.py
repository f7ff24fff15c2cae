"""The package speaks as a colleague would: what can be held of that, by its syntax tree."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "synthtf"
FORBIDDEN = re.compile(r"\b(of which|that which|lest|what is no)\b", re.IGNORECASE)

# Folders whose messages are not in this form yet: a shrinking list.
WITH_OTHER_MESSAGES = {
    "cli",
    "demo",
    "inference",
    "evaluation",
    "networks",
    "reports",
    "runs",
    "training",
}

# Names, which are written with a capital letter.
NAMES = {"Adam", "Default", "Gaussian", "Keras", "None", "Otsu", "True", "False"}


def modules(*, without=frozenset()):
    found = sorted(PACKAGE.rglob("*.py"))
    return [path for path in found if path.relative_to(PACKAGE).parts[0] not in without]


def ids(path):
    return str(path.relative_to(PACKAGE))


def parsed(path):
    return ast.parse(path.read_text())


def text_of(node):
    """All text of a string or an f-string, on one line; values stand as {}."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    words = "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in parts)
    return " ".join(words.split())


def strings(tree):
    inner = {id(v) for n in ast.walk(tree) if isinstance(n, ast.JoinedStr) for v in n.values}
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if (is_text or isinstance(node, ast.JoinedStr)) and id(node) not in inner:
            yield text_of(node)


def comments(path):
    """Comments, those on consecutive lines as one."""
    found, last = [], -1
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type == tokenize.COMMENT:
            text = token.string.lstrip("# ")
            if token.start[0] == last + 1:
                found[-1] += " " + text
            else:
                found.append(text)
            last = token.start[0]
    return found


def documented(nodes):
    """Functions and classes with their docstrings."""
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            yield node, ast.get_docstring(node)


def sections(docstring):
    """Lines of each section in Google's style, without their common indentation."""
    found = {}
    for heading, body in re.findall(r"^(\w+):\n((?: {4}.*\n?|\n)+)", docstring, re.MULTILINE):
        found[heading] = [line[4:] for line in body.splitlines()]
    return found


@pytest.mark.parametrize("path", modules(), ids=ids)
def test_no_forbidden_phrases(path):
    texts = [*strings(parsed(path)), *comments(path)]
    assert not [text for text in texts if FORBIDDEN.search(text)]


@pytest.mark.parametrize("text", ["a list, of which one", "Lest it fails", "of\n    which"])
def test_phrases_are_found(text, tmp_path):
    (tmp_path / "a.py").write_text(f'"""{text}"""\n# that\n# which\n')
    found = [*strings(parsed(tmp_path / "a.py")), *comments(tmp_path / "a.py")]
    assert len(found) == 2 and all(FORBIDDEN.search(each) for each in found)


@pytest.mark.parametrize("path", modules(without=WITH_OTHER_MESSAGES), ids=ids)
def test_one_form_of_errors(path):
    """A message says what must be, and then what was received, behind a colon."""
    tree = parsed(path)
    messages = [
        text
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise) and node.exc is not None
        for text in strings(node.exc)
    ]
    assert not [text for text in messages if re.search(r"\bexpected\b|\breceived\b", text)]
    assert not [text for text in messages if re.search(r"\bReceived\b(?!:)|\bExpected\b", text)]
    assert not [text for text in strings(tree) if re.search(r"(?i)expected .*\breceived ", text)]


@pytest.mark.parametrize("path", modules(without=WITH_OTHER_MESSAGES), ids=ids)
def test_one_form_of_arguments(path):
    """`name: what it is`, in lower case."""
    wrong = []
    for _, docstring in documented(ast.walk(parsed(path))):
        found = sections(docstring)
        for line in (
            *found.get("Args", ()),
            *found.get("Attributes", ()),
            *found.get("Raises", ()),
        ):
            word = re.match(r"[\w*]+: ([A-Z][a-z]*\b)", line)
            clause = re.match(r"[\w*]+: (of|as of|likewise|that|in which)\b", line)
            if clause or (word and word[1] not in NAMES):
                wrong.append(line)
    assert not wrong


@pytest.mark.parametrize("path", sorted((PACKAGE / "ops").glob("[!_]*.py")), ids=ids)
def test_every_function_of_ops_is_explained(path):
    """Arguments, result, errors and an example that runs (as all doctests of the package do)."""
    wrong = []
    for node, docstring in documented(parsed(path).body):
        if node.name.startswith("_"):
            continue
        found = sections(docstring)
        if not any(line.startswith(">>> ") for line in found.get("Example", ())):
            wrong.append(f"{node.name}: no example")
        if isinstance(node, ast.ClassDef):
            continue
        given = {line.split(":")[0] for line in found.get("Args", ()) if line[:1].strip()}
        named = {a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
        if given != named:
            wrong.append(f"{node.name}: {sorted(given ^ named)}")
        if getattr(node.returns, "value", "") is not None and "Returns" not in found:
            wrong.append(f"{node.name}: no result")
        if any(isinstance(inner, ast.Raise) for inner in ast.walk(node)) and "Raises" not in found:
            wrong.append(f"{node.name}: no error")
    assert not wrong


def test_every_function_of_ops_has_a_docstring():
    nodes = [n for path in (PACKAGE / "ops").glob("*.py") for n in parsed(path).body]
    functions = [n for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    public = [n for n in functions if not n.name.startswith("_")]
    assert len(public) > 60 and all(ast.get_docstring(n) for n in public)
