"""A folder that segments scans in the browser: page, network, and the libraries that it needs."""

import base64
import hashlib
import io
import json
import os
import shutil
import tarfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthtf.data.label_table import LabelTable
from synthtf.data.own_files import refuse_foreign_folder
from synthtf.data.whole_files import write_whole
from synthtf.figures.mosaic import outline_colours
from synthtf.inference.components import one_piece_classes
from synthtf.inference.defaults import MINIMUM_SIZE
from synthtf.inference.prediction import load_run
from synthtf.inference.segmenting import mirrored_channels
from synthtf.interop.export import FACTS, export_run

if TYPE_CHECKING:
    from synthtf.runs.run import Run

PAGE = "index.html"
STATIC = Path(__file__).parent / "static"
"""Files of the page."""

_REGISTRY = "https://registry.npmjs.org"
_VARIABLE = "SYNTHTF_CACHE"
# Versions, their checksums, and per file of a package its name in the page.
_LIBRARIES = (
    (
        "onnxruntime-web",
        "1.30.0",
        "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
        {
            "dist/ort.webgpu.min.mjs": "ort.webgpu.min.mjs",
            "dist/ort-wasm-simd-threaded.asyncify.mjs": "ort-wasm-simd-threaded.asyncify.mjs",
            "dist/ort-wasm-simd-threaded.asyncify.wasm": "ort-wasm-simd-threaded.asyncify.wasm",
        },
    ),
    (
        "@niivue/niivue",
        "0.69.0",
        "YMjQvJgD1W2b7DuoxkwlC4VxbrgIePRJ5qyQzXKxi2v2MBVg285P/CIQyg46oDDGDIcaNlbd+MhtO/edMbXJkA==",
        {"dist/index.js": "niivue.mjs"},
    ),
)


def export_page(model: Any, folder: str | os.PathLike) -> Path:
    """Write a static folder whose page segments scans in the browser; nothing leaves the machine.

    The network is ONNX, applied by ONNX Runtime Web; niivue shows scan and labels. Both are fetched
    from the npm registry once, in fixed versions whose checksums are known, and kept in
    `$SYNTHTF_CACHE`, by default `~/.cache/synthtf`.

    Args:
        model: a training run of a segmentation in 3D, its folder or name, or what `fit` trained.
        folder: output folder; made if absent. An earlier export is replaced.

    Returns:
        Path of the page, `index.html`. A web server must serve the folder, such as `python -m
        http.server`: browsers open no modules from files.

    Raises:
        ValueError: if the run is no segmentation in 3D, or as `export_run`.
        OSError: if a library is neither in the cache nor in reach, or has another checksum.
    """
    run = load_run(model, "segmentation")
    refuse_foreign_folder(folder, FACTS, (PAGE,))
    target = Path(folder)
    write_page(target)  # first, as libraries may be out of reach
    export_run(run, target, "onnx")
    facts = json.loads((target / FACTS).read_text())
    _write_facts(target, {**facts, **_of_page(run)})
    return target / PAGE


def view_page(folder: str | os.PathLike, table: LabelTable) -> Path:
    """Write a page that shows scans and labels, without a network.

    Args:
        folder: output folder, which exists.
        table: names of the labels.

    Returns:
        Path of the page.

    Raises:
        OSError: as `export_page`.
    """
    target = Path(folder)
    write_page(target)
    values = [value for value in table.output_labels if value]
    _write_facts(target, {"name": "", "labels": _legend(table, values)})
    return target / PAGE


def write_page(folder: Path) -> None:
    """Write page and libraries, without what is of a network.

    Raises:
        OSError: as `export_page`.
    """
    libraries = [_library(*library) for library in _LIBRARIES]
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in [pair for files in libraries for pair in files.items()]:
        shutil.copyfile(source, folder / name)
    for source in STATIC.iterdir():
        shutil.copyfile(source, folder / source.name)


def _write_facts(folder: Path, facts: dict[str, Any]) -> None:
    write_whole(folder / FACTS, (json.dumps(facts, indent=2) + "\n").encode())


def _legend(table: LabelTable, values: list[int]) -> list[dict[str, Any]]:
    """Give name and colour of each label."""
    colours = outline_colours(values)
    return [
        {
            "value": value,
            "name": table.name(value),
            "colour": [round(255 * part) for part in colours[value][:3]],
        }
        for value in values
    ]


def _of_page(run: "Run") -> dict[str, Any]:
    """Give what the page has to know of a run, beyond what every export says."""
    outputs = [int(value) for value in run.output_labels]
    brain = run.table.brain_outputs
    flips = not run.table.one_sided
    return {
        "name": Path(run.name).name,
        "shape": list(run.shape),
        "mirrored": mirrored_channels(outputs, run.output_pairs) if flips else None,
        "brain_channels": [i for i, value in enumerate(outputs) if i and value in brain],
        "one_piece": one_piece_classes(run.table, outputs),
        "minimum_mm3": MINIMUM_SIZE,
        "labels": _legend(run.table, outputs[1:]),
    }


def _library(package: str, version: str, checksum: str, files: dict[str, str]) -> dict[str, Path]:
    """Give the files of a package by their names in the page; fetch it unless it is there."""
    home = Path(os.environ.get(_VARIABLE) or Path.home() / ".cache" / "synthtf")
    folder = home / f"{package.replace('/', '-').lstrip('@')}-{version}"
    found = {name: folder / name for name in files.values()}
    if not all(path.is_file() for path in found.values()):
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(fileobj=io.BytesIO(_fetch(package, version, checksum))) as archive:
            for place, name in files.items():
                member = archive.extractfile(f"package/{place}")
                if member is None:
                    raise OSError(f"{package} {version} lacks the file {place}")
                write_whole(folder / name, member.read())
    return found


def _fetch(package: str, version: str, checksum: str) -> bytes:
    registry = os.environ.get("NPM_CONFIG_REGISTRY", _REGISTRY).rstrip("/")
    address = f"{registry}/{package}/-/{package.rpartition('/')[2]}-{version}.tgz"
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:
            data = answer.read()
    except urllib.error.URLError as error:
        raise OSError(
            f"{address} is out of reach ({error}); the page needs {package} once, which is then "
            f"kept in ${_VARIABLE}"
        ) from None
    if base64.b64encode(hashlib.sha512(data).digest()).decode() != checksum:
        raise OSError(f"{address}: the checksum is not that of {package} {version}")
    return data
