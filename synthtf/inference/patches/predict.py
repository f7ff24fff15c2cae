"""Applying a network to a volume patch by patch, with the result of the whole volume."""

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from synthtf.inference.kept import kept_with_network
from synthtf.inference.patches.graph import Node, trace

if TYPE_CHECKING:
    import keras

Tensor = Any
Box = tuple[slice, ...]
Deliver = Callable[[Box, np.ndarray], None]

_ADDITIVE = ("Sum", "Einsum")  # reductions over space that are sums over parts of it


def predict_patches(network: "keras.Model", image: np.ndarray, patch: Sequence[int]) -> np.ndarray:
    """Apply a network to an image in patches; the result is that of the whole image.

    Networks that normalise by the statistics of the whole image give another result on a patch
    than on the image, and their coarse levels see far beyond any patch. Averaging independent
    patches is therefore wrong for them: with models/heads-2mm and patches of 64 voxels that
    overlap by half or more, 33 to 38 % of the labels of a scan changed, and 4 % with the
    statistics of the whole image. With this function, 0.02 % do, from rounding.

    Here, only what takes memory is done in patches: the layers at fine resolution. Coarse levels,
    an eighth of the voxels per level, are done in one piece. The network is cut where fine
    features are pooled, and where a layer needs a sum over the image: statistics are gathered
    over all patches before a further pass uses them. Patches overlap by the reach of the
    convolutions between two cuts, and nothing is averaged.

    Args:
        network: Functional model of convolutions, poolings, normalisations and what acts on each
            voxel by itself, such as `synthtf.networks.unet`.
        image: `(*spatial)` or `(*spatial, channels)`, of a size that the network takes.
        patch: Voxels per axis of what is computed at once, overlap included. It is rounded down
            to what the network can divide; a patch larger than the image is the image.

    Returns:
        `(*spatial, channels)`, float32.

    Raises:
        ValueError: If the patch is smaller than its overlap needs, or the network has a layer for
            which this is not exact.
    """
    scale = coarse_scale(network, image.shape[: len(network.inputs[0].shape) - 2], patch)
    return patchwise(network, scale)(image, patch)


def begin_patches(
    network: "keras.Model", image: np.ndarray, patch: Sequence[int]
) -> Callable[[Deliver], None]:
    """Apply a network to an image in patches up to the last pass, which delivers the result.

    The result is then never there as a whole, and neither is what the coarse levels take while
    it is delivered.

    Args:
        network: As for `predict_patches`.
        image: As for `predict_patches`.
        patch: As for `predict_patches`.

    Returns:
        Function that does the last pass. It calls what it is given with the place of each part of
        the result and the part, `(*size, channels)`; parts do not overlap.

    Raises:
        ValueError: As for `predict_patches`.
    """
    scale = coarse_scale(network, image.shape[: len(network.inputs[0].shape) - 2], patch)
    return patchwise(network, scale).begin(image, patch)


@kept_with_network
def patchwise(network: "keras.Model", coarse: int) -> "Patchwise":
    """Cut a network, or return what was made of it before, with its compiled parts."""
    return Patchwise(network, coarse)


def coarse_scale(network: "keras.Model", shape: Sequence[int], patch: Sequence[int]) -> int:
    """Downsampling factor from which on a network is applied to a whole image.

    It is the least at which the image is no larger than a patch, as far as patches can hold the
    overlap, which doubles with it.

    Raises:
        ValueError: If a patch is smaller than what the least factor, 2, needs.
    """
    scale, fitting = 2, None
    while scale <= trace(network).coarsest:
        if all(
            p >= n or p >= least_patch(network, scale) for n, p in zip(shape, patch, strict=True)
        ):
            fitting = scale
        if all(n <= p * scale for n, p in zip(shape, patch, strict=True)):
            break
        scale *= 2
    if fitting is None:
        raise ValueError(
            f"a patch needs at least {least_patch(network, 2)} voxels per axis for this network. "
            f"Received: {tuple(patch)}"
        )
    return fitting


def least_patch(network: "keras.Model", scale: int) -> int:
    """Least patch whose inner half, along each axis, is not overlap."""
    return max(4 * _round_up(trace(network, scale).reach(scale), scale), 2 * scale)


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


@dataclass(frozen=True, eq=False)
class _Cut:
    """A tensor that is computed for the whole image before anything that needs it.

    Attributes:
        node: What computes it.
        tensor: The tensor.
        kind: "whole", from tensors that are there as a whole; "cells", put together from patches;
            "sum", over the patches.
        needs: Ids of the cuts that it follows from.
    """

    node: Node
    tensor: Tensor
    kind: str
    needs: frozenset[int]

    @property
    def wanted(self) -> tuple[Tensor, ...]:
        """What a sub-model has to give for it."""
        return self.node.inputs if self.kind == "sum" else (self.tensor,)


@dataclass(frozen=True, eq=False)
class _Part:
    """A part of the network: tensors, by their ids, from others."""

    model: "keras.Model"
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def __call__(self, values: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
        found = self.model.predict_on_batch([values[key] for key in self.inputs])
        found = found if isinstance(found, list) else [found]
        return dict(zip(self.outputs, map(np.asarray, found), strict=True))


class Patchwise:
    """A network, cut so that its fine levels are computed in patches.

    Args:
        network: See `predict_patches`.
        coarse: See `coarse_scale`.
    """

    def __init__(self, network: "keras.Model", coarse: int) -> None:
        """Cut the network.

        Raises:
            ValueError: If it cannot be cut.
        """
        self.coarse = coarse
        self.graph = trace(network, coarse)
        self.overlap = _round_up(self.graph.reach(coarse), coarse)
        self.cuts = self._find_cuts()
        self._parts: dict[tuple[int, ...], _Part] = {}

    def __call__(self, image: np.ndarray, patch: Sequence[int]) -> np.ndarray:
        """Apply the network; see `predict_patches`."""
        output = self.graph.output
        scale, ndim = self.graph.scales[id(output)], len(self.graph.image.shape) - 2
        size = [n // scale for n in image.shape[:ndim]] if scale else []
        result = np.empty((*size, output.shape[-1]), np.float32)

        def put(place: Box, part: np.ndarray) -> None:
            result[place] = part

        self.begin(image, patch)(put)
        return result

    def begin(self, image: np.ndarray, patch: Sequence[int]) -> Callable[[Deliver], None]:
        """Do all passes but the last; see `begin_patches`."""
        shape = image.shape[: len(self.graph.image.shape) - 2]
        places = self._places(shape, patch)
        channels = image if image.ndim > len(shape) else image[..., None]
        values = {id(self.graph.image): np.asarray(channels[None], np.float32)}
        pending = [cut for cut in self.cuts if cut.tensor is not self.graph.output]
        (last,) = (cut for cut in self.cuts if cut.tensor is self.graph.output)
        while pending:
            ready = [cut for cut in pending if cut.needs <= values.keys()]
            whole = [cut for cut in ready if cut.kind == "whole"]
            # The coarse levels first: what becomes ready by them joins the same pass.
            if whole:
                values |= self._compute_whole(whole, values)
                ready = whole
            else:
                values |= self._compute_patches(ready, values, shape, places)
            pending = [cut for cut in pending if cut not in ready]
            still = last.needs.union(*(cut.needs for cut in pending))
            values = {key: value for key, value in values.items() if key in still}
        return functools.partial(self._finish, last, values, shape, places)

    def _finish(
        self,
        last: _Cut,
        values: Mapping[int, np.ndarray],
        shape: Sequence[int],
        places: Sequence[tuple[Box, Box]],
        deliver: Deliver,
    ) -> None:
        """Do the last pass."""
        key = id(last.tensor)
        if last.kind == "cells":
            part, scale = self._part([last]), self.graph.scales[key]
            for place, cell in places:
                found = self._apply(part, values, place)[key]
                deliver(_at(cell, scale)[1:], found[_at(_within(place, cell), scale)][0])
            return
        if last.kind == "whole":
            result = self._compute_whole([last], values)[key]
        else:
            result = self._compute_patches([last], values, shape, places)[key]
        deliver(tuple(slice(0, n) for n in result.shape[1:-1]), result[0])

    def _find_cuts(self) -> list[_Cut]:
        graph, fine = self.graph, lambda tensor: self.graph.is_fine(tensor, self.coarse)
        sources = {id(tensor): node for node in graph.nodes for tensor in node.outputs}
        kinds = {}
        for node in graph.nodes:
            from_fine = any(map(fine, node.inputs))
            for tensor in node.outputs:
                if from_fine and not fine(tensor):
                    kinds[id(tensor)] = "cells" if graph.scales[id(tensor)] else "sum"
            if from_fine or any(map(fine, node.outputs)):
                for tensor in node.inputs:
                    if not fine(tensor) and id(tensor) in sources:
                        kinds.setdefault(id(tensor), "whole")
        kinds.setdefault(id(graph.output), "cells" if fine(graph.output) else "whole")
        stops = {id(graph.image), *kinds}
        cuts = []
        for node in graph.nodes:
            for tensor in node.outputs:
                if id(tensor) not in kinds:
                    continue
                kind = kinds[id(tensor)]
                if kind == "sum" and type(node.operation).__name__ not in ("Moments", *_ADDITIVE):
                    raise ValueError(
                        "the network cannot be applied in patches because of "
                        f"{node.operation.name!r}, which is no sum over the image: give it the "
                        "whole volume"
                    )
                cuts.append(_Cut(node, tensor, kind, _needs(node.inputs, sources, stops)))
        return cuts

    def _part(self, cuts: Sequence[_Cut]) -> "_Part":
        """Part of the network that gives what cuts want from what they need."""
        import keras

        from synthtf import xla

        name = tuple(id(cut.tensor) for cut in cuts)
        if name in self._parts:
            return self._parts[name]
        everything = {id(t): t for node in self.graph.nodes for t in (*node.inputs, *node.outputs)}
        inputs = sorted(frozenset().union(*(cut.needs for cut in cuts)))
        wanted = {id(tensor): tensor for cut in cuts for tensor in cut.wanted}
        model = keras.Model([everything[key] for key in inputs], list(wanted.values()))
        self._parts[name] = _Part(xla.choose(model), tuple(inputs), tuple(wanted))
        return self._parts[name]

    def _compute_whole(
        self, cuts: Sequence[_Cut], values: Mapping[int, np.ndarray]
    ) -> dict[int, np.ndarray]:
        part = self._part(cuts)
        return part({key: values[key] for key in part.inputs})

    def _compute_patches(
        self,
        cuts: Sequence[_Cut],
        values: Mapping[int, np.ndarray],
        shape: Sequence[int],
        places: Sequence[tuple[Box, Box]],
    ) -> dict[int, np.ndarray]:
        """One pass over all patches."""
        part = self._part(cuts)
        scales, channels = self.graph.scales, self.graph.channels
        results = {}
        for place, cell in places:
            found = self._apply(part, values, place)
            for cut in cuts:
                key = id(cut.tensor)
                if cut.kind == "sum":
                    share = math.prod(c.stop - c.start for c in cell) / math.prod(shape)
                    inner = [
                        found[id(tensor)][_at(_within(place, cell), scales[id(tensor)])]
                        for tensor in cut.wanted
                    ]
                    results[key] = results.get(key, 0) + _sum_over(cut.node.operation, inner, share)
                    continue
                if key not in results:
                    size = [n // scales[key] for n in shape]
                    results[key] = np.empty((1, *size, channels[key]), found[key].dtype)
                inner = _at(_within(place, cell), scales[key])
                results[key][_at(cell, scales[key])] = found[key][inner]
        for cut in cuts:
            if cut.kind == "sum":
                results[id(cut.tensor)] = _finish_sum(cut.node.operation, results[id(cut.tensor)])
        return results

    def _apply(
        self, part: _Part, values: Mapping[int, np.ndarray], place: Box
    ) -> dict[int, np.ndarray]:
        """Apply a part of the network to a part of the image."""
        scales = self.graph.scales
        return part({key: values[key][_at(place, scales[key])] for key in part.inputs})

    def _places(self, shape: Sequence[int], patch: Sequence[int]) -> list[tuple[Box, Box]]:
        """Patches, all of one size, and the cells of them that together make the image."""
        axes = [
            _axis_places(n, min(p, n) // self.coarse * self.coarse, self.overlap, self.coarse)
            for n, p in zip(shape, patch, strict=True)
        ]
        return [tuple(zip(*axis, strict=True)) for axis in itertools.product(*axes)]


def _axis_places(size: int, patch: int, overlap: int, unit: int) -> list[tuple[slice, slice]]:
    if patch >= size:
        return [(slice(0, size), slice(0, size))]
    step = patch - 2 * overlap
    if step < unit:
        raise ValueError(
            f"a patch of {patch} voxels is all overlap; it needs at least {2 * overlap + unit}"
        )
    places, stop = [], 0
    while stop < size:
        # At an end of the image there is nothing to overlap with.
        start = min(max(stop - overlap, 0), size - patch)
        last = size if start + patch == size else start + patch - overlap
        places.append((slice(start, start + patch), slice(stop, last)))
        stop = last
    return places


def _needs(
    tensors: Sequence[Tensor], sources: Mapping[int, Node], stops: set[int]
) -> frozenset[int]:
    """Ids of the cuts, and of the image, that tensors follow from."""
    found, seen, todo = set(), set(), list(tensors)
    while todo:
        tensor = todo.pop()
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        if id(tensor) in stops:
            found.add(id(tensor))
        else:
            todo.extend(sources[id(tensor)].inputs)
    return frozenset(found)


def _at(box: Box, scale: int) -> Box:
    """Where a part of the image lies in a tensor; all of it if that has no spatial axes."""
    parts = [slice(p.start // scale, p.stop // scale) for p in box] if scale else []
    return (slice(None), *parts)


def _within(place: Box, cell: Box) -> Box:
    pairs = zip(place, cell, strict=True)
    return tuple(slice(c.start - p.start, c.stop - p.start) for p, c in pairs)


def _sum_over(operation: Any, arrays: Sequence[np.ndarray], share: float) -> np.ndarray:
    """What a part of the image adds to a sum over it, in double precision."""
    import keras

    value = keras.ops.convert_to_numpy(operation(*map(keras.ops.convert_to_tensor, arrays)))
    value = value.astype(np.float64)
    if type(operation).__name__ == "Moments":
        mean, variance = value[:, 0], value[:, 1]
        value = share * np.stack([mean, variance + mean**2], axis=1)
    return value


def _finish_sum(operation: Any, total: np.ndarray) -> np.ndarray:
    if type(operation).__name__ == "Moments":
        mean, square = total[:, 0], total[:, 1]
        total = np.stack([mean, np.maximum(square - mean**2, 0)], axis=1)
    return total.astype(np.float32)
