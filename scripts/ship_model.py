"""Copy the network of a run into a folder of models/, with weights of half precision.

    python scripts/ship_model.py RUN -o models/NAME

Writes model.keras, run.json, recipe.json and labels.tsv, and SHA256SUMS over them. Keras reads the
halved weights into variables of float32, so that the network computes as before but for the last
digits of its weights; the script prints by how much they change.
"""

import argparse
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from synthtf.data.shipped_models import write_checksums
from synthtf.data.whole_files import check_archive
from synthtf.runs.run import FACTS, MODEL, RECIPE, TABLE

_WEIGHTS = "model.weights.h5"


def halve(source: Path, target: Path) -> float:
    """Write a .keras file again with weights of float16; return the largest relative change."""
    check_archive(source)
    weights = target.with_suffix(".h5")
    try:
        with (
            zipfile.ZipFile(source) as archive,
            zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as copy,
        ):
            for name in archive.namelist():
                if name != _WEIGHTS:
                    copy.writestr(zipfile.ZipInfo(name), archive.read(name), zipfile.ZIP_DEFLATED)
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a training")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the model")
    args = parser.parse_args(arguments)
    args.output.mkdir(parents=True, exist_ok=True)
    change = halve(args.run / MODEL, args.output / MODEL)
    for name in (RECIPE, TABLE, FACTS):
        shutil.copyfile(args.run / name, args.output / name)
    write_checksums(args.output, (MODEL, RECIPE, TABLE, FACTS))
    size = (args.output / MODEL).stat().st_size / 1e6
    print(f"{args.output}: {size:.1f} MB, weights changed by at most {change:.1e} of their largest")


if __name__ == "__main__":
    main()
