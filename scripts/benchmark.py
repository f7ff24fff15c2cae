"""Time the synthesis model: whole, per layer, and as a share of a training step.

Every case runs in a process of its own, so that its peak memory is its own:

    python scripts/benchmark.py                        # tutorial recipe, 96 to 256, batch 1 and 4
    python scripts/benchmark.py --layers               # each layer at 160 cubed
    python scripts/benchmark.py --training             # share of a training step
    python scripts/benchmark.py --peers --torchio PYTHON --peer "NAME=COMMAND"

`--peers` sets the tutorial recipe beside other generators, at 160 cubed, one sample at a time.
They take turns on one label map, each time in a new process, and the table gives the median and
the minimum of the seconds per sample, the ratio of the medians to ours, and the largest peak
memory. PYTHON is that of an environment with TorchIO, whose transforms of the same effects are
measured. COMMAND is any command line, without a shell, that prints the seconds of a sample per
line, the first call left out; other lines are skipped. In it `{labels}` stands for the label map,
a NIfTI file, `{size}` for its voxels per axis, and `{repeats}` for how many samples to make. All
have the cores that this process has: put `taskset -c 0,1` in front for two of them.

KERAS_BACKEND chooses the backend. Machines differ and are noisy: compare the ratios within
one run. This script reports; it tests nothing.
"""

import argparse
import csv
import dataclasses
import json
import os
import platform
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SIZES = {"whole": (96, 160, 256), "layers": (160,), "training": (96,), "seconds": (160,)}
BATCHES = {"whole": (1, 4), "layers": (1,), "training": (1,), "seconds": (1,)}
# How often the peers take turns.
ROUNDS = 3
# A phantom at 1 mm takes longer to make than to synthesise from: a coarse one is enlarged.
COARSE = 4
# What a case takes from the command line as it is.
FLAGS = ("labels", "xla", "features", "precision", "repeats")


@dataclass(frozen=True)
class Case:
    """One measurement; `size` in voxels per axis, `labels` a file or None for a phantom."""

    kind: str
    size: int
    batch: int = 1
    labels: str | None = None
    xla: str = "auto"
    features: int = 24
    precision: str = "float32"
    repeats: int = 7

    @property
    def name(self) -> str:
        """Size and batch, as the table shows them."""
        return f"{self.size}^3 x {self.batch}"

    def label_map(self) -> np.ndarray:
        """A head of `size` cubed voxels at 1 mm."""
        if self.labels:
            from synthtf.data import conform_labels, read_volume

            return conform_labels(read_volume(self.labels, labels=True), 1.0, (self.size,) * 3).data
        from synthtf.data.phantoms import head_phantom

        labels = head_phantom(0, (-(-self.size // COARSE),) * 3, float(COARSE))
        for axis in range(3):
            labels = np.repeat(labels, COARSE, axis)
        return labels[: self.size, : self.size, : self.size]

    def inputs(self) -> tuple[dict[str, Any], list[int]]:
        """A batch of label maps and keys as tensors, and the label values that occur."""
        from keras import ops

        labels = self.label_map()
        batch = np.stack([labels[..., None]] * self.batch)
        keys = np.stack([np.zeros(self.batch), np.arange(self.batch)], -1).astype("int32")
        tensors = {"labels": ops.convert_to_tensor(batch), "key": ops.convert_to_tensor(keys)}
        return tensors, np.unique(labels).tolist()

    def compiled(self, function: Callable) -> Callable:
        """The function as a graph of the current backend."""
        import keras

        from synthtf import xla

        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            return tf.function(
                function, jit_compile={"on": True, "off": False}.get(self.xla, xla.pays())
            )
        if keras.backend.backend() == "jax" and self.xla != "off":
            import jax

            return jax.jit(function)
        return function

    def clock(self, function: Callable[[], Any]) -> tuple[float, float]:
        """Seconds of the first call, which compiles, and the median of the following ones."""
        first, *times = self.seconds(function)
        return first, statistics.median(times)

    def seconds(self, function: Callable[[], Any]) -> list[float]:
        """Seconds of each call, the first of which compiles."""
        times = []
        for _ in range(self.repeats + 1):
            start = time.perf_counter()
            _wait(function())
            times.append(time.perf_counter() - start)
        return times


def _wait(outputs: Any) -> None:
    """Wait for an accelerator by fetching one voxel: the rest of the volume stays there."""
    if isinstance(outputs, np.ndarray):
        return
    from keras import ops, tree

    first = tree.flatten(outputs)[0]
    ops.convert_to_numpy(first[(0,) * len(first.shape)])


def in_gigabytes(peak: int) -> float:
    """What the system says of a peak memory: Linux counts in kB, macOS in bytes."""
    return peak / (1e9 if sys.platform == "darwin" else 1e6)


def peak_memory() -> dict[str, float]:
    """Peak memory of this process, the libraries included, and of its accelerator if it has one."""
    peaks = {"peak (GB)": in_gigabytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)}
    if "tensorflow" in sys.modules:
        import tensorflow as tf

        if tf.config.list_physical_devices("GPU"):
            used = tf.config.experimental.get_memory_info("GPU:0")["peak"]
            peaks["GPU peak (GB)"] = used / 1e9
    if "jax" in sys.modules:
        import jax

        used = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
        if used:
            peaks["GPU peak (GB)"] = used / 1e9
    return peaks


def run_whole(case: Case) -> list[dict]:
    """The tutorial recipe."""
    from synthtf.synthesis import Recipe

    data, values = case.inputs()
    start = time.perf_counter()
    model = Recipe.preset("tutorial").build((case.size,) * 3, values)
    built = time.perf_counter() - start
    function = case.compiled(lambda x: model(x)["image"])
    first, median = case.clock(lambda: function(data))
    figures = {
        "first call (s)": built + first,
        "sample (s)": median / case.batch,
        "voxel (ns)": median / case.batch / case.size**3 * 1e9,
    }
    return [{"case": case.name, **figures, **peak_memory()}]


def layers_by_input(values: Sequence[int]) -> dict[str, list]:
    """Layers, some with the name of a variant, by what they take: "both" is image and labels."""
    from synthtf import layers

    brain = [2, 41]
    return {
        "labels": [
            layers.RandomShapes(),
            layers.RandomSpheres(),
            layers.RandomVessels(),
            layers.RandomStructures([brain]),
            layers.RandomErosion(brain),
            layers.RandomAtrophy([4]),
            layers.RandomLesions(brain),
            layers.RandomSubdivision(brain),
            layers.RandomAffine(),
            layers.RandomWarp(full_resolution=False),
            (layers.RandomWarp(), "full resolution"),
            layers.RandomFlip(pairs=[(2, 41)]),
            layers.RandomFieldOfView(),
            layers.RandomIntensity(values),
            (layers.RandomIntensity(values, std=(0, 0.1)), "std"),
            layers.RandomTissueMaps(values, ["WM"] * len(values)),
        ],
        "maps": [
            layers.RandomTransmitField(),
            (layers.SignalModel("spin echo"), "spin echo"),
            (layers.SignalModel(), "any sequence"),
        ],
        "image": [
            layers.RandomGamma(),
            layers.RandomRemapping(),
            layers.RandomBiasField(),
            layers.RandomCoils(),
            layers.RandomCupping(),
            layers.RandomStreaks(),
            layers.RandomBlur(),
            layers.RandomDistortion(),
            layers.RandomMotion(num_shots=2),
            layers.RandomSliceMotion(),
            layers.RandomGhosting(),
            layers.RandomUndersampling(),
            layers.RandomPartialFourier(),
            layers.RandomTruncation(),
            layers.RandomSpikes(),
            layers.RandomZipper(),
            layers.RandomNoise(),
            (layers.RandomNoise(distribution="rician"), "rician"),
            (layers.RandomNoise(correlation=(1, 2)), "correlated"),
            layers.RandomSlices(),
            layers.RandomResolution(),
            (layers.RandomResolution(mode="thick-slice"), "thick-slice"),
            layers.RandomSliceIntensity(),
            layers.RandomClearedSlices(),
            layers.AverageDown(),
            layers.RandomWindow(level=0.5, width=0.5),
            layers.RandomInversion(),
            layers.RandomClip(),
            layers.RandomQuantization(),
            layers.RandomPadding(),
        ],
        "both": [
            layers.RandomTexture(values),
            layers.RandomChemicalShift([258]),
            layers.RandomDeface(brain),
            layers.RandomMask(labels=brain),
            (layers.RandomMask(labels=brain, border=(-2, 2)), "border"),
        ],
    }


def run_layers(case: Case) -> list[dict]:
    """Each layer and its variants, with its defaults."""
    from keras import ops

    from synthtf import layers

    data, values = case.inputs()
    labels, key = data["labels"], data["key"]
    image = ops.cast(labels, "float32") / float(max(*values, 1))
    tissues = layers.RandomTissueMaps(values, ["WM"] * len(values))(labels, key=key)
    maps = layers.RandomTransmitField()(tissues, key=key)
    inputs = {"labels": labels, "image": image, "both": [image, labels], "maps": maps}
    rows = []

    def measure(name: str, function: Callable, *arguments: Any) -> None:
        function = case.compiled(function)
        first, median = case.clock(lambda: function(*arguments))
        figures = {"first call (s)": first, "volume (ms)": median / case.batch * 1e3}
        rows.append({"case": f"{name}, {case.name}", **figures})

    for kind, chosen in layers_by_input(values).items():
        for entry in chosen:
            layer, variant = entry if isinstance(entry, tuple) else (entry, "")
            name = type(layer).__name__ + (f", {variant}" if variant else "")
            keys = (key,) if isinstance(layer, layers.RandomLayer) else ()
            measure(name, lambda x, *k, layer=layer: layer(x, *k), inputs[kind], *keys)
    move, warp = layers.Resample(), layers.RandomWarp(full_resolution=False)
    measure("Resample", lambda x, field: move(x, field), labels, warp(labels, key=key))
    return rows


def run_training(case: Case) -> list[dict]:
    """A training step of a 3D U-Net, and the synthesis alone."""
    import keras
    from keras import ops

    from synthtf.networks import UNetConfig
    from synthtf.tasks import segmentation

    keras.config.set_dtype_policy(case.precision)
    data, values = case.inputs()
    network = UNetConfig(features=case.features)
    model = segmentation((case.size,) * 3, values, recipe="tutorial", network=network)
    model.compile("adam", jit_compile={"on": True, "off": False}.get(case.xla, "auto"))
    batch = {name: ops.convert_to_numpy(x) for name, x in data.items()}
    _, step = case.clock(lambda: ops.convert_to_tensor(model.train_on_batch(batch)))
    function = case.compiled(lambda x: model.synthesis(x)["image"])
    _, alone = case.clock(lambda: function(data))
    figures = {"step (s)": step, "synthesis (s)": alone, "share (%)": 100 * alone / step}
    name = f"{case.name}, {case.features} features, {case.precision}"
    return [{"case": name, **figures, **peak_memory()}]


def run_seconds(case: Case) -> list[dict]:
    """The tutorial recipe, sample by sample."""
    from synthtf.synthesis import Recipe

    data, values = case.inputs()
    model = Recipe.preset("tutorial").build((case.size,) * 3, values)
    function = case.compiled(lambda x: model(x)["image"])
    _, *times = case.seconds(lambda: function(data))
    return [{"seconds": seconds / case.batch} for seconds in times]


RUNNERS = {
    "whole": run_whole,
    "layers": run_layers,
    "training": run_training,
    "seconds": run_seconds,
}


def run_apart(case: Case) -> list[dict]:
    """Measure a case in a process of its own; a failure becomes a note."""
    command = [sys.executable, __file__, "--case", json.dumps(dataclasses.asdict(case))]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return [{"case": f"{case.kind}, {case.name}", "note": failure(done)}]
    return json.loads(done.stdout.splitlines()[-1])


def run_peers(case: Case, torchio: str | None, peers: Sequence[str]) -> list[dict]:
    """Measure the tutorial recipe and its peers, which take turns.

    Args:
        case: of kind "seconds".
        torchio: Python of an environment with TorchIO.
        peers: each `NAME=COMMAND`.
    """
    from synthtf.data import write_volume

    commands = {
        "synthtf": [sys.executable, __file__, "--case", json.dumps(dataclasses.asdict(case))]
    }
    if torchio:
        script = str(Path(__file__).with_name("peer_torchio.py"))
        commands["TorchIO"] = [torchio, script, "{labels}", "{repeats}"]
    for peer in peers:
        name, equals, command = peer.partition("=")
        if not (name and equals and command):
            raise SystemExit(f"`--peer` must be NAME=COMMAND. Received: {peer}")
        commands[name] = shlex.split(command)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.nii.gz"
        write_volume(path, case.label_map().astype("int16"), affine=np.eye(4))
        stands_for = {"{labels}": path, "{size}": case.size, "{repeats}": case.repeats}

        def filled(word: str) -> str:
            for name, value in stands_for.items():
                word = word.replace(name, str(value))
            return word

        first, *others = commands
        filled_in = {name: [filled(word) for word in commands[name]] for name in others}
        rows = compare({first: commands[first], **filled_in})
    if not torchio:
        note = "left out: give the Python of its environment, --torchio PYTHON"
        rows.append({"case": "TorchIO", "note": note})
    return [{**row, "case": f"{row['case']}, {case.name}"} for row in rows]


def compare(commands: dict[str, Sequence[str]], rounds: int = ROUNDS) -> list[dict]:
    """Let commands take turns, and set what they print beside that of the first.

    Args:
        commands: by name; each prints the seconds of a sample per line.
        rounds: how often each of them runs.

    Returns:
        One row per command.
    """
    times: dict[str, list[float]] = {name: [] for name in commands}
    peaks, notes = dict.fromkeys(commands, 0.0), {}
    for _ in range(rounds):
        for name, command in commands.items():
            if name not in notes:
                seconds, peak, note = run_peer(command)
                times[name] += seconds
                peaks[name] = max(peaks[name], peak)
                if note:
                    notes[name] = note
    ours = times[next(iter(commands))]
    rows: list[dict] = []
    for name in commands:
        if name in notes:
            rows.append({"case": name, "note": notes[name]})
            continue
        median = statistics.median(times[name])
        row = {"case": name, "median (s)": median, "minimum (s)": min(times[name])}
        if ours:
            row["ratio"] = median / statistics.median(ours)
        rows.append({**row, "peak (GB)": peaks[name]})
    return rows


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
    return f"failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}"


def columns_of(rows: Sequence[dict]) -> list[str]:
    """Names of all columns in the order in which they occur."""
    return list(dict.fromkeys(name for row in rows for name in row))


def format_table(rows: Sequence[dict]) -> str:
    """Rows as text in columns, a note in place of figures at the end of its row."""
    columns = [name for name in columns_of(rows) if name not in ("case", "note")]
    width = max(len(row["case"]) for row in rows)
    lines = ["".join(["case".ljust(width), *(f"  {name:>14}" for name in columns)])]
    for row in rows:
        cells = [f"  {row[name]:>14.3g}" if name in row else " " * 16 for name in columns]
        text = f"  {row['note']}" if "note" in row else "".join(cells)
        lines.append(row["case"].ljust(width) + text)
    return "\n".join(line.rstrip() for line in lines)


def machine() -> str:
    """What the figures were measured on."""
    from importlib.metadata import version

    from synthtf import __version__

    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    return (
        f"synthtf {__version__}, Keras {version('keras')}, {backend} {version(backend)}, "
        f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores"
    )


def make_parser() -> argparse.ArgumentParser:
    """Parser of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--layers", action="store_true", help="time each layer instead")
    kind.add_argument("--training", action="store_true", help="time a training step instead")
    kind.add_argument("--peers", action="store_true", help="set it beside other generators instead")
    parser.add_argument("--sizes", type=int, nargs="+", metavar="N", help="voxels per axis")
    parser.add_argument("--batches", type=int, nargs="+", metavar="N", help="samples at a time")
    parser.add_argument("--labels", metavar="FILE", help="label map (default: a phantom)")
    parser.add_argument(
        "--xla",
        choices=["auto", "on", "off"],
        default="auto",
        help="on TensorFlow; off on JAX is op by op (default: as in training)",
    )
    parser.add_argument(
        "--features",
        type=int,
        default=24,
        metavar="N",
        help="of the U-Net's first level, with --training (default: %(default)s)",
    )
    parser.add_argument(
        "--precision",
        default="float32",
        metavar="POLICY",
        help="Keras dtype policy, with --training (default: %(default)s)",
    )
    parser.add_argument(
        "--repeats", type=int, default=7, metavar="N", help="timed calls (default: %(default)s)"
    )
    parser.add_argument(
        "--torchio", metavar="PYTHON", help="of an environment with TorchIO, with --peers"
    )
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="NAME=COMMAND",
        help="prints the seconds of a sample per line, with --peers; may be repeated",
    )
    parser.add_argument("--csv", metavar="FILE", help="write the table")
    parser.add_argument("--json", metavar="FILE", help="write the table")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    return parser


def measure_all(args: argparse.Namespace) -> Iterator[dict]:
    """Measure what the arguments ask for, one after the other."""
    chosen = {"layers": args.layers, "training": args.training, "seconds": args.peers}
    kind = next((kind for kind, is_chosen in chosen.items() if is_chosen), "whole")
    common = {key: getattr(args, key) for key in FLAGS}
    sizes, batches = args.sizes or SIZES[kind], args.batches or BATCHES[kind]
    cases = [Case(kind, size, batch, **common) for size in sizes for batch in batches]
    for case in cases:
        if args.peers:
            yield from run_peers(case, args.torchio, args.peer)
        else:
            yield from run_apart(case)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write; 1 if a case failed."""
    args = make_parser().parse_args(argv)
    if args.case:
        case = Case(**json.loads(args.case))
        print(json.dumps(RUNNERS[case.kind](case)))
        return 0
    print(machine())
    rows = []
    for row in measure_all(args):
        rows.append(row)
        if args.json:  # after each, for a benchmark that is ended before its time
            Path(args.json).write_text(json.dumps(rows, indent=2) + "\n")
    print(format_table(rows))
    if args.csv:
        with open(args.csv, "w", newline="") as file:
            writer = csv.DictWriter(file, columns_of(rows))
            writer.writeheader()
            writer.writerows(rows)
    return int(any(row.get("note", "").startswith("failed") for row in rows))


if __name__ == "__main__":
    sys.exit(main())
