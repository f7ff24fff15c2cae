"""The networks of SynthSeg, and how they are applied: flips, blurs and chains."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synthtf.inference.kept import kept_with_network
from synthtf.inference.patches.memory import MemoryBudget, ScanBudget, release
from synthtf.interop.synthseg import QUALITY, ROBUST, load_synthseg_parts
from synthtf.networks import network_multiple
from synthtf.published.averaging import Deliver, Patch, averaged, begin, most_likely
from synthtf.published.synthseg.labels import PARCELS, QUALITY_NAMES, Labels
from synthtf.published.synthseg.preparing import MULTIPLE
from synthtf.published.synthseg.quality import SIZE, scores
from synthtf.published.synthseg.smoothing import SmoothPosteriors, smooth

if TYPE_CHECKING:
    import keras

Patches = Mapping[str, Patch]

_ORDER = (*ROBUST, "unet_parc", QUALITY)  # in which the networks work
_VOXEL_BYTES = 24  # per voxel, of masks and labels beside the posteriors


@dataclass(frozen=True, eq=False)
class Networks:
    """SynthSeg's networks, applied whole or in patches.

    Attributes:
        parts: networks by name: "unet"; "l2l" and "unet2" besides in SynthSeg-robust; "unet_parc"
            and "qc" where there are parcels and scores.
        labels: labels of the segmentation's channels.
        budget: memory.
    """

    parts: Mapping[str, "keras.Model"]
    labels: Labels
    budget: MemoryBudget

    @classmethod
    def load(
        cls,
        labels: Labels,
        segmentation: Path,
        parcels: Path | None = None,
        quality: Path | None = None,
        *,
        robust: bool = False,
        budget: MemoryBudget | None = None,
    ) -> "Networks":
        """Load published weights.

        Args:
            labels: labels of the segmentation's channels.
            segmentation: weights of the segmentation.
            parcels: weights of the parcellation, if it is wanted.
            quality: weights of the judge of segmentations, if scores are wanted.
            robust: whether `segmentation` is SynthSeg-robust.
            budget: memory. None: as much as whole scans take.

        Raises:
            FileNotFoundError: if a file does not exist.
            ValueError: if a file holds no such network; the message names the first tensor at
                fault.
        """
        files = dict.fromkeys(ROBUST if robust else ("unet",), segmentation)
        files |= {"unet_parc": parcels} if parcels else {}
        files |= {QUALITY: quality} if quality else {}
        parts = {}
        for file in dict.fromkeys(files.values()):
            wanted = tuple(part for part, path in files.items() if path == file)
            parts |= load_synthseg_parts(file, wanted)
        last = "unet2" if robust else "unet"
        # Inputs and outputs of each; tissues are as many as the denoiser takes.
        sizes = {last: (1, len(labels.names)), "unet_parc": (3, 1 + len(PARCELS))}
        sizes[QUALITY] = (1 + len(QUALITY_NAMES),) * 2
        if robust:
            tissues = parts["unet"].output.shape[-1]
            sizes |= {"unet": (1, tissues), "l2l": (tissues, tissues)}
            sizes["unet2"] = 1 + tissues, len(labels.names)
        for part, network in parts.items():
            _check(network, part, sizes[part], files[part])
        release()
        return cls(parts, labels, budget or MemoryBudget())

    @property
    def robust(self) -> bool:
        """Whether they are those of SynthSeg-robust."""
        return "unet2" in self.parts

    def plan(
        self, shape: tuple[int, ...], flip: bool = False, quality_size: int = SIZE
    ) -> dict[str, Patch]:
        """Find the patches of all networks before the first one works.

        Args:
            shape: voxels per axis of a scan, prepared.
            flip: as for `segment`.
            quality_size: voxels per axis of what the judge sees.

        Returns:
            Size of the patches of each network; None for the whole image.

        Raises:
            ValueError: if memory does not suffice; says how much would.
        """
        voxels, patches = int(np.prod(shape)), {}
        posteriors = 4 * len(self.labels.names) * voxels
        scan = self.budget.for_scan(posteriors + _VOXEL_BYTES * voxels)
        last = "unet2" if self.robust else "unet"
        there = 0  # bytes of posteriors
        for part in sorted(self.parts, key=_ORDER.index):
            own = part == last
            limits = replace(
                scan,
                scan_bytes=(posteriors if own else 0) + _VOXEL_BYTES * voxels,
                kept=int(own),
                begun=1 + (own and flip),
                earlier=there if patches else None,
            )
            size = (quality_size,) * 3 if part == QUALITY else shape
            patches[part] = self._patch(part, size, limits)
            there = posteriors if own else there
        return patches

    def segment(
        self, image: np.ndarray, flip: bool, patches: Patches | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give posteriors, and the segmentations that the other networks see.

        Args:
            image: `(x, y, z)`, prepared.
            flip: whether posteriors are averaged with those of the mirrored image.
            patches: as from `plan`. None: found.

        Returns:
            Posteriors, `(channels, x, y, z)`; channel of each voxel as the parcellation sees it,
            and as the judge sees it.
        """
        patches = patches or self.plan(image.shape, flip)
        if self.robust:
            tissues = self._with_tissues(image, patches)
            posteriors = self._posteriors("unet2", tissues, False, patches)
            found = most_likely(posteriors)
            return posteriors, found, found
        posteriors = self._posteriors("unet", image, flip, patches)
        others = {"unet_parc", QUALITY} & set(self.parts)
        if others and not flip:
            # SynthSeg returns posteriors that are not smoothed if other networks follow.
            smoothed = most_likely(map(smooth, posteriors))
            sharp = most_likely(posteriors) if len(others) == 2 else smoothed
            return posteriors, smoothed, sharp
        for channel in posteriors:
            channel[...] = smooth(channel)
        found = most_likely(posteriors)
        return posteriors, found, found

    def parcellate(
        self,
        image: np.ndarray,
        cortex: np.ndarray,
        deliver: Deliver,
        patches: Patches | None = None,
    ) -> None:
        """Give posteriors of the background and the parcels, part by part.

        Args:
            image: `(x, y, z)`, prepared.
            cortex: `(x, y, z)` boolean, in the segmentation as the parcellation sees it.
            deliver: called with the place of each part, and the part, `(x, y, z, channels)`.
            patches: as from `plan`. None: found.
        """
        channels = np.stack([image, ~cortex, cortex], -1, dtype=np.float32)
        self._apply("unet_parc", channels, deliver, patches or self.plan(image.shape))

    def judge(self, groups: np.ndarray, patches: Patches | None = None) -> np.ndarray:
        """Give the scores of a segmentation.

        Args:
            groups: as from `quality_groups`.
            patches: as from `plan`. None: found.
        """
        patches, found = patches or self.plan(groups.shape[:3], quality_size=len(groups)), []
        self._apply(QUALITY, groups, lambda place, part: found.append(part), patches)
        return scores(found[0])

    def _posteriors(self, part: str, image: np.ndarray, flip: bool, patches: Patches) -> np.ndarray:
        """Posteriors of an image, or their mean with those of the mirrored image."""
        mirrored = self.labels.mirrored if flip else None
        return averaged(self.parts[part], image, patches[part], len(self.labels.names), mirrored)

    def _with_tissues(self, image: np.ndarray, patches: Patches) -> np.ndarray:
        """The image and its tissues, denoised, one-hot."""
        tissues = np.empty(image.shape, np.uint8)

        def put(place: tuple[slice, ...], part: np.ndarray) -> None:
            tissues[place] = part.argmax(-1)

        self._apply("unet", image, put, patches)
        numbers = np.arange(self.parts["l2l"].output.shape[-1])
        one_hot = (tissues[..., None] == numbers).astype(np.float32)
        self._apply("l2l", one_hot, put, patches)
        result = np.empty((*image.shape, 1 + len(numbers)), np.float32)
        result[..., 0] = image
        result[..., 1:] = tissues[..., None] == numbers
        return result

    def _apply(self, part: str, image: np.ndarray, deliver: Deliver, patches: Patches) -> None:
        begin(self._network(part), image, patches[part])(deliver)
        release()

    def _network(self, part: str) -> "keras.Model":
        # SynthSeg does not smooth parcels if scores are wanted.
        smoothed = part == "unet_parc" and QUALITY not in self.parts
        return _smoothed(self.parts[part]) if smoothed else self.parts[part]

    def _patch(self, part: str, shape: tuple[int, ...], limits: ScanBudget) -> Patch:
        if any(n % MULTIPLE for n in shape):
            return None
        patch = limits.plan(self._network(part), shape)
        whole = patch is None or all(p >= n for p, n in zip(patch, shape, strict=True))
        return None if whole else patch


@kept_with_network
def _smoothed(network: "keras.Model") -> "keras.Model":
    import keras

    return keras.Model(network.input, SmoothPosteriors(name="smooth")(network.output))


def _check(network: "keras.Model", part: str, sizes: tuple[int, int], path: Path) -> None:
    """Refuse a network of other inputs or outputs than its place needs."""
    found = network.input.shape[-1], network.output.shape[-1]
    last = "final_conv_1" if part == QUALITY else "likelihood"
    tensors = f"{part}_conv_downarm_0_0/kernel", f"{part}_{last}/kernel"
    for tensor, has, needs, what in zip(tensors, found, sizes, ("input", "output"), strict=True):
        if has != needs:
            raise ValueError(
                f"{path}: the tensor {tensor} must have {needs} {what} channels; are these "
                f"weights of another network? Received: {has}"
            )
    if MULTIPLE % network_multiple(network):
        raise ValueError(
            f"{path}: a network must have poolings that divide {MULTIPLE}. "
            f"Received: {network_multiple(network)} in {part}"
        )
