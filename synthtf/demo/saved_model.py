"""Export of the demonstration's network, and its use without this package."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import nibabel
import numpy as np

from synthtf.data.volume_writer import write_volume
from synthtf.inference.conform import pad_to_multiple
from synthtf.inference.normalize import normalize_intensity
from synthtf.runs.run import Run

SCRIPT = "use_saved_model.py"
# Two compilations of one graph differ by rounding; posteriors that matter differ by far more.
_TOLERANCE = 1e-3


def can_export() -> bool:
    """Whether the backend of this process is the one that a SavedModel belongs to."""
    return keras.backend.backend() == "tensorflow"


def export_network(run: Run, folder: Path) -> Path:
    """Write the task network as a SavedModel, next to a script that uses it.

    Args:
        run: Whose network.
        folder: Of `saved_model/` and the script.

    Returns:
        The folder of the SavedModel.
    """
    target = folder / "saved_model"
    run.task_model.export(target, format="tf_saved_model", verbose=False)
    shutil.copyfile(Path(__file__).with_name(SCRIPT), folder / SCRIPT)
    return target


def compare_elsewhere(run: Run, saved_model: Path, image: np.ndarray, spacing: float) -> float:
    """Apply the SavedModel in a process that does not import synthtf, and compare.

    Args:
        run: Whose network was exported.
        saved_model: Its folder; image and posteriors are written beside it.
        image: 3D, at the spacing of the run.
        spacing: In mm.

    Returns:
        Largest difference between the posteriors of the two processes.

    Raises:
        ValueError: If the other process fails or imports synthtf, or if its posteriors are
            others; the message holds what it printed.
    """
    folder = saved_model.parent
    source, target = folder / "saved_model_input.nii.gz", folder / "saved_model_posteriors.nii.gz"
    padded, _ = pad_to_multiple(normalize_intensity(image), run.multiple)
    write_volume(source, padded, affine=np.diag([spacing] * 3 + [1.0]))
    words = [sys.executable, str(folder / SCRIPT), str(saved_model), str(source), str(target)]
    done = run_process(words)
    if done.returncode or "synthtf was not imported" not in done.stdout:
        raise ValueError(f"{' '.join(words)}: failed\n{done.stdout}{done.stderr}")
    found = np.asarray(nibabel.load(target).dataobj)
    expected = np.asarray(run.task_model.predict_on_batch(padded[None, ..., None])[0])
    difference = float(np.abs(found - expected).max())
    if not difference < _TOLERANCE:
        raise ValueError(
            f"{saved_model}: expected the posteriors of the network, received others, which "
            f"differ by up to {difference:.3g}; is the TensorFlow of the other process the same?"
        )
    return difference


def run_process(words: list[str]) -> subprocess.CompletedProcess:
    """Run a command with this Python's environment, TensorFlow's chatter left out."""
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
    return subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
