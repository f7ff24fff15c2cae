"""Looking at scans in the browser of this machine."""

import os
import tempfile
import threading
import webbrowser
from pathlib import Path

from synthtf.data.label_table import LabelTable
from synthtf.data.shipped_models import model_folder
from synthtf.data.volumes import read_geometry
from synthtf.inference.page.exporting import PAGE, view_page
from synthtf.inference.page.serving import serving
from synthtf.messages import print_line
from synthtf.usage import usage_errors


def view(
    scan: Path,
    labels: Path | None = None,
    table: str | os.PathLike | None = None,
    port: int = 0,
    browser: bool = True,
) -> None:
    """Serve a page that shows a scan, and labels over it; returns when it is interrupted.

    Args:
        scan: the scan; or a folder from `export_page`, whose page is served.
        labels: label map on the grid of the scan.
        table: label table with the names. None: that of heads-2mm.
        port: port; 0 for any that is free.
        browser: whether to open the page in the browser.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if a file is no volume.
        OSError: if the viewer is neither in the cache nor in reach, or the port is taken.
    """
    with tempfile.TemporaryDirectory() as made:
        folder, files, query = Path(made), {}, ""
        with usage_errors():
            if (scan / PAGE).is_file():
                folder = scan
            else:
                for role, path in (("scan", scan), ("labels", labels)):
                    if path is not None:
                        read_geometry(path)
                        files[f"{role}/{path.name}"] = path.resolve()
                        query += f"{'&' if query else '?'}{role}={role}/{path.name}"
                names = table or model_folder("heads-2mm", "", "RUN") / "labels.tsv"
                view_page(folder, LabelTable.read(names))
        with serving(folder, files, port) as address:
            print_line(f"{address}{query}   (Ctrl-C ends)")
            if browser:
                webbrowser.open(address + query)
            try:
                wait()
            except KeyboardInterrupt:
                print_line("")


def wait() -> None:
    """Wait until Ctrl-C."""
    threading.Event().wait()
