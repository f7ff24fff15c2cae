"""Let commands that print seconds take turns, and set one beside the other."""

import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LEFT_OUT = 77  # exit status of a generator whose library is not there
LIBRARIES = {"torchio": "TorchIO", "monai": "MONAI", "cornucopia": "cornucopia"}


def peer_commands(
    environment: str | None, libraries: Sequence[str], peers: Sequence[str]
) -> dict[str, list[str]]:
    """Give the commands of peers, by name.

    Args:
        environment: Python of an environment with libraries.
        libraries: those that are asked for.
        peers: each `NAME=COMMAND`.
    """
    commands = {}
    if environment:
        script = str(Path(__file__).with_name("generators.py"))
        words = ["{labels}", "{repeats}", "{picture}", "{clock}"]
        for library in libraries:
            commands[LIBRARIES[library]] = [environment, script, library, *words]
    for peer in peers:
        name, equals, command = peer.partition("=")
        if not (name and equals and command):
            raise SystemExit(f"`--peer` must be NAME=COMMAND. Received: {peer}")
        commands[name] = shlex.split(command)
    if not commands:
        wanted = " ".join(LIBRARIES)
        raise SystemExit(f"Give `--environment`, a Python to which pip installed {wanted}")
    return commands


def fill(command: Sequence[str], stands_for: Mapping[str, Any]) -> list[str]:
    """Put what a name in braces stands for in its place."""
    filled = []
    for word in command:
        for name, value in stands_for.items():
            word = word.replace(name, str(value))
        filled.append(word)
    return filled


def compare(commands: Mapping[str, Sequence[str]], rounds: int) -> list[dict]:
    """Let commands take turns, and set what they print beside that of the first.

    Args:
        commands: by name; each prints the seconds of a sample per line.
        rounds: how often each of them runs.

    Returns:
        One row per command. Its ratio is the median over the rounds of the ratio of the medians of
        a round, so that what else the machine does in other rounds changes it little.
    """
    times: dict[str, list[list[float]]] = {name: [] for name in commands}
    peaks, notes = dict.fromkeys(commands, 0.0), {}
    for _ in range(rounds):
        for name, command in commands.items():
            if name not in notes:
                seconds, peak, note = run_peer(command)
                times[name].append(seconds)
                peaks[name] = max(peaks[name], peak)
                if note:
                    notes[name] = note
    ours = next(iter(commands))
    rows: list[dict] = []
    for name in commands:
        if name in notes:
            rows.append({"case": name, "note": notes[name]})
            continue
        seconds = [x for one in times[name] for x in one]
        row = {"case": name, "median (s)": statistics.median(seconds), "minimum (s)": min(seconds)}
        if ours not in notes:
            medians = [map(statistics.median, times[one]) for one in (name, ours)]
            row["ratio"] = statistics.median(x / y for x, y in zip(*medians, strict=True))
        rows.append({**row, "peak (GB)": peaks[name]})
    return rows


def in_gigabytes(peak: int) -> float:
    """What the system says of a peak memory: Linux counts in kB, macOS in bytes."""
    return peak / (1e9 if sys.platform == "darwin" else 1e6)


def run_peer(command: Sequence[str]) -> tuple[list[float], float, str]:
    """Run a command; give its seconds per sample, its peak memory in GB, and why it failed."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        try:
            process = subprocess.Popen(command, stdout=out, stderr=errors)
        except OSError as error:
            return [], 0.0, f"failed: {error}"
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        for file in (out, errors):
            file.seek(0)
        done = subprocess.CompletedProcess(command, process.returncode, out.read(), errors.read())
    seconds = seconds_in(done.stdout)
    if done.returncode == LEFT_OUT:
        note = f"left out: {last_line(done)}"
    else:
        note = failure(done) if done.returncode else "" if seconds else "failed: printed no seconds"
    return seconds, in_gigabytes(usage.ru_maxrss), note


def seconds_in(text: str) -> list[float]:
    """Give the lines that are numbers, or the figures that a case of this script prints."""
    found = []
    for line in text.splitlines():
        try:
            read = json.loads(line)
        except ValueError:
            continue
        for value in read if isinstance(read, list) else [read]:
            value = value.get("seconds") if isinstance(value, dict) else value
            if isinstance(value, int | float) and value > 0:
                found.append(float(value))
    return found


def failure(done: subprocess.CompletedProcess) -> str:
    """Say in a line why a process failed."""
    if done.returncode < 0:
        return f"failed: killed by signal {-done.returncode}; out of memory?"
    return f"failed: {last_line(done)}"


def last_line(done: subprocess.CompletedProcess) -> str:
    """Give the last line that a process wrote about its errors."""
    return (done.stderr.strip().splitlines() or ["no message"])[-1]
