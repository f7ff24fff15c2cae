"""Copy the network of a run into a folder of models/, with weights of half precision.

    python scripts/ship_model.py RUN -o models/NAME [--weights-of models/OTHER]

Writes model.keras, run.json, recipe.json and labels.tsv, and SHA256SUMS over them. Keras reads the
halved weights into variables of float32, so that the network computes as before but for the last
digits of its weights; the script prints by how much they change. Weights that a shipped model has
as well, such as those of the detector of a registration, are not stored again with --weights-of.
"""

import argparse
import io
import json
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from synthtf.data.shipped_models import file_digest, write_checksums
from synthtf.data.whole_files import check_archive
from synthtf.runs.model_file import BORROWED
from synthtf.runs.run import FACTS, MODEL, RECIPE, TABLE

_WEIGHTS, _METADATA = "model.weights.h5", "metadata.json"


def halve(source: Path, target: Path) -> float:
    """Write a .keras file again with weights of float16; return the largest relative change."""
    check_archive(source)
    weights = target.with_suffix(".h5")
    try:
        with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w") as copy:
            for name in archive.namelist():
                if name != _WEIGHTS:
                    copy.writestr(zipfile.ZipInfo(name), archive.read(name))
            with archive.open(_WEIGHTS) as stream:
                change = _halve_weights(h5py.File(stream, "r"), weights)
            copy.write(weights, _WEIGHTS)
    finally:
        weights.unlink(missing_ok=True)
    return change


def _halve_weights(source: h5py.File, path: Path) -> float:
    changes = [0.0]

    def copy(name: str, item: object) -> None:
        if isinstance(item, h5py.Group):
            group = target.require_group(name)
            group.attrs.update(item.attrs)
            return
        values = item[()]
        half = np.asarray(values, "float16") if values.dtype == "float32" else values
        target.create_dataset(name, data=half).attrs.update(item.attrs)
        if values.size:
            changes.append(float(np.abs(half - values).max() / max(np.abs(values).max(), 1e-12)))

    with source, h5py.File(path, "w") as target:
        target.attrs.update(source.attrs)
        source.visititems(copy)
    return max(changes)


def share(path: Path, other: Path) -> int:
    """Take out of a .keras file the weights that another has as well; return how many tensors."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(other) as archive:
        theirs = _tensors(archive.read(_WEIGHTS))
    ours = _tensors(members[_WEIGHTS])
    first = next(iter(theirs))
    groups = [name.removesuffix(f"/{first}") for name in ours if name.endswith(f"/{first}")]

    def shared(group: str) -> set[str]:
        names = {f"{group}/{name}": values for name, values in theirs.items()}
        return {n for n, values in names.items() if n in ours and np.array_equal(values, ours[n])}

    group = max(groups, key=lambda group: len(shared(group)))
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        for name in ours.keys() - shared(group):
            file[name] = ours[name]
    metadata = json.loads(members[_METADATA])
    metadata[BORROWED] = [other.parent.name, file_digest(other), group]
    members[_METADATA] = json.dumps(metadata).encode()
    members[_WEIGHTS] = stream.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return len(shared(group))


def _tensors(weights: bytes) -> dict[str, np.ndarray]:
    found = {}

    def keep(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with h5py.File(io.BytesIO(weights), "r") as file:
        file.visititems(keep)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a training")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the model")
    parser.add_argument("--weights-of", type=Path, metavar="FOLDER", help="of a shipped model")
    args = parser.parse_args(arguments)
    args.output.mkdir(parents=True, exist_ok=True)
    change = halve(args.run / MODEL, args.output / MODEL)
    if args.weights_of:
        count = share(args.output / MODEL, args.weights_of / MODEL)
        print(f"{count} tensors are those of {args.weights_of.name}")
    for name in (RECIPE, TABLE, FACTS):
        shutil.copyfile(args.run / name, args.output / name)
    write_checksums(args.output, (MODEL, RECIPE, TABLE, FACTS))
    size = (args.output / MODEL).stat().st_size / 1e6
    print(f"{args.output}: {size:.1f} MB, weights changed by at most {change:.1e} of their largest")


if __name__ == "__main__":
    main()
