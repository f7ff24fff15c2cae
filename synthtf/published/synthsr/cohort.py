"""SynthSR for many scans."""

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from synthtf.batch import Outcome
from synthtf.data.paths import refuse_clashes
from synthtf.data.volumes import Volume
from synthtf.inference.cohorts.cohort import Cohort
from synthtf.inference.cohorts.jobs import Job, Prediction
from synthtf.inference.patches.memory import MemoryBudget
from synthtf.published.cohorts import Predict, run_published
from synthtf.published.files import Files, write_image
from synthtf.published.weight_files import needed_weights
from synthtf.usage import usage_errors

GENERAL = ("synthsr_v20_230130.h5",)
LOW_FIELD = ("synthsr_lowfield_v20_230130.h5",)
VERSION_1 = ("synthsr_v10_210712.h5", "SynthSR_v10_210712.h5")
PAIR = ("synthsr_v10_210712_hyperfine.h5",)

COMMAND = "synthsr"


@dataclass(frozen=True)
class Settings:
    """How scans are super-resolved.

    Attributes:
        low_field: whether the weights for low-field scans are used.
        version_1: whether those of 2021 are used.
        ct: whether scans are in Hounsfield units.
        sharpen: whether the result is sharpened.
        flip: whether to average with the result of the mirrored scan.
        model: weights, or their folder. None: where published weights are looked for.
        budget: memory. None: as much as whole scans take.
    """

    low_field: bool = False
    version_1: bool = False
    ct: bool = False
    sharpen: bool = True
    flip: bool = True
    model: str | os.PathLike | None = None
    budget: MemoryBudget | None = None


def synthsr(
    source: str | os.PathLike, output: str | os.PathLike, settings: Settings | None = None
) -> Outcome:
    """Synthesise T1 scans of 1 mm as `mri_synthsr` does; one bad scan never stops the others.

    Args:
        source: an image, a folder, or a .txt list.
        output: a file or a folder for an image, else a folder or a .txt list; see `Files.plan`.
        settings: how scans are super-resolved.

    Returns:
        How many were done, and which failed and why.

    Raises:
        FileNotFoundError: if the source or the weights do not exist.
        ValueError: if source and output do not fit, or the weights are not those of SynthSR.
    """
    settings = settings or Settings()
    with usage_errors():
        files = Files.plan(source, {"image": output}, {"image": COMMAND})
        names = LOW_FIELD if settings.low_field else GENERAL
        names = VERSION_1 if settings.version_1 else names
        weights = needed_weights(*names, model=settings.model)
    scans = [{"Input": scan} for scan in files.scans]

    def begin(weights: Path) -> Predict:
        from synthtf.interop.synthsr import load_synthsr
        from synthtf.published.synthsr.pipeline import super_resolve

        network = load_synthsr(weights)
        how = {"ct": settings.ct, "sharpen": settings.sharpen, "flip": settings.flip}
        return _predict(lambda job: super_resolve(job.scan, network, **how, budget=settings.budget))

    return run_published(COMMAND, _cohort(scans, files.outputs["image"]), weights, begin)


def synthsr_pair(
    t1: str | os.PathLike,
    t2: str | os.PathLike,
    output: str | os.PathLike,
    *,
    model: str | os.PathLike | None = None,
    budget: MemoryBudget | None = None,
) -> Outcome:
    """Synthesise T1 scans of 1 mm from T1 and T2 as `mri_synthsr_hyperfine` does.

    Args:
        t1: an image, a folder, or a .txt list.
        t2: the same of the T2, which their headers place on the T1; folders go by name.
        output: a file or a folder for an image, else a folder or a .txt list.
        model: weights, or their folder. None: where published weights are looked for.
        budget: memory. None: as much as the whole scan takes.

    Returns:
        How many were done, and which failed and why.

    Raises:
        FileNotFoundError: if scans or the weights do not exist.
        ValueError: if scans and outputs do not fit, or the weights are not those of SynthSR.
    """
    with usage_errors():
        files = Files.plan(t1, {"image": output}, {"image": COMMAND})
        others = Files.plan(t2, {}).scans
        if len(others) != len(files.scans):
            raise ValueError(
                f"--t2 must have as many images as --t1. Received: {len(files.scans)} T1 and "
                f"{len(others)} T2"
            )
        outputs = files.outputs["image"]
        refuse_clashes(files.scans, outputs, others)
        weights = needed_weights(*PAIR, model=model)
    scans = [{"T1": one, "T2": other} for one, other in zip(files.scans, others, strict=True)]

    def begin(weights: Path) -> Predict:
        from synthtf.interop.synthsr import load_synthsr
        from synthtf.published.synthsr.pipeline import super_resolve_pair

        network = load_synthsr(weights, channels=2)
        return _predict(lambda job: super_resolve_pair(*job.scans.values(), network, budget=budget))

    return run_published(COMMAND, _cohort(scans, outputs), weights, begin)


def _cohort(scans: list[Mapping[str, Path]], outputs: list[Path]) -> Cohort:
    jobs = [
        Job(dict(found), {"image": path}, {}) for found, path in zip(scans, outputs, strict=True)
    ]
    return Cohort(jobs, None, {})


def _predict(resolve: Callable[[Job], Volume]) -> Predict:
    """Give what writes a synthetic scan in the type of the scan's file."""

    def predict(job: Job) -> Prediction:
        found = resolve(job)
        dtype = "float32" if found.header is None else found.header.get_data_dtype()
        place = {"like": found, "affine": found.affine, "dtype": dtype}
        return Prediction({"image": functools.partial(write_image, data=found.data, **place)})

    return predict
