"""Which files of weights a registration needs, and the networks in them."""

import os
from collections.abc import Sequence
from pathlib import Path

from synthtf.published.synthmorph.registering import Networks
from synthtf.published.weight_files import find_weights

WEIGHTS = {
    "affine": "synthmorph.affine.2.h5",
    "rigid": "synthmorph.rigid.1.h5",
    "deform": "synthmorph.deform.3.h5",
}
"""Names of the published files."""


def needed(model: str) -> list[str]:
    """Names of the published files that a model of SynthMorph needs."""
    return [WEIGHTS[part] for part in (("affine", "deform") if model == "joint" else (model,))]


def find_files(model: str, given: Sequence[str | os.PathLike]) -> list[Path]:
    """Find the files of weights.

    Args:
        model: one of `MODELS`.
        given: files, or folders of the published ones. Empty: where the environment says they are.

    Returns:
        Their paths; none if none are given and the environment does not have them all.

    Raises:
        FileNotFoundError: if one that is given does not exist, or is a folder without them.
    """
    if not given:
        found = [find_weights(name) for name in needed(model)]
        return [path for path in found if path is not None] if None not in found else []
    paths: dict[Path, None] = {}
    for one in given:
        names = needed(model) if Path(one).is_dir() else needed(model)[:1]
        paths.update({find_weights(name, model=one): None for name in names})
    return list(paths)


def load_networks(model: str, files: Sequence[Path], regularization: float) -> Networks:
    """Build the networks that a model of SynthMorph needs.

    Files are told apart by what they hold, whatever their names and order.

    Args:
        model: one of `MODELS`.
        files: files of weights.
        regularization: λ in (0, 1), how smooth a deformation shall be.

    Raises:
        ValueError: if a file has no network of SynthMorph, or none has one that is needed.
    """
    from synthtf.interop.synthmorph import (
        DEFORMABLE,
        DETECTOR,
        load_synthmorph_deformable,
        load_synthmorph_detector,
        synthmorph_parts,
    )

    holder: dict[str, Path] = {}
    for path in files:
        for part in synthmorph_parts(path):
            holder.setdefault(part, path)
    parts = [DEFORMABLE if name == WEIGHTS["deform"] else DETECTOR for name in needed(model)]
    for part, name in zip(parts, needed(model), strict=True):
        if part not in holder:
            shown = ", ".join(map(str, files))
            raise ValueError(
                f"{shown}: no {part} network, which {model} registration needs; give {name} as well"
            )
    return Networks(
        load_synthmorph_detector(holder[DETECTOR]) if DETECTOR in parts else None,
        load_synthmorph_deformable(holder[DEFORMABLE], regularization)
        if DEFORMABLE in parts
        else None,
    )
