"""Print the seconds that TorchIO takes for each sample of the effects of the tutorial recipe.

    PYTHON scripts/peer_torchio.py LABELS.nii.gz REPEATS

PYTHON is that of an environment with TorchIO (pip install torchio), which need not have synthtf.
The first sample, which loads code, is not counted. `benchmark.py --peers --torchio PYTHON` runs
this file.
"""

import math
import sys
import time

try:
    import torchio
except ImportError:
    sys.exit("TorchIO is not installed there: pip install torchio")


def main(path: str, repeats: str) -> None:
    """Make the samples one after the other, as TorchIO's data loader does."""
    labels = torchio.LabelMap(path)
    labels.load()
    transform = torchio.Compose(
        [
            torchio.RandomAffine(scales=0.1, degrees=30, translation=30),
            torchio.RandomElasticDeformation(),
            torchio.RandomLabelsToImage(
                label_key="labels", image_key="image", default_mean=(0, 1), default_std=(0, 0)
            ),
            torchio.RandomBiasField(),
            torchio.RandomBlur(std=(0, 2)),
            torchio.RandomNoise(std=(0, 0.1)),
            torchio.RescaleIntensity((0, 1)),
            torchio.RandomGamma(log_gamma=(math.log(0.5), math.log(1.5))),
            torchio.RandomAnisotropy(downsampling=(1, 4)),
        ]
    )
    for repeat in range(int(repeats) + 1):
        start = time.perf_counter()
        transform(torchio.Subject(labels=labels))["image"].data.numpy()
        if repeat:
            print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
