"""`synthtf train segmentation` on slices of phantoms, for processes that something befalls."""

import os
import sys
from pathlib import Path

from synthtf.data.phantoms import write_phantoms
from synthtf.layers import RandomAffine, RandomIntensity, RandomNoise
from synthtf.synthesis import Recipe

ROOT = Path(__file__).resolve().parents[1]


def write_maps(folder):
    """Write label maps of two dimensions, their table, and a recipe of some layers."""
    write_phantoms(folder, 4, shape=(32, 32), spacing=6.0)
    Recipe([RandomAffine(), RandomIntensity(), RandomNoise()]).save(folder / "recipe.json")


def arguments(phantoms, folder, **options):
    """Give the words of a command that trains in a folder, or goes on there."""
    chosen = {"epochs": 3, "features": 4, "levels": 2, "steps_per_epoch": 2} | options
    words = [word for name, value in chosen.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "synthtf.cli.main", "train", "segmentation", str(phantoms)]
    files = ["--labels", f"{phantoms}/labels.tsv", "--recipe", f"{phantoms}/recipe.json"]
    return [*command, "-o", str(folder), "--resume", *files, *(w.replace("_", "-") for w in words)]


def environment():
    """Give the environment of such a process."""
    return os.environ | {"PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"}
