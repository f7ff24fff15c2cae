"""Pages of the site that are made of docstrings, model cards and the repository's own pages."""

import importlib
import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = "https://github.com/synthtf/synthtf/blob/main"
_LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s#]+)(#[^)\s]*)?(\))")
# What a user of Python meets, in the order of the reference.
API = (
    *("layers", "synthesis", "tasks", "training", "data", "inference", "evaluation", "runs"),
    *("networks", "losses", "metrics", "optimizers", "ops", "random", "interop", "reports"),
    *("figures", "testing", "compat"),
)
_GROUPS = {
    "anatomy": "Label maps",
    "geometry": "Geometry",
    "contrast": "Contrast and signal",
    "acquisition": "Acquisition",
    "preprocessing": "Before the network",
    "targets": "Targets",
}


def make(folder: Path, root: Path) -> None:
    """Make all pages anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    gallery = [sys.executable, str(root / "scripts" / "gallery.py"), "--each", folder / "layers"]
    subprocess.run(gallery, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _layers(folder)
    _reference(folder)
    _models(folder, root)
    for name in ("CONTRIBUTING.md", "CHANGELOG.md"):
        shutil.copyfile(root / name, folder / name)


def relink(name: str, text: list[str], root: Path) -> None:
    """Lead links of a page to other pages of the site, or to the repository.

    Args:
        name: name of the page, a path without ending below `docs`.
        text: list of one text, which is changed.
        root: folder of the repository.
    """
    page = root / "docs" / name
    home = _home(page, root)

    def lead(match: re.Match) -> str:
        before, target, anchor, after = match.groups()
        if re.match(r"[a-z]+:", target):
            return match.group(0)
        wanted = (home / target).resolve()
        if not wanted.is_relative_to(root) or not wanted.exists():
            return match.group(0)
        made = _page_of(wanted, root)
        if made is None:
            return f"{before}{SOURCE}/{wanted.relative_to(root)}{anchor or ''}{after}"
        there = Path(*[".."] * (len(page.relative_to(root / "docs").parts) - 1), made)
        return f"{before}{there}{anchor or ''}{after}"

    text[0] = _LINK.sub(lead, text[0])


def clean_docstring(
    app: object, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Let one-line sections begin paragraphs of their own, and bars in formulas be bars."""
    found = list(lines)
    lines.clear()
    for line in found:
        if "`" not in line and not line.lstrip().startswith((">>>", "...")):
            line = line.replace("|", "\\|")
        if re.match(r"(Input shape|Output shape|Reference|Returns|Raises|Example):", line):
            lines.append("")
        lines.append(line)
        if line.strip() == "Example:":
            lines[-1:] = ["**Example**", ""]


def signature(
    app: object, what: str, name: str, thing: object, options: object, *shown: str | None
) -> tuple[str, None] | None:
    """Give the arguments of a class's constructor, which Keras hides."""
    if not inspect.isclass(thing) or issubclass(thing, BaseException):
        return None
    arguments = [
        argument.replace(annotation=inspect.Parameter.empty)
        for argument in inspect.signature(thing.__init__).parameters.values()
    ]
    return str(inspect.Signature(arguments[1:])), None


def _home(page: Path, root: Path) -> Path:
    """Give the folder that the links of a page begin in."""
    generated = root / "docs" / "generated"
    if not page.is_relative_to(generated):
        return page.parent
    place = page.relative_to(generated)
    return root.joinpath(*place.parts[:-1]) if place.parts[0] == "models" else root


def _page_of(wanted: Path, root: Path) -> Path | None:
    """Give the place below `docs` of what a link leads to; None if the site does not have it."""
    place = wanted.relative_to(root)
    if place.parts[0] == "docs" and wanted.is_file() and wanted.suffix != ".json":
        return Path(*place.parts[1:])
    if place.parts[0] == "models" and wanted.suffix in (".md", ".png"):
        return Path("generated", place)
    if place.parts[0] == "models" and wanted.is_dir() and (wanted / "README.md").is_file():
        return Path("generated", place, "README.md")
    if str(place) in ("CONTRIBUTING.md", "CHANGELOG.md"):
        return Path("generated", place)
    return Path("index.md") if str(place) == "README.md" else None


def _layers(folder: Path) -> None:
    layers = importlib.import_module("synthtf.layers")
    text = ["# Layers", "", "Each is a step of a recipe, or used by itself: `layer(x, key=key)`."]
    text += ["Arguments that are ranges draw uniformly for each sample.", ""]
    for group, title in _GROUPS.items():
        names = [
            name
            for name in layers.__all__
            if inspect.isclass(getattr(layers, name))
            and getattr(layers, name).__module__.startswith(f"synthtf.layers.{group}.")
        ]
        text += [f"## {title}", ""]
        for name in names:
            text += [f"### {name}", ""]
            if (folder / "layers" / f"{name}.png").is_file():
                text += [f"![What {name} does to a head](layers/{name}.png){{width=220px}}", ""]
            text += ["```{eval-rst}", f".. autoclass:: synthtf.layers.{name}"]
            text += ["```", ""]
    (folder / "layers.md").write_text("\n".join(text))


def _reference(folder: Path) -> None:
    (folder / "api").mkdir()
    text = ["# Reference", "", "```{toctree}"]
    for name in API:
        module = importlib.import_module(f"synthtf.{name}")
        text.append(f"api/{name}")
        page = [f"# synthtf.{name}", "", inspect.getdoc(module).split("\n\n")[0], ""]
        public = getattr(module, "__all__", None)
        if name == "layers":
            page += ["Its layers have [a page of their own](../layers.md).", ""]
            public = [n for n in public if not _is_layer(getattr(module, n))]
        if public is None:
            public = [
                n
                for n, value in vars(module).items()
                if not n.startswith("_") and getattr(value, "__module__", "") == module.__name__
            ]
        for public_name in sorted(public, key=str.lower):
            value = getattr(module, public_name)
            if not callable(value):
                continue
            kind = "autoclass" if inspect.isclass(value) else "autofunction"
            page += [f"## {public_name}", "", "```{eval-rst}"]
            page += [f".. {kind}:: synthtf.{name}.{public_name}"]
            if kind == "autoclass" and not _is_layer(value):
                page.append("   :members:")
            page += ["```", ""]
        (folder / "api" / f"{name}.md").write_text("\n".join(page))
    (folder / "api.md").write_text("\n".join([*text, "```", ""]))


def _is_layer(value: object) -> bool:
    base = importlib.import_module("synthtf.layers.base").SynthesisLayer
    return inspect.isclass(value) and issubclass(value, base)


def _models(folder: Path, root: Path) -> None:
    target = folder / "models"
    cards = sorted((root / "models").glob("*/README.md"))
    text = ["# Models and recipes", "", "Each has a card: what it is, where its numbers are from,"]
    text += ["how it was trained, and what it reached.", "", "```{toctree}", ":maxdepth: 1", ""]
    for card in cards:
        place = target / card.parent.name
        place.mkdir(parents=True)
        shutil.copyfile(card, place / "README.md")
        for picture in card.parent.glob("*.png"):
            shutil.copyfile(picture, place / picture.name)
        text.append(f"models/{card.parent.name}/README")
    for picture in (root / "models").glob("*.png"):
        shutil.copyfile(picture, target / picture.name)
    shutil.copyfile(root / "models" / "EXPERIMENTS.md", target / "EXPERIMENTS.md")
    (folder / "models.md").write_text("\n".join([*text, "models/EXPERIMENTS", "```", ""]))
