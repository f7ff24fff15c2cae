"""Networks one after the other, as one network."""

from typing import Any

import keras
from keras import ops

Tensor = Any


def chain_networks(
    tissues: keras.Model, denoiser: keras.Model, regions: keras.Model, name: str = "chain"
) -> keras.Model:
    """Join the three networks of SynthSeg-robust into one, whose file loads without this package.

    The most likely tissue of each voxel goes to the denoiser, and what that finds most likely to
    the network of regions, along with the image. The layers of the last network keep their names,
    so that it is still known which of them gives the logits.

    Args:
        tissues: model from images to posteriors of tissues.
        denoiser: model from one-hot tissues to their posteriors.
        regions: model from images and one-hot tissues, one behind the other, to posteriors.
        name: name of the model.

    Returns:
        Model from images to the posteriors of `regions`, with copies of all weights.

    Raises:
        ValueError: if the channels do not fit.

    Reference:
        Billot et al., Robust machine learning segmentation for large-scale analysis of
        heterogeneous clinical brain MRI datasets, PNAS 2023.
    """
    image = keras.Input(tissues.input.shape[1:], name="image")
    channels, count = image.shape[-1], tissues.output.shape[-1]
    found = [denoiser.input.shape[-1], denoiser.output.shape[-1], regions.input.shape[-1]]
    if found != [count, count, channels + count]:
        raise ValueError(
            f"`denoiser` must take and give {count} channels, as `tissues` gives, and `regions` "
            f"take {channels + count}. Received: {found}"
        )
    labels = most_likely(_apply(tissues, image, "tissues_"))
    labels = most_likely(_apply(denoiser, labels, "denoiser_"))
    output = _apply(regions, ops.concatenate([image, labels], axis=-1), "")
    return keras.Model(image, output, name=name)


def most_likely(posteriors: Tensor) -> Tensor:
    """Give posteriors of 1 to the most likely class of each voxel, and of 0 to the others."""
    return ops.one_hot(ops.argmax(posteriors, axis=-1), posteriors.shape[-1], dtype="float32")


def _apply(network: keras.Model, x: Tensor, prefix: str) -> Tensor:
    """Apply copies of the layers of a network, and give them its weights."""
    copies: dict[int, Any] = {}

    def copy(operation: Any) -> Any:
        if id(operation) not in copies:
            config = operation.get_config()
            named = f"{prefix}{config['name']}" if "name" in config else None
            config = {**config, "name": named} if named else config
            copies[id(operation)] = type(operation).from_config(config)
        return copies[id(operation)]

    output = network._run_through_graph(x, operation_fn=copy)
    for operation in network.operations:
        if getattr(operation, "weights", None):
            copies[id(operation)].set_weights(operation.get_weights())
    return output
