"""Serving the page to the browser of this machine."""

import contextlib
import http.server
import os
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Files of a folder, and others by names of their own; isolated, so that WASM has threads."""

    extensions_map = {  # noqa: RUF012
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
        ".gz": "application/octet-stream",
    }

    def __init__(self, *args: Any, files: Mapping[str, Path], **kwargs: Any) -> None:
        self.files = files
        super().__init__(*args, **kwargs)

    def translate_path(self, path: str) -> str:
        """Give the file of an address."""
        name = path.partition("?")[0].lstrip("/")
        return str(self.files[name]) if name in self.files else super().translate_path(path)

    def end_headers(self) -> None:
        """Isolate the page: nothing of another origin is in it."""
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, *args: Any) -> None:
        """Say nothing of each file."""


@contextlib.contextmanager
def serving(
    folder: str | os.PathLike, files: Mapping[str, Path] | None = None, port: int = 0
) -> Iterator[str]:
    """Serve a folder to this machine alone, for as long as the context is open.

    Args:
        folder: folder of the page.
        files: further files by the names that they have in the page.
        port: port; 0 for any that is free.

    Yields:
        Address of the page.

    Raises:
        OSError: if the port is taken.
    """
    handler = partial(_Handler, directory=os.fspath(folder), files=files or {})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
