"""Time the synthesis model: whole, per layer, and as a share of a training step.

Every case runs in a process of its own, so that its peak memory is its own:

    python scripts/benchmark.py                        # tutorial recipe, 96 to 256, batch 1 and 4
    python scripts/benchmark.py --layers               # each layer at 160 cubed
    python scripts/benchmark.py --training             # share of a training step
    python scripts/benchmark.py --peers --environment PYTHON --peer "NAME=COMMAND"

`--peers` sets the tutorial recipe beside other generators, at 160 cubed, one sample at a time.
They take turns on one label map, each time in a new process, and the table gives the median and
the minimum of the seconds per sample, the median of each round's ratio to ours, and the largest
peak memory. PYTHON is that of an environment of its own for TorchIO, MONAI and cornucopia
(python -m venv PEERS; PEERS/bin/pip install torchio monai cornucopia), whose transforms of the
same effects are measured (peers/generators.py); what is not in it is left out. COMMAND is any
command line, without a shell, that prints the seconds of a sample per line, the first call left
out; other lines are skipped. In it `{labels}` stands for the label map, a NIfTI file, `{size}` for
its voxels per axis, `{repeats}` for how many samples to make, and `{picture}` for an NPY file of a
slice, for `--picture`. `--clock processor` counts the seconds of the processor, which other work
on the machine changes less; `{clock}` is that word. All have the cores that this process has:
`taskset -c 0` in front gives each of them one.

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
from peers.sheet import draw_sheet
from peers.turns import LIBRARIES, compare, failure, fill, in_gigabytes, peer_commands

SIZES = {"whole": (96, 160, 256), "layers": (160,), "training": (96,), "seconds": (160,)}
BATCHES = {"whole": (1, 4), "layers": (1,), "training": (1,), "seconds": (1,)}
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
# A phantom at 1 mm takes longer to make than to synthesise from: a coarse one is enlarged.
COARSE = 4
# What a case takes from the command line as it is.
FLAGS = ("clock", "labels", "xla", "features", "precision", "repeats")


@dataclass(frozen=True)
class Case:
    """One measurement; `size` in voxels per axis, `labels` a file or None for a phantom.

    `picture` is an NPY file for the middle slice of the last sample, of kind "seconds", and `clock`
    says whose seconds count.
    """

    kind: str
    size: int
    batch: int = 1
    labels: str | None = None
    xla: str = "auto"
    features: int = 24
    precision: str = "float32"
    repeats: int = 7
    picture: str | None = None
    clock: str = "wall"

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

    def timed(self, function: Callable[[], Any]) -> tuple[float, float]:
        """Seconds of the first call, which compiles, and the median of the following ones."""
        first, *times = self.seconds(function)
        return first, statistics.median(times)

    def seconds(self, function: Callable[[], Any]) -> list[float]:
        """Seconds of each call, the first of which compiles."""
        times, now = [], CLOCKS[self.clock]
        for _ in range(self.repeats + 1):
            start = now()
            _wait(function())
            times.append(now() - start)
        return times


def _wait(outputs: Any) -> None:
    """Wait for an accelerator by fetching one voxel: the rest of the volume stays there."""
    if isinstance(outputs, np.ndarray):
        return
    from keras import ops, tree

    first = tree.flatten(outputs)[0]
    ops.convert_to_numpy(first[(0,) * len(first.shape)])


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
    first, median = case.timed(lambda: function(data))
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
        first, median = case.timed(lambda: function(*arguments))
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
    _, step = case.timed(lambda: ops.convert_to_tensor(model.train_on_batch(batch)))
    function = case.compiled(lambda x: model.synthesis(x)["image"])
    _, alone = case.timed(lambda: function(data))
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
    if case.picture:
        np.save(case.picture, np.asarray(function(data))[0, :, :, case.size // 2, 0])
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


def run_peers(case: Case, args: argparse.Namespace) -> list[dict]:
    """Measure the tutorial recipe and its peers, which take turns."""
    from synthtf.data import write_volume

    commands = peer_commands(args.environment, args.libraries, args.peer)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.nii.gz"
        write_volume(path, case.label_map().astype("int16"), affine=np.eye(4))
        pictures = {"synthtf": Path(folder) / "synthtf.npy"}
        ours = dataclasses.asdict(dataclasses.replace(case, picture=str(pictures["synthtf"])))
        filled = {"synthtf": [sys.executable, __file__, "--case", json.dumps(ours)]}
        for name, command in commands.items():
            pictures[name] = Path(folder) / f"{name}.npy"
            stands_for = {"{labels}": path, "{size}": case.size, "{repeats}": case.repeats}
            stands_for["{clock}"] = case.clock
            filled[name] = fill(command, stands_for | {"{picture}": pictures[name]})
        rows = compare(filled, args.rounds)
        if args.picture:
            draw_sheet(pictures, args.picture)
    return [{**row, "case": f"{row['case']}, {case.name}"} for row in rows]


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
        "--environment", metavar="PYTHON", help="to which pip installed the libraries, with --peers"
    )
    parser.add_argument(
        "--libraries",
        nargs="+",
        choices=LIBRARIES,
        default=list(LIBRARIES),
        metavar="NAME",
        help="of that environment (default: %(default)s)",
    )
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="NAME=COMMAND",
        help="prints the seconds of a sample per line, with --peers; may be repeated",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=3,
        metavar="N",
        help="how often each has its turn, with --peers (default: %(default)s)",
    )
    parser.add_argument(
        "--clock", choices=CLOCKS, default="wall", help="whose seconds count (default: %(default)s)"
    )
    parser.add_argument("--picture", metavar="PNG", help="a sample of each, with --peers")
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
            yield from run_peers(case, args)
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
