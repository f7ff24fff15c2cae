"""Small weights of the published networks, with the names and layouts of their files."""

import h5py
import numpy as np


def strip_state(encoder=((2, 3), (3, 2)), decoder=((4, 3), (2, 2)), final=(3, 1), ndim=3, seed=0):
    """SynthStrip: `encoder.0.0.conv.weight` and so on, outputs before inputs."""
    rng = np.random.default_rng(seed)
    state, channels, skips = {}, 1, []

    def add(name, outputs):
        nonlocal channels
        scale = 1 / np.sqrt(channels * 3**ndim)
        kernel = rng.normal(scale=scale, size=(outputs, channels, *[3] * ndim))
        state[f"{name}.conv.weight"] = kernel.astype("float32")
        state[f"{name}.conv.bias"] = rng.normal(size=outputs).astype("float32")
        channels = outputs

    for level, features in enumerate(encoder):
        for index, outputs in enumerate(features):
            add(f"encoder.{level}.{index}", outputs)
        skips.append(channels)
    for level, features in enumerate(decoder):
        for index, outputs in enumerate(features):
            add(f"decoder.{level}.{index}", outputs)
        channels += skips.pop()
    for index, outputs in enumerate(final):
        add(f"remaining.{index}", outputs)
    return state


def synthsr_tensors(channels=1, outputs=1, features=3, levels=2, seed=0):
    """SynthSR: layer and name to tensor, inputs before outputs."""
    rng = np.random.default_rng(seed)
    tensors, skips = {}, []

    def conv(name, inputs, count, size=3):
        kernel = rng.normal(
            scale=(2 / (inputs * size**3)) ** 0.5, size=(*[size] * 3, inputs, count)
        )
        tensors[f"unet_{name}/kernel"] = kernel.astype("float32")
        tensors[f"unet_{name}/bias"] = rng.normal(scale=0.1, size=count).astype("float32")
        return count

    def norm(name, count):
        for part in ("gamma", "beta", "moving_mean", "moving_variance"):
            tensors[f"unet_{name}/{part}"] = rng.uniform(0.5, 1, count).astype("float32")

    for level in range(levels):
        for index in range(2):
            channels = conv(f"conv_downarm_{level}_{index}", channels, features * 2**level)
        skips.append(channels)
        norm(f"bn_down_{level}", channels)
    for step in range(levels - 1):
        level = levels - 2 - step
        channels += skips[level]
        for index in range(2):
            channels = conv(f"conv_uparm_{levels + step}_{index}", channels, features * 2**level)
        norm(f"bn_up_{step}", channels)
    conv("likelihood", channels, outputs, 1)
    return tensors


def save_synthsr(path, tensors):
    """Write tensors as legacy Keras does."""
    with h5py.File(path, "w") as file:
        for name, value in tensors.items():
            layer, _, tensor = name.partition("/")
            file[f"{layer}/{layer}/{tensor}:0"] = value


def wmh_state(encoder=((2, 8), (8, 16)), decoder=((4, 3),), outputs=39, ndim=3, seed=0):
    """WMH-SynthSeg: `encoders.0.basic_module.SingleConv1.conv.weight` and so on."""
    rng = np.random.default_rng(seed)
    state, channels, skips = {}, 1, []
    blocks = [("encoders", level, pair) for level, pair in enumerate(encoder)]
    blocks += [("decoders", level, pair) for level, pair in enumerate(decoder)]
    for part, level, pair in blocks:
        if part == "decoders":
            channels += skips.pop()
        for index, count in enumerate(pair, start=1):
            name = f"{part}.{level}.basic_module.SingleConv{index}"
            state[f"{name}.groupnorm.weight"] = rng.uniform(0.5, 1.5, channels).astype("float32")
            state[f"{name}.groupnorm.bias"] = rng.normal(size=channels).astype("float32")
            scale = (2 / (channels * 3**ndim)) ** 0.5
            kernel = rng.normal(scale=scale, size=(count, channels, *[3] * ndim))
            state[f"{name}.conv.weight"] = kernel.astype("float32")
            channels = count
        if part == "encoders" and level < len(encoder) - 1:
            skips.append(channels)
    state["final_conv.weight"] = rng.normal(size=(outputs, channels, *[1] * ndim)).astype("float32")
    state["final_conv.bias"] = rng.normal(size=outputs).astype("float32")
    return state


def synthmorph_detector(widths=(3, 2), outputs=5, seed=0):
    """SynthMorph's detector: tensors in the order of the network, by layer and name."""
    rng = np.random.default_rng(seed)
    tensors, channels = [], 1
    for index, count in enumerate((*widths, outputs)):
        kernel = rng.normal(scale=(2 / (27 * channels)) ** 0.5, size=(3, 3, 3, channels, count))
        tensors.append((f"conv3d_{index}/kernel:0", kernel))
        tensors.append((f"conv3d_{index}/bias:0", rng.uniform(0, 0.1, count)))
        channels = count
    return tensors


def synthmorph_hypernetwork(encoder=(3,), decoder=(2, 4), units=4, dense=2, seed=0):
    """SynthMorph's deformable network, likewise."""
    rng = np.random.default_rng(seed)
    tensors, before = [], 1
    for index in range(dense):
        tensors.append((f"dense_{index}/kernel:0", rng.normal(size=(before, units))))
        tensors.append((f"dense_{index}/bias:0", rng.uniform(0, 1, units)))
        before = units
    channels, skips = 2, []
    for index, count in enumerate((*encoder, *decoder, 3)):
        if len(encoder) < index <= 2 * len(encoder):
            channels += skips.pop()
        size = 27 * channels * count
        scale = (2 / (27 * channels)) ** 0.5
        for name, value in (
            ("hyperkernel_kernel", rng.normal(scale=scale / units, size=(units, size))),
            ("hyperkernel_bias", rng.normal(scale=scale, size=size)),
            ("hyperbias_kernel", rng.normal(scale=0.1, size=(units, count))),
            ("hyperbias_bias", rng.normal(scale=0.1, size=count)),
        ):
            tensors.append((f"hyper_conv_{index}/{name}:0", value))
        if index < len(encoder):
            skips.append(count)
        channels = count
    return tensors


def save_in_order(path, *networks, nested=True):
    """Write networks as legacy Keras does: a group each if nested, else a group per layer."""
    with h5py.File(path, "w") as file:
        layers = {"input_1": []}
        for number, tensors in enumerate(networks):
            for name, value in tensors:
                layer = f"model_{number}" if nested else name.partition("/")[0]
                layers.setdefault(layer, []).append(name)
                file[f"{layer}/{name}"] = np.asarray(value, "float32")
        file.attrs["layer_names"] = np.array(list(layers), "S")
        for layer, names in layers.items():
            file.require_group(layer).attrs["weight_names"] = np.array(names, "S")
