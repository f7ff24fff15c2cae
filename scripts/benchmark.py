"""Time the synthesis model: whole, per layer, and as a share of a training step.

Every case runs in a process of its own, so that its peak memory is its own:

    python scripts/benchmark.py                        # tutorial recipe, 96 to 256, batch 1 and 4
    python scripts/benchmark.py --layers               # each layer at 160 cubed
    python scripts/benchmark.py --training             # share of a training step
    python scripts/benchmark.py --torchio              # TorchIO side by side (pip install torchio)

Machines differ and are noisy: compare the ratios within one run.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

REPEATS = 7
LAYER_SIZE = 160


def label_map(size: int, path: str | None) -> np.ndarray:
    """A head of `size` cubed voxels at 1 mm: a phantom, or the label map of a file."""
    if path:
        from synthtf.data import conform_labels, read_volume

        return conform_labels(read_volume(path, labels=True), 1.0, (size,) * 3).data
    from synthtf.data.phantoms import head_phantom

    # A phantom at 1 mm takes longer to make than to synthesise from: use a coarse one.
    coarse = head_phantom(0, (size // 4,) * 3, 4.0)
    for axis in range(3):
        coarse = np.repeat(coarse, 4, axis)
    return coarse


def clock(function: Callable[[], object], repeats: int = REPEATS) -> tuple[float, float]:
    """Seconds of the first call, and the median of the following ones."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return times[0], statistics.median(times[1:])


def compiled(function: Callable) -> Callable:
    """The function as a graph of the current backend."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function)
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    return function


def inputs(size: int, batch: int, path: str | None) -> dict:
    """A batch of label maps and keys as tensors."""
    from keras import ops

    labels = np.stack([label_map(size, path)[..., None]] * batch)
    keys = np.stack([np.zeros(batch), np.arange(batch)], -1).astype("int32")
    return {"labels": ops.convert_to_tensor(labels), "key": ops.convert_to_tensor(keys)}


def case_whole(size: int, batch: int, path: str | None) -> dict:
    """The tutorial recipe."""
    from keras import ops

    from synthtf.synthesis import labels_to_image

    data = inputs(size, batch, path)
    values = np.unique(ops.convert_to_numpy(data["labels"])).tolist()
    start = time.perf_counter()
    model = labels_to_image((size,) * 3, values)
    function = compiled(lambda x: model(x)["image"])
    built = time.perf_counter() - start
    first, median = clock(lambda: ops.convert_to_numpy(function(data)))
    return {
        "case": f"{size}^3 x {batch}",
        "first call (s)": built + first,
        "sample (s)": median / batch,
        "voxel (ns)": median / batch / size**3 * 1e9,
        "peak (GB)": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def case_layers(size: int, batch: int, path: str | None) -> list[dict]:
    """Each layer of the tutorial recipe and its variants, with its defaults."""
    from keras import ops

    from synthtf import layers

    data = inputs(size, 1, path)
    values = np.unique(ops.convert_to_numpy(data["labels"])).tolist()
    image = ops.cast(data["labels"], "float32") / float(max(values))
    labels, key = data["labels"], data["key"]
    warp = layers.RandomWarp(full_resolution=False)(labels, key=key)
    cases = {
        "RandomAffine": (layers.RandomAffine(), labels),
        "RandomWarp": (layers.RandomWarp(full_resolution=False), labels),
        "RandomWarp, full resolution": (layers.RandomWarp(), labels),
        "RandomFlip": (layers.RandomFlip(pairs=[(2, 41)]), labels),
        "RandomFieldOfView": (layers.RandomFieldOfView(), labels),
        "RandomIntensity": (layers.RandomIntensity(values), labels),
        "RandomIntensity, std": (layers.RandomIntensity(values, std=(0, 0.1)), labels),
        "RandomBiasField": (layers.RandomBiasField(), image),
        "RandomBlur": (layers.RandomBlur(), image),
        "RandomNoise": (layers.RandomNoise(), image),
        "RandomGamma": (layers.RandomGamma(), image),
        "RandomResolution": (layers.RandomResolution(), image),
        "RandomResolution, thick-slice": (layers.RandomResolution(mode="thick-slice"), image),
        "RandomClearedSlices": (layers.RandomClearedSlices(), image),
        "RandomMask": (layers.RandomMask(labels=[2, 41]), [image, labels]),
    }
    rows = []
    for name, (layer, argument) in cases.items():
        function = compiled(lambda x, k, layer=layer: layer(x, key=k))
        first, median = clock(lambda f=function, x=argument: ops.convert_to_numpy(f(x, key)))
        rows.append({"case": name, "first call (s)": first, "volume (ms)": median * 1e3})
    move = layers.Resample()
    function = compiled(lambda x, t: move(x, t))
    first, median = clock(lambda: ops.convert_to_numpy(function(labels, warp)))
    rows.append({"case": "Resample", "first call (s)": first, "volume (ms)": median * 1e3})
    return rows


def case_training(size: int, batch: int, path: str | None) -> dict:
    """A step of a small U-Net, and the synthesis alone."""
    from keras import ops

    from synthtf.networks import UNetConfig
    from synthtf.tasks import segmentation

    data = inputs(size, batch, path)
    values = np.unique(ops.convert_to_numpy(data["labels"])).tolist()
    network = UNetConfig(features=8, levels=4)
    model = segmentation((size,) * 3, values, network=network)
    model.compile("adam")
    batch_arrays = {name: ops.convert_to_numpy(x) for name, x in data.items()}
    _, step = clock(lambda: model.train_on_batch(batch_arrays), 5)
    function = compiled(lambda x: model.synthesis(x)["image"])
    _, alone = clock(lambda: ops.convert_to_numpy(function(data)), 5)
    return {
        "case": f"{size}^3 x {batch}, 8 features",
        "step (s)": step,
        "synthesis (s)": alone,
        "share (%)": 100 * alone / step,
    }


def case_torchio(size: int, batch: int, path: str | None) -> dict:
    """TorchIO's transforms for the same steps."""
    try:
        import torch
        import torchio
    except ImportError:
        return {"case": "TorchIO: not installed; pip install torchio"}
    labels = torch.from_numpy(label_map(size, path)[None].astype("float32"))
    values = [int(v) for v in torch.unique(labels)]
    transform = torchio.Compose(
        [
            torchio.RandomAffine(0.1, 30, 30, label_interpolation="nearest"),
            torchio.RandomElasticDeformation(max_displacement=20 / 3),
            torchio.LabelsToImage(label_key="labels", used_labels=values, default_std=(0, 0)),
            torchio.RandomBiasField(),
            torchio.RandomBlur(2),
            torchio.RandomNoise(std=(0, 0.1)),
            torchio.RescaleIntensity(),
            torchio.RandomGamma(),
            torchio.RandomAnisotropy(downsampling=(1, 4)),
        ]
    )

    def run() -> object:
        return transform(torchio.Subject(labels=torchio.LabelMap(tensor=labels)))

    _, median = clock(run, 5)
    return {"case": f"TorchIO, {size}^3", "sample (s)": median}


CASES = {
    "whole": case_whole,
    "layers": case_layers,
    "training": case_training,
    "torchio": case_torchio,
}


def isolated(name: str, size: int, batch: int, path: str | None) -> list[dict]:
    """Run a case in a process of its own."""
    command = [sys.executable, __file__, "--run", name, "--sizes", str(size)]
    command += ["--batches", str(batch)] + (["--labels", path] if path else [])
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return [{"case": f"{name} {size}^3 x {batch}: failed, {done.stderr.splitlines()[-1]}"}]
    rows = json.loads(done.stdout.splitlines()[-1])
    return rows if isinstance(rows, list) else [rows]


def show(rows: list[dict]) -> None:
    """Print rows that share their columns as a table."""
    columns = max((list(row) for row in rows), key=len)
    width = max(len(row["case"]) for row in rows)
    print("".join([columns[0].ljust(width)] + [f"  {name:>15}" for name in columns[1:]]))
    for row in rows:
        cells = [f"  {row[name]:>15.3g}" if name in row else " " * 17 for name in columns[1:]]
        print("".join([row["case"].ljust(width), *cells]))


def main() -> None:
    """Run the chosen cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[96, 160, 256])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--labels", metavar="FILE", help="label map (default: a phantom)")
    parser.add_argument("--layers", action="store_true", help="each layer instead")
    parser.add_argument("--training", action="store_true", help="a training step instead")
    parser.add_argument("--torchio", action="store_true", help="add TorchIO to the whole recipe")
    parser.add_argument("--json", metavar="FILE", help="write the figures as well")
    parser.add_argument("--run", choices=CASES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        print(json.dumps(CASES[args.run](args.sizes[0], args.batches[0], args.labels)))
        return
    if args.layers:
        rows = isolated("layers", LAYER_SIZE, 1, args.labels)
    elif args.training:
        rows = isolated("training", 96, 1, args.labels)
    else:
        cases = [(size, batch) for size in args.sizes for batch in args.batches]
        rows = [row for case in cases for row in isolated("whole", *case, args.labels)]
        if args.torchio:
            rows += isolated("torchio", LAYER_SIZE, 1, args.labels)
    show(rows)
    if args.json:
        with open(args.json, "w") as file:
            json.dump(rows, file, indent=2)


if __name__ == "__main__":
    main()
