"""Measure time and memory of the page that segments in the browser, in Chromium without a window.

    synthtf export heads-2mm -o PAGE --format web
    python scripts/browser.py PAGE SCAN [--repeats 3] [--webgpu] [--minutes 5]

Prints the seconds of each segmentation, as the page says them, and the memory of all processes of
Chromium: with the scan on the page, and at most. The first segmentation loads and compiles the
network. Memory that processes share counts once (their proportional set sizes, of Linux).
"""

import argparse
import contextlib
import os
import re
import sys
import tempfile
import threading
from pathlib import Path

from chromium import CHROMIUM, browsing

from synthtf.inference.page.serving import serving

STATUS = "document.getElementById('status').textContent"
WEBGPU = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader")
ADAPTER = "navigator.gpu?.requestAdapter().then((adapter) => adapter !== null)"


def open_page(page, address, webgpu=False):
    """Go to the page of a scan, and choose how it computes; False if there is no WebGPU."""
    page.open(f"{address}?scan=scan.nii.gz")
    page.wait("document.querySelector('#segment')?.disabled === false", 120)
    if webgpu:
        if not page.value(ADAPTER):
            return False
        page.value("document.getElementById('gpu').click()")
    return True


def segment(page, seconds):
    """Press the button, wait, and give what the page says at the end."""
    page.value(f"{STATUS} = ''; document.getElementById('segment').click()")
    page.wait(f"/^(Done|It failed)/.test({STATUS})", seconds)
    return page.value(STATUS)


def family(first):
    """Give the numbers of a process and of all that it started."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found = [first]
    for parent in found:  # which grows
        found += [child for child, its in parents.items() if its == parent]
    return found


def memory(processes):
    """Give the memory of processes in GB; what they share counts once."""
    total = 0
    for process in processes:
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
            total += int(re.search(r"^Pss: *(\d+) kB", text, re.MULTILINE)[1])
    return total * 1024 / 1e9


@contextlib.contextmanager
def most_memory(process, every=0.25):
    """Look at the memory of a process and its children from time to time; gives [most]."""
    most, ended = [0.0], threading.Event()

    def look():
        while not ended.wait(every):
            most[0] = max(most[0], memory(family(process)))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield most
    finally:
        ended.set()
        thread.join()


def main(arguments=None):
    """Measure; 1 if the page did not end in time, or failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=Path, help="folder of `synthtf export --format web`")
    parser.add_argument("scan", type=Path, help="NIfTI file, .nii.gz")
    parser.add_argument("--repeats", type=int, default=3, help="how often to segment it")
    parser.add_argument("--webgpu", action="store_true", help="by WebGPU, on the processor")
    parser.add_argument("--minutes", type=float, default=5, help="that one may take")
    args = parser.parse_args(arguments)
    if CHROMIUM is None:
        sys.exit("Chromium is not there: apt-get install chromium")
    flags = WEBGPU if args.webgpu else ()
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(args.page, {"scan.nii.gz": args.scan}) as address,
        browsing(folder, *flags) as page,
    ):
        if not open_page(page, address, args.webgpu):
            sys.exit("this Chromium has no WebGPU")
        print(f"{os.cpu_count()} cores; threads: {page.value('crossOriginIsolated')}", flush=True)
        print(f"with the scan on the page: {memory(family(page.process)):.2f} GB", flush=True)
        with most_memory(page.process) as most:
            for _ in range(args.repeats):
                try:
                    said = segment(page, 60 * args.minutes)
                except TimeoutError:
                    print(f"not done after {args.minutes:g} minutes", flush=True)
                    return 1
                print(said, flush=True)
                if not said.startswith("Done"):
                    return 1
        print(f"at most: {most[0]:.2f} GB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
