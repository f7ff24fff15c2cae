"""Measure how little the features of a network depend on the contrast of a scan.

    python scripts/evaluate_features.py RUN SCAN SCAN ... --mask MASK [--untrained]

RUN is the folder that `synthtf train contrastive` writes. The scans show one head in several
contrasts, on one grid; voxels are drawn within the mask. For each pair of scans, in both
directions, the mean over all pairs is printed of

    same        cosine similarity of the features of the same voxel
    other       the same of two different voxels
    nearest     share of voxels for which no other of 1000 has more similar features than itself
    distance    median distance in mm to the voxel with the most similar features

With --untrained, the same network with its first random weights is measured instead.
"""

import argparse
import itertools
import sys
from collections.abc import Sequence

import numpy as np

from synthtf.data import read_volume
from synthtf.inference import extract_features
from synthtf.inference.conform import ConformedGrid
from synthtf.runs.run import Run
from synthtf.tasks.registry import task_of

VOXELS = 1000


def measure(features: Sequence[np.ndarray], places: np.ndarray) -> dict[str, float]:
    """Compare the features of voxels between scans.

    Args:
        features: of each scan, `(voxels, channels)`, of length 1.
        places: of the voxels in mm, `(voxels, 3)`.
    """
    found = {"same": [], "other": [], "nearest": [], "distance": []}
    for one, two in itertools.permutations(features, 2):
        cosine = one @ two.T
        itself = np.arange(len(cosine))
        found["same"].append(cosine[itself, itself].mean())
        found["other"].append(cosine[~np.eye(len(cosine), dtype=bool)].mean())
        best = cosine.argmax(axis=1)
        found["nearest"].append(np.mean(best == itself))
        found["distance"].append(np.median(np.linalg.norm(places[best] - places, axis=1)))
    return {name: float(np.mean(values)) for name, values in found.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure a run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("scans", nargs="+", metavar="SCAN")
    parser.add_argument("--mask", required=True)
    parser.add_argument("--untrained", action="store_true")
    args = parser.parse_args(argv)
    run = Run.load(args.run)
    if args.untrained:
        import keras

        keras.utils.set_random_seed(0)
        run.__dict__["task_model"] = task_of(run.metadata).make_network(len(run.shape), 0)
    mask = read_volume(args.mask)
    grid = ConformedGrid.of(mask.data.shape, mask.affine, run.spacing)
    inside = np.argwhere(grid.conform(mask.data) > 0.5)
    chosen = inside[np.random.default_rng(0).permutation(len(inside))[:VOXELS]]
    features = [extract_features(scan, run).data[tuple(chosen.T)] for scan in args.scans]
    for name, value in measure(features, chosen * np.array(run.spacing)).items():
        print(f"{name:10}{value:8.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
