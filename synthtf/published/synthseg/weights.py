"""Which files of weights SynthSeg needs, and where they are."""

import os
from dataclasses import dataclass
from pathlib import Path

from synthtf.data.shipped_models import shipped_models
from synthtf.published.weight_files import SOURCES, find_weights

PARCELS, QUALITY = "synthseg_parc_2.0.h5", "synthseg_qc_2.0.h5"
_SEGMENTATION = {
    "2.0": "synthseg_2.0.h5",
    "1.0": "synthseg_1.0.h5",
    "robust 2.0": "synthseg_robust_2.0.h5",
    "photo both": "synthseg_photo_both_1.0.h5",
    "photo single": "synthseg_photo_single_1.0.h5",
}
_FLAGS = {
    "1.0": "--v1",
    "robust 2.0": "--robust",
    "photo both": "--photo",
    "photo single": "--photo",
    "parcels": "--parc",
    "quality": "--qc",
}
_RUN = "run.json"


@dataclass(frozen=True)
class Weights:
    """Files of weights.

    Attributes:
        segmentation: weights of the segmentation.
        parcels: weights of the parcellation of the cortex, if it is wanted.
        quality: weights of the judge of segmentations, if scores are wanted.
    """

    segmentation: Path
    parcels: Path | None = None
    quality: Path | None = None


def own_model(model: str | os.PathLike | None) -> str | os.PathLike | None:
    """Give `model` if it is a run of this package, or the name of a model that comes with it.

    Args:
        model: what the user gave.
    """
    if model is None:
        return None
    known = os.fspath(model) in shipped_models() or (Path(model) / _RUN).is_file()
    return model if known else None


def find(
    version: str,
    parcels: bool = False,
    quality: bool = False,
    model: str | os.PathLike | None = None,
) -> Weights | None:
    """Find all files of weights.

    Args:
        version: "2.0", "1.0", "robust 2.0", "photo both" or "photo single".
        parcels: whether the cortex is parcellated.
        quality: whether scores of quality are wanted.
        model: the file of the segmentation's weights, with the others beside it, or the folder of
            all. None: as `find_weights` looks for them.

    Returns:
        The files; None if there are none for SynthSeg 2.0, and nothing else is wanted.

    Raises:
        FileNotFoundError: if a file is missing otherwise; says where it is looked for.
    """
    names = {"segmentation": _SEGMENTATION[version]}
    names |= {"parcels": PARCELS} if parcels else {}
    names |= {"quality": QUALITY} if quality else {}
    found = {kind: _find(name, model, kind == "segmentation") for kind, name in names.items()}
    missing = [name for kind, name in names.items() if found[kind] is None]
    if not missing:
        return Weights(**found)
    flags = [_FLAGS[version]] if version in _FLAGS else []
    flags += [_FLAGS[kind] for kind in names if kind in _FLAGS]
    if not flags:
        return None
    raise FileNotFoundError(
        f"{', '.join(flags)}: published weights are missing: {', '.join(missing)}; they are "
        f"looked for in {SOURCES}"
    )


def _find(name: str, model: str | os.PathLike | None, is_segmentation: bool) -> Path | None:
    if model is None or is_segmentation or Path(model).is_dir():
        return find_weights(name, model=model)
    beside = Path(model).parent / name
    return beside if beside.is_file() else find_weights(name)
