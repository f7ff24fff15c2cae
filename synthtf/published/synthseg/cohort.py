"""SynthSeg for many scans."""

import functools
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synthtf.batch import Outcome, for_each_file
from synthtf.data.shipped_models import model_folder
from synthtf.data.tables import volume_columns
from synthtf.data.volumes import Volume
from synthtf.inference.cohorts.cohort import Cohort
from synthtf.inference.cohorts.jobs import Job, Prediction
from synthtf.messages import print_line
from synthtf.published.alignment import needs_resampling, read_scan, resample_to_1mm
from synthtf.published.colours import colour_table, embed_colours
from synthtf.published.files import Files, write_image
from synthtf.published.surfa_space import sample_nearest
from synthtf.published.synthseg.labels import PARCELS, QUALITY_NAMES, TOTAL, VERSION_1, VERSION_2
from synthtf.published.synthseg.photographs import SIDES, photo_labels
from synthtf.published.synthseg.preparing import Preparation
from synthtf.published.synthseg.tables import Tables
from synthtf.published.synthseg.weights import Weights, find, own_model
from synthtf.published.weight_files import SOURCES
from synthtf.startup import load_backend

if TYPE_CHECKING:
    from synthtf.inference.patches.memory import MemoryBudget

Predict = Callable[[Job], "Found"]

COMMAND = "synthseg"

_CSF = 24  # a network that knows it knows all that is inside the skull


@dataclass(frozen=True)
class Settings:
    """How scans are segmented.

    Attributes:
        version_1: whether SynthSeg 1.0 does it.
        robust: whether SynthSeg-robust does it.
        parcels: whether the cortex is parcellated.
        fast: whether the mirrored scan, and topology, are left out.
        photo: "left", "right" or "both" hemispheres that a stack of photographs shows. None: no
            photographs.
        preparation: how scans are prepared.
        keep_geometry: whether segmentations are brought to the grid of the scan where that was
            resampled.
        colours: whether files of segmentations hold a table of colours.
        model: weights, or their folder; or a run of this package. None: where published weights
            are looked for, and the network that comes with this package if there are none.
        budget: memory. None: as much as whole scans take.

    Raises:
        ValueError: if SynthSeg-robust is to be of version 1.0, or photographs are to be segmented
            otherwise than can be done.
    """

    version_1: bool = False
    robust: bool = False
    parcels: bool = False
    fast: bool = False
    photo: str | None = None
    preparation: Preparation = field(default_factory=Preparation)
    keep_geometry: bool = False
    colours: bool = False
    model: str | os.PathLike | None = None
    budget: "MemoryBudget | None" = None

    def __post_init__(self) -> None:
        """Check them."""
        if self.version_1 and self.robust:
            raise ValueError("--v1 cannot be used with --robust: it came with SynthSeg 2.0")
        if self.photo not in (None, *SIDES):
            raise ValueError(f"--photo must be one of {', '.join(SIDES)}. Received: {self.photo}")
        refused = {"--robust": self.robust, "--v1": self.version_1, "--ct": self.preparation.ct}
        for flag in (flag for flag, given in refused.items() if given and self.photo):
            raise ValueError(f"{flag} cannot be used with --photo")

    @property
    def version(self) -> str:
        """Version of SynthSeg."""
        if self.photo is not None:
            return "photo both" if self.photo == "both" else "photo single"
        return "robust 2.0" if self.robust else "1.0" if self.version_1 else "2.0"


@dataclass(frozen=True, eq=False)
class Found:
    """What was found in a scan.

    Attributes:
        labels: label map, `(x, y, z)`.
        affine: affine of the label map, `(4, 4)`.
        source: the scan.
        posteriors: gives the posteriors on the grid of the label map.
        resampled: the scan on the grid of the label map, if that is another grid.
        rows: kind of table to the texts of a row.
        empty: whether there is nothing but background.
    """

    labels: np.ndarray
    affine: np.ndarray
    source: Volume
    posteriors: Callable[[], np.ndarray]
    resampled: np.ndarray | None
    rows: Mapping[str, Sequence[str]]
    empty: bool = False


def synthseg(
    source: str | os.PathLike,
    targets: Mapping[str, str | os.PathLike | None],
    settings: Settings | None = None,
) -> Outcome:
    """Segment scans as `mri_synthseg` does; one bad scan never stops the others.

    Published weights give the published results. Without them, the network that comes with this
    package segments the scans, and a line on the standard output says so.

    Args:
        source: an image, a folder, or a .txt list.
        targets: "segmentation", and any of "posteriors", "resampled", "volumes" and "quality", to
            what the user gave; see `Files.plan`.
        settings: how scans are segmented.

    Returns:
        How many were segmented, and which failed and why.

    Raises:
        FileNotFoundError: if the source, or weights that are needed, do not exist.
        ValueError: if outputs or settings do not fit, or weights are those of another network.
    """
    settings = settings or Settings()
    files = Files.plan(source, targets)
    own = own_model(settings.model)
    quality = "quality" in files.tables
    if quality and settings.photo:
        raise ValueError("--qc cannot be used with --photo")
    weights = None
    if own is None:
        weights = find(settings.version, settings.parcels, quality, settings.model)
    elif settings.parcels or quality or settings.version != "2.0":
        raise ValueError(
            "--parc, --robust, --qc, --v1 and --photo need published weights. Received: --model "
            f"{own}"
        )
    colours = colour_table() if settings.colours else None
    load_backend()
    begin = _begin_own(own, settings) if weights is None else _begin_published(weights, settings)
    predict, columns = begin
    tables = {kind: Tables(files, kind, columns[kind]) for kind in files.tables}
    jobs = [
        Job({"Input": scan}, {kind: paths[index] for kind, paths in files.outputs.items()}, {})
        for index, scan in enumerate(files.scans)
    ]
    cohort = Cohort(jobs, None, {})

    def process(job: Job) -> Prediction:
        found = predict(job)

        def write_labels(path: Path) -> None:
            _write_labels(path, found, settings.keep_geometry)
            if colours is not None:
                embed_colours(path, colours)
            for kind, table in tables.items():
                table.add(jobs.index(job), job.scan, found.rows[kind])

        outputs = {
            "segmentation": write_labels,
            "posteriors": lambda path: _write(path, found.posteriors(), found),
            "resampled": functools.partial(_write_resampled, found=found),
        }
        return Prediction(outputs, "nothing was found" if found.empty else None)

    work = functools.partial(cohort.process, predict=process, provenance=None)
    return for_each_file(COMMAND, jobs, work, name=lambda job: job.scan, skipped=0)


def _begin_published(weights: Weights, settings: Settings) -> tuple[Predict, dict[str, list[str]]]:
    """Load published weights; what segments a scan, and the columns of the tables."""
    from synthtf.published.synthseg.networks import Networks
    from synthtf.published.synthseg.pipeline import SynthSeg

    name = "SynthSeg-robust 2.0" if settings.robust else f"SynthSeg {settings.version}"
    name = "Photo-SynthSeg 1.0" if settings.photo else name
    fast = " (fast)" if settings.fast and not settings.robust else ""
    print(f"{name}{fast}, published weights {weights.segmentation}", flush=True)
    labels = VERSION_1 if settings.version_1 else VERSION_2
    labels = photo_labels(weights.segmentation) if settings.photo else labels
    files = weights.segmentation, weights.parcels, weights.quality
    networks = Networks.load(labels, *files, robust=settings.robust, budget=settings.budget)
    pipeline = SynthSeg(
        networks, settings.preparation, settings.fast, mirror=settings.photo == "right"
    )
    volumes = [*([TOTAL] if labels.has_total else []), *list(labels.names.values())[1:]]
    columns = {"volumes": volumes + (list(PARCELS.values()) if weights.parcels else [])}

    def predict(job: Job) -> Found:
        found = pipeline.segment(job.scan)
        rows = {"volumes": [str(volume) for volume in found.volumes.values()]}
        if found.quality is not None:
            rows["quality"] = [f"{score:.4f}" for score in np.around(found.quality, 4)]
        scan = found.prepared
        place = found.labels, scan.affine, scan.source
        return Found(*place, found.posteriors, scan.resampled, rows)

    return predict, {**columns, "quality": list(QUALITY_NAMES)}


def _begin_own(
    model: str | os.PathLike | None, settings: Settings
) -> tuple[Predict, dict[str, list[str]]]:
    """Load a network of this package; what segments a scan, and the columns of the tables."""
    from synthtf.inference.caution import CautionWarning
    from synthtf.inference.segmenting import EmptySegmentationWarning, segment
    from synthtf.runs.run import Run

    run = Run.load(model_folder(model, "segmentation", "--model"))
    why = f"; no weights synthseg_2.0.h5 in {SOURCES}" if model is None else ""
    print(f"synthtf's own network {Path(run.name).name}, not SynthSeg's{why}", flush=True)
    if settings.preparation.crop or settings.preparation.autocrop:
        print_line(
            f"synthtf {COMMAND}: without effect: --crop, --autocrop; the head is found anyway"
        )
    # Labels that SynthSeg has are called as there.
    names = {**dict(zip(run.table.ids, run.table.names, strict=True)), **VERSION_2.names}
    columns = volume_columns(names, sorted(run.output_labels))
    has_total = _CSF in columns

    def predict(job: Job) -> Found:
        scan = read_scan(job.scan)
        volume, resampled = scan.volume, None
        if needs_resampling(scan.spacing) and not settings.keep_geometry:
            resampled, affine = resample_to_1mm(volume.data, volume.affine)
            volume = Volume(resampled, affine, None, volume.path)
        volume = Volume(volume.data.astype(np.float32), volume.affine, volume.header, volume.path)
        with warnings.catch_warnings():
            # An empty result is reported as a failure of its scan, not as a warning as well.
            warnings.simplefilter("ignore", EmptySegmentationWarning)
            warnings.simplefilter("ignore", CautionWarning)  # as the published tool, which has none
            found = segment(
                volume,
                run,
                flip=not settings.fast,
                posteriors="posteriors" in job.outputs,
                ct=settings.preparation.ct,
                budget=settings.budget,
            )
        sizes = [found.volumes[label] for label in columns]
        sizes = [str(round(size, 3)) for size in ([sum(sizes)] if has_total else []) + sizes]
        place = found.labels.data, volume.affine, scan.volume
        posteriors = found.posteriors
        return Found(*place, lambda: posteriors.data, resampled, {"volumes": sizes}, found.is_empty)

    return predict, {"volumes": [*([TOTAL] if has_total else []), *columns.values()]}


def _write_labels(path: Path, found: Found, keep_geometry: bool) -> None:
    labels, source = found.labels, found.source
    if keep_geometry and found.resampled is not None:
        matrix = np.linalg.inv(found.affine) @ source.affine
        labels = sample_nearest(labels, matrix, source.shape)
        write_image(path, labels, source, source.affine, "int32")
        return
    _write(path, labels, found, "int32")


def _write_resampled(path: Path, found: Found) -> None:
    if found.resampled is not None:
        _write(path, found.resampled, found)


def _write(path: Path, data: np.ndarray, found: Found, dtype: str = "float32") -> None:
    write_image(path, data, found.source, found.affine, dtype)
