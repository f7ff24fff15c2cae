"""The steps of the demonstration, in order."""

import math
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synthtf.data.delimited import write_rows
from synthtf.data.phantom_rendering import render_phantom
from synthtf.data.phantoms import head_phantom, write_phantoms
from synthtf.data.tables import format_table
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import read_volume
from synthtf.demo.held_out import (
    centred_affine,
    mean_dice,
    render_held_out,
    segment_held_out,
)
from synthtf.demo.saved_model import (
    SCRIPT,
    can_export,
    compare_elsewhere,
    export_network,
    run_process,
)
from synthtf.demo.settings import CONTRASTS, STEPS, DemoSettings, demo_table
from synthtf.demo.steps import Steps, readable
from synthtf.runs.run import Run
from synthtf.tasks import SegmentationTask
from synthtf.training.plan import TrainingPlan
from synthtf.training.samples import SHEET, open_maps, synthesis_of, write_samples
from synthtf.training.schedule import Schedule
from synthtf.training.workflow import train_run


@dataclass(frozen=True)
class DemoResult:
    """What the demonstration found.

    Attributes:
        folder: Where everything is.
        run: The trained network.
        dice: Contrast to mean foreground Dice over the held-out heads.
        seconds: That it took.
    """

    folder: Path
    run: Run
    dice: dict[str, float]
    seconds: float


def run_demo(folder: str | Path, settings: DemoSettings | None = None) -> DemoResult:
    """Show on phantoms all that synthtf does for a segmentation, printing what it does.

    Args:
        folder: Made; must not exist or be empty.
        settings: What to do and how much of it; about five minutes if None.

    Returns:
        What was found.

    Raises:
        ValueError: If the folder is not empty, or if a step does not give what it should.
        OSError: If a file cannot be written.
    """
    settings, folder = settings or DemoSettings(), Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder}: expected a new or empty folder; delete it or choose another")
    folder.mkdir(parents=True, exist_ok=True)
    steps = Steps(6)
    plan = _plan(settings)
    maps = _make_heads(folder / "phantoms", settings, steps)
    _show_images(maps, folder / "synthetic", plan, settings, steps)
    run = _train(maps, folder / "run", plan, settings, steps)
    dice = _test(run, folder / "held_out", settings, steps)
    _export(run, folder, settings, steps)
    _segment_a_file(run, folder / "segment", settings, steps)
    _say_what_next(folder, dice, steps.seconds)
    return DemoResult(folder, run, dice, steps.seconds)


def _plan(settings: DemoSettings) -> TrainingPlan:
    return TrainingPlan(
        labels=demo_table(),
        recipe=settings.recipe,
        shape=settings.shape,
        task=SegmentationTask(settings.network, settings.loss),
        steps_per_epoch=settings.epoch_steps,
        seed=settings.seed,
    )


def _make_heads(folder: Path, settings: DemoSettings, steps: Steps) -> list[Path]:
    with steps.step(f"Make label maps of {settings.num_heads} heads, each different"):
        maps = write_phantoms(
            folder,
            settings.num_heads,
            settings.first_head,
            settings.head_shape,
            settings.spacing,
            detail=settings.spacing,
        )
        demo_table().write(folder / "labels.tsv")
        steps.say(f"{folder}: label maps, and labels.tsv, which says what the labels are")
    return maps


def _show_images(
    paths: list[Path], folder: Path, plan: TrainingPlan, settings: DemoSettings, steps: Steps
) -> None:
    with steps.step(f"Synthesise {settings.num_samples} images of random contrast from them"):
        maps, _ = open_maps(paths, plan)
        write_samples(maps, synthesis_of(maps, plan), folder, range(settings.num_samples))
        steps.say(f"{folder / SHEET}: what the network will learn from. Look at it!")


def _train(
    maps: list[Path], folder: Path, plan: TrainingPlan, settings: DemoSettings, steps: Steps
) -> Run:
    with steps.step(
        f"Train a 3D U-Net on such images, a new one at each step, {_length(settings)}"
    ):
        steps.say("The first step takes longest: the model is compiled.")
        if settings.planned_steps:
            steps.say("A machine that is busy takes longer, for the same result.")
        scans = _validation_scans(folder.parent / "validation", settings)
        schedule = Schedule(
            settings.epochs,
            settings.limit,
            settings.learning_rate,
            validate=scans,
            validate_every=settings.validate_every,
        )
        run = train_run(maps, folder, plan, schedule, verbose="bar")
        done, planned = run.metadata["steps_done"], settings.planned_steps
        steps.say(f"{done} steps. Figure: {folder / 'learning_curve.png'}")
        steps.say(
            "It shows the Dice in each contrast, too, every few epochs, of a head that serves for "
            "nothing else."
        )
        if planned and done < settings.epochs * settings.epoch_steps:
            steps.say(
                f"The {settings.limit:g} minutes were not enough for {planned} steps, and the "
                f"Dice will be lower; --steps {planned} takes as long as it takes."
            )
        steps.say(f"{folder}: the network, its recipe, its labels and the log of the training")
    return run


def _validation_scans(folder: Path, settings: DemoSettings) -> Path:
    """Write a head in every contrast, and the table that names the scans."""
    scans = render_held_out(folder, settings, demo_table(), [settings.validation_head])
    rows = [(scan.scan.name, scan.reference.name, scan.contrast) for scan in scans]
    write_rows(folder / "scans.csv", [("image", "labels", "domain"), *rows])
    return folder / "scans.csv"


def _length(settings: DemoSettings) -> str:
    """How long the training is, in words."""
    planned, limit = settings.planned_steps, settings.limit
    if planned is None:
        return f"for {readable(60 * limit)}"
    if limit is None:
        return f"for {planned} steps"
    return f"for {planned} steps, which may take {limit:g} minutes"


def _test(run: Run, folder: Path, settings: DemoSettings, steps: Steps) -> dict[str, float]:
    contrasts = ", ".join(CONTRASTS)
    with steps.step(
        f"Segment {settings.num_held_out} other heads, each as {contrasts}; none was seen before"
    ):
        scans = render_held_out(folder, settings, run.table)
        rows = mean_dice(segment_held_out(run, scans, folder))
        steps.say("Dice, the overlap with the truth (1 is perfect):")
        steps.say(format_table({"name": ""} | dict.fromkeys(CONTRASTS, ".2f"), rows))
        steps.say(f"{folder}: dice.csv, dice.png, volumes.csv (mm³), overlay_*.png, scans, labels")
    return {contrast: rows[-1][contrast] for contrast in CONTRASTS}


def _export(run: Run, folder: Path, settings: DemoSettings, steps: Steps) -> None:
    with steps.step("Export the network as a SavedModel and use it without synthtf"):
        if not can_export():
            steps.say("Left out: only the TensorFlow backend of Keras writes SavedModels.")
            return
        saved_model = export_network(run, folder)
        labels = settings.head(settings.first_held_out)
        image = render_phantom(labels, "T1", 0, settings.spacing)
        difference = compare_elsewhere(run, saved_model, image, settings.spacing)
        steps.say(f"A process that did not import synthtf gave the same, within {difference:.0e}.")
        steps.say(f"{saved_model}, and {folder / SCRIPT}, which shows how to use it")


def _segment_a_file(run: Run, folder: Path, settings: DemoSettings, steps: Steps) -> None:
    with steps.step("Segment a NIfTI file of another orientation and voxel size"):
        scan, output = folder / "scan.nii.gz", folder / "scan_seg.nii.gz"
        _write_another_scan(scan, settings)
        words = ["segment", str(scan), "-o", str(output), "--model", str(run.folder)]
        words += ["--vol", str(folder / "volumes.csv")]
        steps.say(f"$ synthtf {shlex.join(words)}")
        done = run_process([sys.executable, "-m", "synthtf.cli.main", *words])
        steps.say(done.stdout + done.stderr)
        # Of a result that cannot be a brain, the status is 1 as well, and the file is written.
        if not output.is_file():
            raise ValueError(f"synthtf segment failed with status {done.returncode}")
        if done.returncode:
            steps.say("A network that was trained so briefly may well find none; see the file.")
        labels = read_volume(output, labels=True)
        steps.say(f"{output}: {np.unique(labels.data).size - 1} structures on the scan's own grid")


def _write_another_scan(path: Path, settings: DemoSettings) -> None:
    """Write a held-out head as T2, LIA, with voxels of three quarters of the usual size."""
    spacing = 0.75 * settings.spacing
    shape = tuple(math.ceil(n / 0.75) for n in settings.shape)
    seed = settings.first_held_out + settings.num_held_out
    labels = head_phantom(seed, shape, spacing, settings.spacing)
    image = render_phantom(labels, "T2", 0, spacing)
    to_ras = np.eye(4)
    to_ras[:3, :3] = [[-1, 0, 0], [0, 0, 1], [0, -1, 0]]
    to_ras[:3, 3] = [shape[0] - 1, 0, shape[2] - 1]
    stored = image[::-1, :, ::-1].transpose(0, 2, 1)
    write_volume(path, stored, affine=centred_affine(shape, spacing) @ to_ras)


def _say_what_next(folder: Path, dice: dict[str, float], seconds: float) -> None:
    found = ", ".join(f"{value:.2f} in {contrast}" for contrast, value in dice.items())
    print(
        f"""
Done in {readable(seconds)}. Mean Dice of all structures: {found}.
Everything is in {folder.resolve()}

Next, with your own label maps (a folder of NIfTI files, and a table of their labels):
  synthtf synthesize MAPS -o look --labels labels.tsv --recipe heads
  synthtf train segmentation MAPS -o my-run --labels labels.tsv
  synthtf segment SCANS -o segmented --model my-run --vol volumes.csv
`synthtf COMMAND --help` explains each; `synthtf demo --steps {2 * STEPS}` trains longer.""",
        flush=True,
    )
