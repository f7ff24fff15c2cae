"""SynthSeg, from one scan to labels, posteriors, volumes and scores."""

import os
from dataclasses import dataclass, field, replace

import numpy as np

from synthtf.interop.synthseg import QUALITY
from synthtf.published.averaging import most_likely
from synthtf.published.synthseg.labels import PARCELS, TOTAL, Labels
from synthtf.published.synthseg.networks import Networks
from synthtf.published.synthseg.postprocessing import (
    Parcels,
    drop_unlikely,
    keep_largest,
    keep_topology,
    normalize,
)
from synthtf.published.synthseg.preparing import Preparation, Prepared
from synthtf.published.synthseg.quality import SIZE, quality_groups

_PARCEL_LABELS = np.array([0, *PARCELS], np.int32)


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What SynthSeg finds in a scan.

    Attributes:
        labels: `(x, y, z)` int32, on the grid of the scan, or of the resampled scan.
        volumes: name of each structure to its volume in mm³, in the order of the tables.
        quality: scores in [0, 1], in the order of `QUALITY_NAMES`; None if they were not wanted.
        prepared: the scan as the networks saw it.
    """

    labels: np.ndarray
    volumes: dict[str, float]
    quality: np.ndarray | None
    prepared: Prepared
    _posteriors: np.ndarray = field(repr=False)

    def posteriors(self) -> np.ndarray:
        """Posteriors of the structures on the grid of the labels, `(x, y, z, channels)`."""
        return np.moveaxis(_paste(self._posteriors, self.prepared, background=1), 0, -1)


@dataclass(frozen=True, eq=False)
class SynthSeg:
    """SynthSeg with published weights.

    Attributes:
        networks: the networks; parcels are found if one of them is for that, and so are scores.
        preparation: how scans are prepared.
        fast: whether the mirrored scan and the topology of structures are left out.
        mirror: whether the networks see the mirror image, as of right hemispheres where they know
            left ones.
        quality_size: voxels per axis of what the scores are made from.
    """

    networks: Networks
    preparation: Preparation = field(default_factory=Preparation)
    fast: bool = False
    mirror: bool = False
    quality_size: int = SIZE

    def segment(self, path: str | os.PathLike) -> Segmentation:
        """Segment a scan.

        Args:
            path: a volume file, see `read_scan`.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if the file cannot be read as a scan, or memory does not suffice.
            MemoryError: if memory runs out.
        """
        networks, known = self.networks, self.networks.labels
        scan = self.preparation(path)
        scan = _mirrored(scan) if self.mirror else scan
        flip = not self.fast and bool(known.pairs)
        patches = networks.plan(scan.image.shape, flip, self.quality_size)
        posteriors, seen, judged = networks.segment(scan.image, flip, patches)
        quality = None
        if QUALITY in networks.parts:
            quality = networks.judge(quality_groups(judged, known, self.quality_size), patches)
        posteriors = self._postprocess(posteriors, scan)
        labels = known.values[most_likely(posteriors)]
        volumes = _volumes(posteriors, known, scan.voxel)
        if "unet_parc" in networks.parts:
            cortex = np.isin(labels, known.values[known.cortex])
            parcels = Parcels(cortex, tuple(part.start for part in scan.inner), len(PARCELS))
            networks.parcellate(scan.image, np.isin(seen, known.cortex), parcels.add, patches)
            labels[cortex] = _PARCEL_LABELS[parcels.found[cortex]]
            volumes |= _parcel_volumes(parcels.sums, volumes, known)
        volumes = {name: round(volume, 3) for name, volume in volumes.items()}
        if self.mirror:
            posteriors, labels, scan = posteriors[:, ::-1], labels[::-1], _mirrored(scan)
        labels = _paste(labels, scan, background=0)
        return Segmentation(labels, volumes, quality, scan, posteriors)

    def _postprocess(self, posteriors: np.ndarray, scan: Prepared) -> np.ndarray:
        """Clean posteriors in place, and leave the padding out."""
        inner = (slice(None), *scan.inner)
        if self.fast or self.networks.robust:
            posteriors = posteriors[inner]
            keep_largest(posteriors)
            drop_unlikely(posteriors)
        else:
            keep_largest(posteriors)
            keep_topology(posteriors, self.networks.labels)
            posteriors = posteriors[inner]
        normalize(posteriors)
        return posteriors


def _volumes(posteriors: np.ndarray, labels: Labels, voxel: float) -> dict[str, float]:
    sums = [float(channel.sum(dtype=np.float64)) * voxel for channel in posteriors[1:]]
    volumes = dict(zip(list(labels.names.values())[1:], sums, strict=True))
    return {TOTAL: sum(sums), **volumes} if labels.has_total else volumes


def _mirrored(scan: Prepared) -> Prepared:
    size = len(scan.image)
    first, *others = scan.inner
    inner = (slice(size - first.stop, size - first.start), *others)
    return replace(scan, image=scan.image[::-1], inner=inner)


def _parcel_volumes(
    sums: np.ndarray, volumes: dict[str, float], labels: Labels
) -> dict[str, float]:
    """Scale parcels so that they add up to the cortex.

    SynthSeg finds the cortex by its place among the volumes, which is one too early if the total
    comes first: there, they add up to the cerebral white matter.
    """
    names = list(labels.names.values())
    total = sum(volumes[names[channel - labels.has_total]] for channel in labels.cortex)
    scale = total / sums.sum() if sums.sum() > 0 else 0.0
    return dict(zip(PARCELS.values(), (float(s) for s in scale * sums), strict=True))


def _paste(part: np.ndarray, scan: Prepared, background: int) -> np.ndarray:
    """Put a part into the whole volume, in the orientation that it was read in.

    Args:
        part: labels, or posteriors with the channels first.
        scan: where it comes from.
        background: value of the first channel around it.
    """
    if part.shape[-3:] == scan.shape:
        return scan.orientation.undo(part)
    whole = np.zeros((*part.shape[:-3], *scan.shape), part.dtype)
    if part.ndim == 4:
        whole[0] = background
    whole[(..., *scan.crop)] = part
    return scan.orientation.undo(whole)
