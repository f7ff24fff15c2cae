"""Small weights of the published networks, with the names and layouts of their files."""

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
