import numpy as np
import pytest

from synthtf.inference import prediction
from synthtf.inference.prediction import LastPrediction, predict


@pytest.fixture
def calls(monkeypatch):
    shapes = []
    apply = prediction.apply_network

    def counted(network, image, budget=None):
        shapes.append(image.shape)
        return apply(network, image, budget)

    monkeypatch.setattr(prediction, "apply_network", counted)
    return shapes


def test_the_last_prediction_is_not_made_again(contrast_run, calls):
    rng = np.random.default_rng(0)
    image, other = rng.random((2, 8, 8, 8)).astype("float32")
    expected = predict(contrast_run, image, 3, [0, 1, 2])
    last = LastPrediction()
    calls.clear()
    for seen in (other, image):
        predict(contrast_run, seen, 3, last=last)
    found = predict(contrast_run, image, 3, [0, 1, 2], last=last)
    assert len(calls) == 3  # of two images, and of one mirror image
    np.testing.assert_array_equal(found, expected)
    assert last.take(image) is None


def test_images_of_all_sizes_take_one_trace(contrast_run):
    network, traces = contrast_run.task_model, []
    call = type(network).call

    class Counted(type(network)):
        def call(self, *args, **kwargs):
            traces.append(1)
            return call(self, *args, **kwargs)

    network.__class__ = Counted
    for size in (8, 16, 24):
        found = predict(contrast_run, np.zeros((size, 8, 8), "float32"), 3)
        assert found.shape == (size, 8, 8, 3)
        found[0] = 0  # it is the caller's
    from synthtf import xla

    assert xla.pays() or len(traces) == 1
