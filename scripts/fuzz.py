"""Damage files of all kinds that synthtf reads, open each as a user would, and say what happened.

    python scripts/fuzz.py --count 500 --seed 0 --memory 3 --keep bad

Good are: a refusal in one line that names the file, the result of the undamaged file, and a result
with a warning. Another result without a word is bad where the format can tell (it has a checksum,
or the file became shorter); elsewhere it is only counted, as "other". The exit status is 1 if
anything is bad; --keep has the files then.
"""

import argparse
import collections
import gzip
import io
import json
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_files import digest, make_files, read

GOOD = ("refused", "same", "warned", "other")
BAD = ("silent", "unclear", "traceback", "hang", "memory", "crash")
MEANING = {
    "other": "another result, which the format cannot tell",
    "silent": "another result without a word",
    "unclear": "refused, not in one line with the file's name",
}
CHECKED = (".gz", ".mgz", ".keras")  # with checksums
BINARY = (".nii", ".h5", "Affine.mat", ".mgh")
WORDS = (b"nan", b"-inf", b"1e300", b"1e400", b"-1", b"0", b"9" * 5000, b"\0", b"\xff", b"[", b"{}")
_NUMBER, _WORD = re.compile(rb"[-+]?\d[\d.eE+-]*"), re.compile(rb"[^\s:=,#\[\]{}]+")
VALUES = (1e300, -1e300, 5000, 1e9, 10**400, -1, 0, 1e-300, 0.5, 1, None, True, "x", [], {}, [1, 2])
WORDS += (b"null", b"true", b'"x"', b"1.5", b"1e9", b"5000", b"\t", b"\n", b"", b"2147483648")


def work(whole: Path) -> None:
    """Read the paths on the standard input, and answer with a line of JSON for each."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        path = Path(line.rstrip("\n"))
        answer = {}
        try:
            with warnings.catch_warnings(record=True) as notes:
                warnings.simplefilter("always", UserWarning)
                answer["digest"] = digest(read(path, whole))
            answer["notes"] = [str(note.message) for note in notes]
        except (ValueError, OSError, MemoryError) as error:
            answer["refused"] = str(error)
        except Exception as error:
            answer["traceback"] = f"{type(error).__name__}: {error}"[:300]
        print(json.dumps(answer), file=answers, flush=True)


class Worker:
    """A process that opens files, with limits of time and memory."""

    def __init__(self, whole: Path, seconds: float, gigabytes: float) -> None:
        self.whole, self.seconds, self.gigabytes = whole, seconds, gigabytes
        self.process: subprocess.Popen | None = None
        self.peak = 0.0

    def ask(self, path: Path) -> dict[str, Any]:
        """Open a file: what the process said, or how it ended."""
        if self.process is None:
            words = [sys.executable, __file__, "--work", str(self.whole)]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            self.process = subprocess.Popen(words, text=True, stderr=subprocess.DEVNULL, **pipes)
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            if select.select([self.process.stdout], [], [], 0.05)[0]:
                line = self.process.stdout.readline()
                return json.loads(line) if line else self.end("crash")
            self.peak = max(self.peak, self._gigabytes())
            if self._gigabytes() > self.gigabytes:
                return self.end("memory")
        return self.end("hang")

    def end(self, how: str) -> dict[str, Any]:
        """End the process; the next file gets another."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout):
                pipe.close()
        self.process = None
        return {how: how}

    def _gigabytes(self) -> float:
        try:
            pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return 0.0
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e9


# How files are damaged.


def damage(data: bytes, name: str, others: list[bytes], rng: np.random.Generator) -> tuple:
    """Damage a file; returns what was done and the content."""
    ways = ["flip", "truncate", "swap", "splice", "extreme"]
    text = not name.endswith((*CHECKED, *BINARY))
    ways += ["word", "word", "nest"] if text else ["inside"] * name.endswith(CHECKED)
    ways += ["value"] * 12 if name.endswith(".json") else []
    way = str(rng.choice(ways))
    if way == "value":
        return way, _another_value(data, rng)
    if way == "inside":
        return way, _inside(data, name, others, rng)
    return way, _damage(data, way, others, rng)


def _damage(data: bytes, way: str, others: list[bytes], rng: np.random.Generator) -> bytes:
    place = int(rng.integers(max(len(data), 1)))
    changed = bytearray(data)
    if way == "flip":
        for at in rng.integers(len(data), size=rng.integers(1, 5)):
            changed[at] ^= 1 << int(rng.integers(8))
    elif way == "truncate":
        return data[:place]
    elif way == "swap":
        size = max(len(data) // 8, 1)
        changed[place : place + size], changed[:size] = data[:size], data[place : place + size]
    elif way == "splice":
        return data[:place] + others[rng.integers(len(others))][place:]
    elif way == "extreme":
        for at in rng.integers(min(len(data), 400), size=rng.integers(1, 5)):
            changed[at] = int(rng.choice([0, 1, 127, 128, 255]))
    elif way == "nest":
        return data[:place] + [b"[", b'{"a":', b"("][rng.integers(3)] * 100_000 + data[place:]
    else:
        # Numbers above all: what else stands there stays, so that the file can be parsed.
        pattern = _NUMBER if rng.random() < 0.7 else _WORD
        words = list(pattern.finditer(data)) or list(_WORD.finditer(data))
        old = words[rng.integers(len(words))]
        return data[: old.start()] + WORDS[rng.integers(len(WORDS))] + data[old.end() :]
    return bytes(changed)


def _another_value(data: bytes, rng: np.random.Generator) -> bytes:
    """Put an extreme value, or one of another type, in the place of one of a JSON file."""
    tree, places = json.loads(data), []

    def walk(node: Any) -> None:
        for key in range(len(node)) if isinstance(node, list) else list(node):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    walk(tree)
    node, key = places[rng.integers(len(places))]
    value = VALUES[rng.integers(len(VALUES))]
    pair = isinstance(node[key], list) and rng.random() < 0.5
    node[key] = [value, value] if pair else value
    return json.dumps(tree, indent=2).encode()


def _inside(data: bytes, name: str, others: list[bytes], rng: np.random.Generator) -> bytes:
    """Damage what is compressed, and compress it again, with the right checksum."""
    way = str(rng.choice(["flip", "truncate", "extreme", "splice"]))
    if not name.endswith(".keras"):
        return gzip.compress(_damage(gzip.decompress(data), way, others, rng), 1, mtime=0)
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(stream, "w") as target:
        chosen = rng.choice(source.namelist())
        for entry in source.namelist():
            content = source.read(entry)
            content = _damage(content, way, others, rng) if entry == chosen else content
            target.writestr(entry, content)
    return stream.getvalue()


def judge(answer: dict[str, Any], path: Path, way: str, expected: str) -> tuple[str, str]:
    """Class of what happened, and what was said."""
    for name in BAD:
        if name in answer:
            return name, answer[name]
    if "refused" in answer:
        text = answer["refused"]
        clear = "\n" not in text.strip() and (
            path.name in text or path.suffix in (".json", ".keras")
        )
        return ("refused" if clear else "unclear"), text
    if answer["digest"] == expected:
        return "same", ""
    if answer["notes"]:
        return "warned", answer["notes"][0]
    told = path.name.endswith(CHECKED) and way != "inside"
    return ("silent" if told or (way == "truncate" and path.name.endswith(BINARY)) else "other"), ""


def main(argv: list[str] | None = None) -> int:
    """Fuzz; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=500, help="files (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    parser.add_argument("--memory", type=float, default=3, metavar="GB", help="(default: 3)")
    parser.add_argument("--seconds", type=float, default=60, help="for a file (default: 60)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only files with this name")
    parser.add_argument("--show", action="store_true", help="what is said of each file")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="folder for files that fail")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.work:
        work(args.work)
        return 0
    table: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    with tempfile.TemporaryDirectory() as folder:
        whole, spoiled = Path(folder) / "whole", Path(folder) / "spoiled"
        for made in (whole, spoiled):
            made.mkdir()
        worker = Worker(whole, args.seconds, args.memory)
        try:
            fuzz(args, worker, whole, spoiled, table)
        finally:
            worker.end("crash")
    print(f"{'':22}" + "".join(f"{name:>10}" for name in (*GOOD, *BAD)))
    for name, counts in sorted(table.items()):
        print(f"{name:22}" + "".join(f"{counts[k] or '-':>10}" for k in (*GOOD, *BAD)))
    total = sum(table.values(), collections.Counter())
    print(f"{'all':22}" + "".join(f"{total[k] or '-':>10}" for k in (*GOOD, *BAD)))
    print("\n".join(f"{name}: {text}" for name, text in MEANING.items()))
    print(f"most memory: {worker.peak:.1f} GB")
    return 1 if any(total[name] for name in BAD) else 0


def fuzz(args: argparse.Namespace, worker: Worker, whole: Path, spoiled: Path, table: dict) -> None:
    """Damage and open files, and count what happens to each kind."""
    names = [name for name in make_files(whole) if args.only in name]
    contents = {name: (whole / name).read_bytes() for name in names}
    expected = {name: worker.ask(whole / name).get("digest") for name in names}
    unread = [name for name, found in expected.items() if found is None]
    if unread:
        raise RuntimeError(f"not read though undamaged: {', '.join(unread)}")
    for number in range(args.count):
        name = names[number % len(names)]
        rng = np.random.default_rng([args.seed, number])
        way, data = damage(contents[name], name, list(contents.values()), rng)
        path = spoiled / f"{number:04d}-{name}"
        path.write_bytes(data)
        kind, text = judge(worker.ask(path), path, way, expected[name])
        table[name][kind] += 1
        if kind in BAD or args.show:
            print(f"{kind}: {path.name} ({way}) {' '.join(text.split())[:300]}", flush=True)
            if args.keep and kind in BAD:
                args.keep.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, args.keep / path.name)
        path.unlink()


if __name__ == "__main__":
    sys.exit(main())
