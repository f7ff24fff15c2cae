"""A run that an earlier version wrote opens, and its weights fit its architecture."""

from pathlib import Path

import numpy as np

from synthtf.networks import UNetConfig, unet
from synthtf.runs import Run

FOLDER = Path(__file__).parent / "fine_run"


def posteriors(network):
    image = np.random.default_rng(0).random((1, 16, 16, 16, 1)).astype("float32")
    return np.asarray(network.predict_on_batch(image))


def test_a_stored_run_gives_the_posteriors_that_it_gave():
    run = Run.load(FOLDER)
    assert (run.task, run.multiple, run.output_labels) == ("segmentation", 4, (0, 2, 4, 41))
    expected = np.load(FOLDER / "posteriors.npy")
    assert np.ptp(expected[..., 1]) > 0.1
    np.testing.assert_allclose(posteriors(run.task_model), expected, atol=1e-4)


def test_its_weights_fit_the_network_that_its_facts_describe():
    run = Run.load(FOLDER)
    channel = run.output_labels.index
    pairs = [(channel(left), channel(right)) for left, right in run.output_pairs]
    config = UNetConfig.from_dict(run.metadata["network"])
    network = unet(len(run.output_labels), len(run.shape), config, pairs=pairs)
    network.set_weights(run.task_model.get_weights())
    np.testing.assert_allclose(posteriors(network), posteriors(run.task_model), atol=1e-6)
