"""How much memory a prediction takes, and how to stay below a limit."""

import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from synthtf.inference.patches.graph import Graph, Node, Tensor, trace
from synthtf.inference.patches.predict import coarse_scale, least_patch, patchwise

if TYPE_CHECKING:
    import keras

SCAN_BYTES = 40
"""Bytes per voxel of a scan to read it, to conform it, and to bring labels back to its grid."""

# Measured over estimated, on TensorFlow and two cores: see `network_bytes`.
_ALLOWANCE = 1.2
_PER_PART = 15e6  # bytes of each part of a network that is compiled by itself
# What another network freed does not all fit. Measured: SynthSeg-robust at 128 voxels per axis.
_FRAGMENTS = 1.15
_STEP = 16  # voxels between the patches that are tried


def network_bytes(
    network: "keras.Model",
    shape: Sequence[int],
    patch: Sequence[int] | None = None,
    kept: int = 1,
    begun: int = 0,
) -> int:
    """Estimate the memory that applying a network to an image adds to a process.

    The tensors that are alive at the same time are added up over the network, in its order, with
    room for a second output of the layer at work. A fifth is added for what the backend needs.
    Measured on TensorFlow, on two processor cores, with U-Nets of 8 to 24 features on 80 x 96 x
    80 to 160 voxels per axis, the estimate lay between 1 % below and 19 % above the peak of the
    process over its size before; in patches of 48 to 96 voxels, between 7 % and 70 % above it.
    GPUs and JAX were not measured.

    Args:
        network: Functional model of one image.
        shape: Voxels per axis that it is given.
        patch: Voxels per axis of the patches; None for the whole image.
        kept: Results of this size that are there besides.
        begun: Images, such as a scan and its mirror image, for which `begin_patches` is called
            before the results that are kept are there; they are in memory already, as float32.
            0: results are put together.

    Returns:
        Bytes, the result included.

    Raises:
        ValueError: If the network is of another kind, or cannot be applied in such patches.
    """
    graph = trace(network)
    result = _bytes_of(graph, graph.output, shape)
    if patch is None or all(p >= n for p, n in zip(patch, shape, strict=True)):
        # The result of the scan stays while the mirrored scan is predicted.
        return int(_ALLOWANCE * _peak(graph, graph.nodes, shape) + kept * result)
    coarse = coarse_scale(network, shape, patch)
    cut_network = patchwise(network, coarse)
    graph = cut_network.graph
    fine = [
        node
        for node in graph.nodes
        if any(graph.is_fine(tensor, coarse) for tensor in (*node.inputs, *node.outputs))
    ]
    rest = [node for node in graph.nodes if node not in fine]
    inner = [min(n, p) for n, p in zip(shape, patch, strict=True)]
    fine_peak = int(_ALLOWANCE * _peak(graph, fine, inner))
    working = max(fine_peak, int(_ALLOWANCE * _peak(graph, rest, shape)))
    stored = sum(
        _bytes_of(graph, cut.tensor, shape)
        for cut in cut_network.cuts
        if cut.tensor is not graph.output and cut.kind != "sum"
    )
    parts = _PER_PART * (1 + len(cut_network.cuts) / 2)
    if not begun:
        image = 2 * _bytes_of(graph, graph.image, shape)
        return int(working + stored + image + parts + (1 + kept) * result)
    (last,) = (cut for cut in cut_network.cuts if cut.tensor is graph.output)
    waiting = sum(
        _bytes_of(graph, cut.tensor, shape)
        for cut in cut_network.cuts
        if id(cut.tensor) in last.needs
    )
    first_passes = working + stored + (begun - 1) * waiting
    last_pass = fine_peak + kept * result + begun * waiting
    return int(max(first_passes, last_pass) + parts)


class MemoryBudget:
    """How much memory predictions may take.

    Args:
        patch: Voxels per axis, or for all axes, of the patches that networks are applied to; None
            for whole volumes.
        gigabytes: What the process may hold, in 10⁹ bytes. Without `patch`, the whole volume is
            predicted if it fits, else in the largest patches that do.
        report: Called with a line on the memory that is needed, once, and again for more.

    Raises:
        ValueError: If a size is not positive.
    """

    def __init__(
        self,
        patch: int | Sequence[int] | None = None,
        gigabytes: float | None = None,
        report: Callable[[str], None] | None = None,
    ) -> None:
        """Check the limits."""
        if patch is not None:
            patch = (patch,) * 3 if isinstance(patch, int) else tuple(patch)
            if len(patch) != 3 or min(patch) < 1:
                raise ValueError(
                    f"a patch has one or three sizes of at least 1 voxel. Received: {patch}"
                )
        if gigabytes is not None and not (math.isfinite(gigabytes) and gigabytes > 0):
            raise ValueError(f"memory is limited to more than 0 GB. Received: {gigabytes}")
        self.patch, self.gigabytes, self.report = patch, gigabytes, report
        self._reported = 0.0
        self._base = math.inf  # bytes that the process holds beside scans
        self._planned: dict[tuple, tuple[int, ...] | None] = {}

    def for_scan(self, scan_bytes: int, kept: int = 1, begun: int = 0) -> "ScanBudget":
        """Budget of one scan.

        A backend keeps memory of earlier scans, which serves this one: it is not counted twice.

        Args:
            scan_bytes: What the scan and its results take by themselves.
            kept: As in `ScanBudget`.
            begun: As in `ScanBudget`.

        Raises:
            ValueError: If that is too much already.
        """
        resident = _resident()
        self._base = min(self._base, resident - scan_bytes)
        spare = int(resident - scan_bytes - self._base)
        needed = (resident - spare + scan_bytes) / 1e9
        if self.gigabytes is not None and needed > self.gigabytes:
            raise ValueError(
                f"{self.gigabytes:g} GB are too little for a scan of this size: it needs "
                f"{_above(needed)} GB, whatever the patch; crop it or resample it"
            )
        return ScanBudget(self, scan_bytes, kept, begun, spare)

    def announce(self, gigabytes: float, what: str) -> None:
        """Say what is needed, unless as much has been said before."""
        if self.report is not None and gigabytes > 1.02 * self._reported:
            self._reported = gigabytes
            self.report(f"about {gigabytes:.1f} GB of memory for {what}")


@dataclass(frozen=True, eq=False)
class ScanBudget:
    """What is left of a budget for the network.

    Attributes:
        budget: The budget.
        scan_bytes: What the scan and its results take by themselves.
        kept: Results of the network that are there at once; see `network_bytes`.
        begun: Images that are begun at once; see `network_bytes`.
        spare: Bytes that the process holds and does not need.
        earlier: Bytes that results of networks that run before this one will take; None if none
            runs before it.
    """

    budget: MemoryBudget
    scan_bytes: int
    kept: int = 1
    begun: int = 0
    spare: int = 0
    earlier: int | None = None

    def plan(self, network: "keras.Model", shape: Sequence[int]) -> tuple[int, ...] | None:
        """Choose the patches for an image, and report the memory.

        Args:
            network: The network.
            shape: Voxels per axis, as the network is given them.

        Returns:
            Voxels per axis of the patches, or None for the whole image.

        Raises:
            ValueError: If nothing fits; says how much would.
        """
        budget = self.budget
        if budget.gigabytes is None and budget.report is None:
            return budget.patch
        key = (id(network), tuple(shape))
        if key in budget._planned:
            return budget._planned[key]
        resident = _resident() - self.spare
        if budget.patch is None and budget.gigabytes is None and not _is_known(network):
            return None
        if budget.patch is not None or budget.gigabytes is None:
            patch, needed = budget.patch, self._needed(network, shape, budget.patch, resident)
            if budget.gigabytes is not None and needed > budget.gigabytes:
                raise ValueError(
                    f"{budget.gigabytes:g} GB are too little for patches of {_times(patch)} "
                    f"voxels: they need {_above(needed)} GB"
                )
        else:
            patch, needed = self._largest(network, shape, resident)
        pieces = "" if patch is None else f", in patches of {_times(patch)}"
        budget.announce(needed, f"{_times(shape)} voxels{pieces}")
        budget._planned[key] = patch
        return patch

    def _largest(
        self, network: "keras.Model", shape: Sequence[int], resident: int
    ) -> tuple[tuple[int, ...] | None, float]:
        limit, least = self.budget.gigabytes, math.inf
        for patch in (None, *_patches(network, shape)):
            needed = self._needed(network, shape, patch, resident)
            if needed <= limit:
                return patch, needed
            least = min(least, needed)
        raise ValueError(
            f"{limit:g} GB are too little for {_times(shape)} voxels: even in patches, this "
            f"network needs {_above(least)} GB"
        )

    def _needed(
        self,
        network: "keras.Model",
        shape: Sequence[int],
        patch: Sequence[int] | None,
        resident: int,
    ) -> float:
        needed = network_bytes(network, shape, patch, self.kept, self.begun)
        working = max(self.scan_bytes, needed)
        if self.earlier is not None:
            working = _FRAGMENTS * working + self.earlier
        return (resident + working) / 1e9


@contextmanager
def explain_exhaustion(shape: Sequence[int], patch: Sequence[int] | None) -> Iterator[None]:
    """Turn what a backend raises when memory runs out into one line that says what to do.

    Raises:
        MemoryError: In place of the backend's exception.
    """
    try:
        yield
    except Exception as error:
        if not is_exhaustion(error):
            raise
        tried = max(shape if patch is None else patch)
        smaller = max(_STEP, tried // 2 // _STEP * _STEP)
        what = f"{_times(shape)} voxels" + ("" if patch is None else f" in patches of {tried}")
        raise MemoryError(
            f"out of memory: {what} do not fit; choose smaller patches (--patch {smaller}), or "
            "give the memory there is (--max-memory)"
        ) from error


def is_exhaustion(error: BaseException) -> bool:
    """Whether an exception of Python, TensorFlow or JAX says that memory has run out."""
    text = str(error)
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "ResourceExhaustedError"
        or "RESOURCE_EXHAUSTED" in text
        or "OOM when" in text
    )


def release() -> None:
    """Give memory that was freed back to the system, where the C library would keep it.

    glibc keeps freed blocks of up to 32 MB, as are the tensors of a patch: gigabytes, in the end.
    """
    import ctypes

    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def _is_known(network: "keras.Model") -> bool:
    """Whether the memory of a network can be estimated."""
    try:
        trace(network)
    except ValueError:
        return False
    return True


def _patches(network: "keras.Model", shape: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Cubes from the largest to the least; none if the network takes whole volumes only."""
    try:
        least = least_patch(network, 2)
    except ValueError:
        return
    for size in range((max(shape) - 1) // _STEP * _STEP, 0, -_STEP):
        if size >= least:
            yield (size,) * len(shape)


def _peak(graph: Graph, nodes: Sequence[Node], shape: Sequence[int]) -> int:
    """Most bytes of tensors that are alive at once while nodes run one after the other."""
    last = {id(tensor): i for i, node in enumerate(nodes) for tensor in node.inputs}
    last[id(graph.output)] = len(nodes)
    made = {id(tensor) for node in nodes for tensor in node.outputs}
    given = {id(t): t for node in nodes for t in node.inputs if id(t) not in made}
    alive = peak = sum(_bytes_of(graph, tensor, shape) for tensor in given.values())
    for i, node in enumerate(nodes):
        added = sum(_bytes_of(graph, tensor, shape) for tensor in node.outputs)
        alive += added
        peak = max(peak, alive + added)
        unused = [tensor for tensor in node.outputs if id(tensor) not in last]
        done = {id(t): t for t in node.inputs if last[id(t)] == i}
        alive -= sum(_bytes_of(graph, tensor, shape) for tensor in (*done.values(), *unused))
    return peak


def _bytes_of(graph: Graph, tensor: Tensor, shape: Sequence[int]) -> int:
    scale = graph.scales[id(tensor)]
    voxels = math.prod(-(-n // scale) for n in shape) if scale else 1
    # NumPy knows no bfloat16; all types that networks compute in have their bits in the name.
    bits = int("".join(filter(str.isdigit, tensor.dtype)) or 8)
    return voxels * graph.channels[id(tensor)] * bits // 8


def _resident() -> int:
    """Bytes that the process holds now; where that is not known, the most it ever held."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _above(gigabytes: float) -> str:
    return f"{math.ceil(10 * gigabytes) / 10:.1f}"


def _times(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
