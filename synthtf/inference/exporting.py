"""Networks that are given by folder or name, in formats that run without this package."""

import os
from pathlib import Path

from synthtf.data.paths import output_folder
from synthtf.data.shipped_models import model_folder
from synthtf.startup import load_backend
from synthtf.usage import usage_errors


def export_model(
    model: str | os.PathLike, folder: str | os.PathLike, kind: str = "savedmodel"
) -> Path:
    """Write the task network of a run, given by its folder or name; see `export_run`.

    Args:
        model: folder of a training run, or name of a model of the package.
        folder: to write to; made if absent.
        kind: the format; "web" for a page that segments scans in the browser.

    Returns:
        The network: a folder for a SavedModel, else a file; or the page.

    Raises:
        ValueError: if there is no such run, the folder is a file, or as `export_run`.
        FileNotFoundError: if a file of the run is missing.
    """
    with usage_errors():
        source = model_folder(model, "", "RUN")
        target = output_folder(folder, "-o")
    load_backend()
    if kind == "web":
        from synthtf.inference.page.exporting import export_page

        return export_page(source, target)
    from synthtf.interop.export import export_run
    from synthtf.runs.run import Run

    return export_run(Run.load(source), target, kind)
