"""The graph of a network: its operations in order, and the resolution of each tensor."""

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from synthtf.inference.kept import kept_with_network

if TYPE_CHECKING:
    import keras

Tensor = Any

# Layers and operations that act on each voxel by itself where their `axis`, if any, is the last.
_POINTWISE = {
    *("Activation", "ReLU", "LeakyReLU", "ELU", "Softmax", "Sigmoid", "Dropout", "Identity"),
    *("BatchNormalization", "LayerNormalization", "Concatenate", "Split", "Sum", "Cast"),
    *("Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Average", "Maximum", "Minimum"),
    *("Argmax", "OneHot"),
    *("Square", "Power", "Sqrt", "Exp", "Log", "Negative", "Absolute", "Standardize", "Rescaling"),
}


@dataclass(frozen=True, eq=False)
class Node:
    """One call of a layer or operation."""

    operation: Any
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


@dataclass(frozen=True, eq=False)
class Graph:
    """What a functional network of one image computes.

    Attributes:
        image: Symbolic input, `(batch, *spatial, channels)`.
        output: Symbolic output.
        nodes: All calls, in an order in which they can be run.
        scales: By the `id` of a tensor, how many voxels of the image one of its voxels spans
            along each axis; 0 for a tensor without spatial axes.
        channels: By the `id` of a tensor, its values per voxel, or their number if it has no
            spatial axes.
    """

    image: Tensor
    output: Tensor
    nodes: tuple[Node, ...]
    scales: dict[int, int]
    channels: dict[int, int]

    @property
    def coarsest(self) -> int:
        """Largest number of voxels of the image that a voxel spans along an axis."""
        return max(self.scales.values())

    def _scale(self, tensors: tuple[Tensor, ...]) -> int:
        return max((self.scales[id(tensor)] for tensor in tensors), default=0)

    def is_fine(self, tensor: Tensor, coarse: int) -> bool:
        """Whether a tensor has a finer resolution than `coarse`."""
        return 0 < self.scales[id(tensor)] < coarse

    def reach(self, coarse: int) -> int:
        """Voxels of the image up to which a fine tensor depends on the tensors that it comes from.

        Args:
            coarse: Scale from which on tensors count as given, as do sums over the image.

        Raises:
            ValueError: If that is not known of some operation.
        """
        reaches = {id(self.image): 0}
        for node in self.nodes:
            fine = [tensor for tensor in node.inputs if self.is_fine(tensor, coarse)]
            if not fine and not any(self.is_fine(tensor, coarse) for tensor in node.outputs):
                continue
            before = max((reaches[id(tensor)] for tensor in fine), default=0)
            scale = max(self.scales[id(tensor)] for tensor in node.inputs)
            after = before
            if self._scale(node.outputs):  # no sum over the image
                after += scale * _reach(node.operation, len(node.inputs[0].shape))
            reaches.update((id(tensor), after) for tensor in node.outputs)
        return max(reaches.values())


def trace(network: "keras.Model", coarse: int = 1) -> Graph:
    """Record the graph of a network.

    Args:
        network: Functional model of one image of any size.
        coarse: Up to this scale, a group normalisation becomes two operations, `moments` and one
            that takes their result.

    Raises:
        ValueError: If the network is not a functional model of one image and one output.
    """
    return _trace(network, coarse)


@kept_with_network
def _trace(network: "keras.Model", coarse: int) -> Graph:
    import keras

    from synthtf.inference.patches.normalization import Moments, Standardize

    if isinstance(network, keras.Sequential) or not hasattr(network, "operations"):
        raise ValueError(f"expected a functional Keras model. Received: {type(network).__name__}")
    if len(network.inputs) != 1 or len(network.outputs) != 1:
        raise ValueError(
            "expected a network of one image and one output. Received "
            f"{len(network.inputs)} inputs and {len(network.outputs)} outputs"
        )
    ndim = len(network.inputs[0].shape) - 2
    size = 2 * 2 ** sum("Pooling" in type(layer).__name__ for layer in network.layers)
    channels = network.inputs[0].shape[-1]
    image = keras.Input((None,) * ndim + (channels,), dtype=network.inputs[0].dtype, name="image")
    example = keras.KerasTensor((1, *(size,) * ndim, channels), network.inputs[0].dtype)
    nodes, examples = [], {id(image): example}
    graph = Graph(image, image, (), {id(image): 1}, {id(image): channels})

    def record(operation: Any, *args: Any, **kwargs: Any) -> Any:
        result = operation(*args, **kwargs)
        given, known = keras.tree.map_structure(
            lambda value: examples.get(id(value), value), (args, kwargs)
        )
        shapes = operation.compute_output_spec(*given, **known)
        outputs = keras.tree.flatten(result)
        for tensor, shape in zip(outputs, keras.tree.flatten(shapes), strict=True):
            examples[id(tensor)] = shape
            spatial = None in tensor.shape[1:]
            graph.scales[id(tensor)] = size // shape.shape[1] if spatial else 0
            values = shape.shape[-1:] if spatial else shape.shape[1:]
            graph.channels[id(tensor)] = int(np.prod(values))
        inputs = [v for v in keras.tree.flatten((args, kwargs)) if id(v) in examples]
        nodes.append(Node(operation, tuple(inputs), tuple(outputs)))
        return result

    def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        if is_group_normalization(operation) and graph.is_fine(args[0], coarse):
            moments = record(Moments(), args[0])
            return record(Standardize(operation), args[0], moments)
        return record(operation, *args, **kwargs)

    copy = keras.models.clone_model(
        network, image, clone_function=lambda layer: layer, call_function=call
    )
    return dataclasses.replace(graph, output=copy.outputs[0], nodes=tuple(nodes))


def is_group_normalization(operation: Any) -> bool:
    """Whether a layer normalises by statistics of each image, as instance normalisation does."""
    return type(operation).__name__ == "GroupNormalization"


def _reach(operation: Any, rank: int) -> int:
    """Voxels to each side that an operation looks at; a layer may say it, as `reach`."""
    kind = type(operation).__name__
    known = False
    reach = 0
    if kind.startswith("Conv") and not kind.endswith("Transpose"):
        padded = operation.padding == "same" or set(operation.kernel_size) == {1}
        known = set(operation.strides) == {1} and padded
        pairs = zip(operation.kernel_size, operation.dilation_rate, strict=True)
        reach = max(kernel // 2 * dilation for kernel, dilation in pairs)
    elif "Pooling" in kind and "Global" not in kind:
        known = all(p <= s for p, s in zip(operation.pool_size, operation.strides, strict=True))
    elif kind.startswith("UpSampling"):
        known = getattr(operation, "interpolation", "nearest") == "nearest"
    elif kind == "Einsum":
        first, result = operation.subscripts.replace(" ", "").split("->")
        known = result.startswith(first.split(",")[0][: rank - 1])
    elif hasattr(operation, "reach"):
        known, reach = True, operation.reach
    elif kind in _POINTWISE:
        axis = getattr(operation, "axis", -1)
        axes = axis if isinstance(axis, tuple | list) else (axis,)
        known = all(axis in (-1, rank - 1) for axis in axes)
    if not known:
        raise ValueError(
            f"the network cannot be applied in patches because of {operation.name!r}, a {kind}: "
            "give it the whole volume"
        )
    return reach
