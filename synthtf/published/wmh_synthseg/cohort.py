"""WMH-SynthSeg for many scans."""

import functools
import os
from pathlib import Path

from synthtf.batch import Outcome
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import Volume
from synthtf.data.whole_files import write_whole
from synthtf.inference.cohorts.cohort import Cohort
from synthtf.inference.cohorts.jobs import Job, Prediction, Writer
from synthtf.inference.patches.memory import MemoryBudget
from synthtf.published.cohorts import Predict, run_published
from synthtf.published.files import Files
from synthtf.published.weight_files import needed_weights
from synthtf.published.wmh_synthseg.labels import NAMES, TOTAL
from synthtf.usage import usage_errors

WEIGHTS = "WMH-SynthSeg_v10_231110.pth"

COMMAND = "wmh-synthseg"

_ENDINGS = (".nii.gz", ".nii", ".mgz", ".mgh")


def wmh_synthseg(
    source: str | os.PathLike,
    output: str | os.PathLike,
    *,
    volumes: str | os.PathLike | None = None,
    lesions: bool = False,
    crop: bool = False,
    model: str | os.PathLike | None = None,
    budget: MemoryBudget | None = None,
) -> Outcome:
    """Segment anatomy and lesions as `mri_WMHsynthseg` does; a bad scan never stops the others.

    Args:
        source: an image or a folder.
        output: a file for an image, a folder for a folder.
        volumes: CSV file of the volumes in mm³, a row per scan.
        lesions: whether to write the probability of lesions beside each segmentation.
        crop: whether to look at a box of 192 x 224 x 192 mm around the brain only.
        model: weights, or their folder. None: where published weights are looked for.
        budget: memory. None: as much as whole scans take.

    Returns:
        How many were segmented, and which failed and why.

    Raises:
        FileNotFoundError: if the source or the weights do not exist.
        ValueError: if source and outputs do not fit, or the weights are not those of
            WMH-SynthSeg.
    """
    with usage_errors():
        files = Files.plan(source, {"segmentation": output}, {"segmentation": "seg"})
        paths = files.outputs["segmentation"]
        for path in (*files.scans, *paths):
            if not path.name.endswith(_ENDINGS):
                raise ValueError(f"{path}: unknown ending; it must be one of {', '.join(_ENDINGS)}")
        table = None if volumes is None else _Table(Path(volumes))
        weights = needed_weights(WEIGHTS, model=model)
    # The table names outputs as they were given.
    names = {paths[0]: os.fspath(output)} if paths == [Path(output)] else {}
    jobs = []
    for scan, path in zip(files.scans, paths, strict=True):
        made = {"segmentation": path, **({"lesions": _beside(path)} if lesions else {})}
        jobs.append(Job({"Input": scan}, made, {}))

    def begin(weights: Path) -> Predict:
        from synthtf.interop.wmh_synthseg import load_wmh_synthseg
        from synthtf.published.wmh_synthseg.pipeline import segment_lesions

        network = load_wmh_synthseg(weights, least_outputs=len(NAMES))
        if table is not None:
            table.write()

        def predict(job: Job) -> Prediction:
            found = segment_lesions(job.scan, network, crop=crop, budget=budget)
            if table is not None:
                path = job.outputs["segmentation"]
                table.add(names.get(path, str(path)), found.volumes)
            return Prediction(
                {"segmentation": _write(found.labels), "lesions": _write(found.lesions)}
            )

        return predict

    return run_published(COMMAND, Cohort(jobs, None, {}), weights, begin)


class _Table:
    """Volumes of all scans, written after each of them."""

    def __init__(self, path: Path) -> None:
        if path.suffix != ".csv" or not path.parent.is_dir():
            raise ValueError(
                f"--csv_vols must be a .csv file in an existing folder. Received: {path}"
            )
        self.path = path
        columns = [f"{name}({label})" for label, name in NAMES.items() if label]
        self.lines = [",".join(["Input-file", TOTAL, *columns])]

    def add(self, name: str, volumes: dict[int, float]) -> None:
        values = [sum(volumes.values()), *volumes.values()]
        self.lines.append(",".join([name, *map(str, values)]))
        self.write()

    def write(self) -> None:
        write_whole(self.path, ("\n".join(self.lines) + "\n").encode())


def _beside(path: Path) -> Path:
    ending = next(e for e in _ENDINGS if path.name.endswith(e))
    return path.with_name(f"{path.name.removesuffix(ending)}.lesion_probs{ending}")


def _write(volume: Volume) -> Writer:
    return functools.partial(write_volume, data=volume.data, affine=volume.affine, dtype="float32")
