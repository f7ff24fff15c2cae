import types

import numpy as np
import pytest

from synthtf.data.label_table import LabelTable


@pytest.fixture
def contrast_run():
    """A run whose network tells three intensities apart: 0, 0.5 and 1 are labels 0, 10, 20."""
    import keras

    inputs = keras.Input((None, None, None, 1))
    centres = np.array([0.0, 0.5, 1.0], np.float32)
    posteriors = keras.ops.softmax(-100 * (inputs - centres) ** 2)
    return types.SimpleNamespace(
        folder="runs/contrast",
        name="runs/contrast",
        task="segmentation",
        spacing=(1.0, 1.0, 1.0),
        shape=(128, 128, 128),
        multiple=8,
        table=LabelTable.from_labels([0, 10, 20]),
        metadata={},
        output_labels=(0, 10, 20),
        output_pairs=(),
        volume_shares={},
        task_model=keras.Model(inputs, posteriors),
    )


@pytest.fixture
def side_run(contrast_run):
    """A run whose network knows left from right: bright voxels are 10 on the left, 20 else."""
    import keras

    inputs = keras.Input((None, None, None, 1))
    # How much of the volume lies before a voxel, along the first axis.
    ones = keras.ops.ones_like(inputs)
    position = keras.ops.cumsum(ones, axis=1) / keras.ops.sum(ones, axis=1, keepdims=True)
    bright = keras.ops.cast(inputs > 0.5, "float32")
    left = keras.ops.cast(position < 0.501, "float32")
    channels = [1 - bright, bright * left, bright * (1 - left)]
    posteriors = keras.ops.concatenate(channels, axis=-1)
    fields = vars(contrast_run) | {
        "task_model": keras.Model(inputs, posteriors),
        "output_pairs": ((10, 20),),
    }
    return types.SimpleNamespace(**fields)
