"""A file of each kind that synthtf reads, and how a user would open it; see fuzz.py."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np


def make_files(folder: Path) -> list[str]:
    """Write an undamaged file of each kind; returns their names."""
    import nibabel as nib

    from synthtf.data.grid import Grid
    from synthtf.data.label_table import LabelTable
    from synthtf.data.transforms import Affine
    from synthtf.interop.transform_files import write_transform
    from synthtf.synthesis import Recipe

    rng, affine = np.random.default_rng(0), np.diag([-2.0, 2, 2, 1])
    labels = rng.integers(0, 4, (9, 8, 7)).astype("int16")
    for name in ("v.nii", "v.nii.gz"):
        nib.Nifti1Image(labels, affine).to_filename(folder / name)
    for name in ("v.mgh", "v.mgz"):
        nib.MGHImage(labels.astype("int32"), affine).to_filename(folder / name)
    grid = Grid((6, 5, 4), affine)
    matrix = np.array([[1.0, 0.1, 0, 1], [0, 1, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]])
    for name in ("a.lta", "a.txt", "a.tfm", "a.mat", "0GenericAffine.mat", "w.nii.gz", "w.nii"):
        write_transform(folder / f"t_{name}", Affine(matrix), fixed=grid, moving=grid)
    table = LabelTable.from_labels([0, 1, 2, 43])
    table.write(folder / "labels.tsv")
    (folder / "lut.txt").write_text("# a\n0 Unknown 0 0 0 0\n4 Left-V 1 2 3 0\n43 Right-V 1 2 3 0")
    for name in ("tutorial", "heads"):
        Recipe.preset(name).save(folder / f"recipe_{name}.json")
    (folder / "points.csv").write_text("x,y,z,name\n1,2,3,a\n4.5,5,6,b\n")
    (folder / "points.txt").write_text("1 2 3\n4.5 5 6\n")
    (folder / "list.txt").write_text("# scans\na.nii.gz\nb.mgz\n")
    (folder / "pairs.tsv").write_text("moving\tfixed\tname\na.nii\tb.nii\tx\nc.nii\tb.nii\ty\n")
    _make_networks(folder, table, Recipe.preset("tutorial"))
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def _make_networks(folder: Path, table: Any, recipe: Any) -> None:
    import h5py
    import keras

    from synthtf.networks import UNetConfig, unet
    from synthtf.runs import Run

    keras.utils.set_random_seed(0)
    network = unet(3, 2, UNetConfig(features=2, levels=2, normalization="batch"))
    with h5py.File(folder / "synthseg.h5", "w") as file:
        for layer in (layer for layer in network.layers if layer.weights):
            kind, level, part, *index = (*layer.name.split("_"), "", "")
            name = "unet_likelihood"
            if part == "norm":
                name = f"unet_bn_{kind}_{level if kind == 'down' else 0 - int(level)}"
            elif kind in ("down", "up"):
                place = level if kind == "down" else 2 + 0 - int(level)
                name = f"unet_conv_{kind}arm_{place}_{index[0]}"
            for variable in layer.weights:
                file[f"{name}/{name}/{variable.name}:0"] = np.asarray(variable)
    facts = {"task": "segmentation", "shape": [16, 16], "spacing": [1, 1], "multiple": 2}
    run = Run.create(folder / "run", table, recipe, {**facts, "output_labels": [0, 1, 2]})
    run.save_model(unet(3, 2, UNetConfig(features=2, levels=2)))
    for name in ("run.json", "model.keras"):
        shutil.copy(folder / "run" / name, folder / f"run_{name}")


def read(path: Path, whole: Path) -> Any:
    """Open a file as a user would: by what its name says.

    Args:
        path: the file; its name ends as that of the undamaged one.
        whole: folder of the undamaged files.
    """
    name = path.name.split("-", 1)[-1]
    if name.startswith("v."):
        from synthtf.data.volumes import read_volume

        volume = read_volume(path, labels=True)
        return volume.data, volume.affine
    if name.startswith("t_"):
        from synthtf.data.volumes import Volume
        from synthtf.interop.transform_files import read_transform

        volume = Volume(np.zeros((6, 5, 4), "float32"), np.diag([-2.0, 2, 2, 1]))
        transform = read_transform(path, fixed=volume, moving=volume)
        return transform(np.random.default_rng(0).uniform(-8, 8, (20, 3)))
    if name.startswith("recipe"):
        from synthtf.data.label_table import LabelTable
        from synthtf.synthesis import Recipe

        table = LabelTable.from_labels([0, 1, 2, 3])
        recipe = Recipe.load(path)
        model = recipe.build((16, 16, 16), table, (2.0, 2.0, 2.0))
        labels = np.random.default_rng(0).integers(0, 4, (1, 16, 16, 16, 1)).astype("int32")
        model({"labels": labels, "key": np.array([[3, 4]], "int32")})
        return recipe.to_json()
    if name.startswith("run_"):
        return _read_run(path, name.removeprefix("run_"), whole / "run")
    if name.endswith(".h5"):
        from synthtf.interop import load_published

        return load_published(path).get_weights()
    if name.startswith("points"):
        from synthtf.data.points import read_points

        return read_points(path).points
    if name.startswith("list"):
        from synthtf.data.paths import expand_inputs

        return [str(file) for file in expand_inputs(path)]
    if name.startswith("pairs"):
        from synthtf.inference import ScanPairs

        found = ScanPairs.of(None, None, table=path)
        return found.pairs, found.names
    from synthtf.data.label_table import LabelTable

    return LabelTable.read(path)


def _read_run(path: Path, name: str, folder: Path) -> Any:
    from synthtf.runs import Run

    copy = Path(shutil.copytree(folder, path.with_name(f"folder of {path.name}")))
    try:
        shutil.copy(path, copy / name)
        run = Run.load(copy)
        return run.task_model.get_weights(), json.dumps(run.metadata, sort_keys=True)
    finally:
        shutil.rmtree(copy)


def digest(value: Any) -> str:
    """What tells results apart."""
    found = hashlib.sha256()
    for part in value if isinstance(value, tuple | list) else (value,):
        array = part if isinstance(part, np.ndarray) else None
        found.update(repr(part).encode() if array is None else repr(array.tolist()).encode())
    return found.hexdigest()
