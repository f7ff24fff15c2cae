"""Samples of a buffer as image files, for software that learns from files."""

import json
import os
from pathlib import Path

import numpy as np
from tqdm import tqdm

from synthtf.batch import Outcome
from synthtf.data.paths import output_in
from synthtf.data.volume_writer import write_volume
from synthtf.streams.options import ConsumerOptions
from synthtf.streams.producing import FACTS
from synthtf.streams.reading import read_samples


def write_stream(
    buffer: str | os.PathLike,
    folder: str | os.PathLike,
    options: ConsumerOptions,
) -> Outcome:
    """Take samples out of a buffer and write them as image files.

    Args:
        buffer: folder that `synthtf stream produce` fills.
        folder: made if it does not exist; gets a file for each output of a sample, such as
            `000012_image.nii.gz` of the sample with the key (seed, 12).
        options: how many samples, and how long to wait for them.

    Returns:
        How many samples were written.

    Raises:
        FileNotFoundError: if the folder is no buffer.
        TimeoutError: if no samples come.
    """
    samples = read_samples(buffer, options.wait)
    path = Path(buffer) / FACTS
    if not path.is_file():
        raise FileNotFoundError(f"{path}: not found; was it written by `synthtf stream produce`?")
    spacing = json.loads(path.read_text(encoding="utf-8"))["spacing"]
    affine = np.diag([*spacing, *(1.0,) * (4 - len(spacing))])
    for _ in tqdm(range(options.num), unit="sample", disable=None):
        sample = next(samples)
        number = int(sample.pop("number"))
        for name, volume in sample.items():
            target = output_in(Path(folder), f"{number:06d}_{name}.nii.gz")
            write_volume(target, volume[..., 0], affine=affine)
    return Outcome(options.num, text=f"{folder}: {options.num} samples written")
