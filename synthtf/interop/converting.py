"""Files of published weights into Keras models."""

import os

from synthtf.data.paths import existing_file, writable_file
from synthtf.data.whole_files import written_aside
from synthtf.startup import load_backend
from synthtf.usage import usage_errors

KINDS = ("voxelmorph", "synthmorph", "synthseg", "synthsr", "synthstrip", "wmh-synthseg")
"""Kinds of networks whose published weights can be read."""


def convert_weights(
    weights: str | os.PathLike, output: str | os.PathLike, kind: str | None = None
) -> str:
    """Convert published weights into a Keras model; see `load_published`.

    Args:
        weights: file of weights.
        output: .keras file to write; an existing one is replaced.
        kind: kind of the network. None: as the file suggests.

    Returns:
        What was written, in a line.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the output is no .keras file, or the weights do not suit the kind.
    """
    with usage_errors():
        existing_file(weights, "WEIGHTS")
        path = writable_file(output, "-o")
        if path.suffix != ".keras":
            raise ValueError(f"-o must be a file with the extension .keras. Received: {output}")
    load_backend()
    from synthtf.interop.published import load_published

    model = load_published(weights, kind)
    with written_aside(path) as aside:
        model.save(aside)
    return f"{path}: {model.name}, {model.count_params():,} weights"
