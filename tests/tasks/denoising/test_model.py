import keras
import numpy as np
import pytest
from keras import ops

from synthtf.data import LabelMaps
from synthtf.layers import RandomIntensity
from synthtf.networks import UNetConfig
from synthtf.tasks import label_denoising
from synthtf.tasks.registry import task_of

SIZE, LABELS = 24, [0, 2, 41]
NETWORK = UNetConfig(features=4, levels=2, without_skips=1)


def maps(ndim=2):
    labels = np.zeros((SIZE,) * ndim, "int32")
    labels[4:20, 4:18] = 2
    labels[8:14, 7:13] = 41
    return LabelMaps([labels], batch_size=2, num_batches=4)


def make(ndim=2, **options):
    options.setdefault("network", NETWORK)
    recipe = [RandomIntensity()]
    return label_denoising((SIZE,) * ndim, LABELS, recipe=recipe, spacing=2, **options)


def samples(model, ndim=2, step=0):
    found = model.synthesis(maps(ndim)[step][0])
    return {name: ops.convert_to_numpy(x) for name, x in found.items()}


@pytest.mark.parametrize("ndim", [2, 3])
def test_label_maps_get_errors_and_the_target_none(ndim):
    model = make(ndim)
    found = samples(model, ndim)
    assert found["corrupted"].shape == (2, *(SIZE,) * ndim, 3)
    np.testing.assert_array_equal(found["corrupted"].sum(-1), 1)
    index = found["corrupted"].argmax(-1)
    truth = np.searchsorted(LABELS, found["labels"][..., 0])
    wrong = (index != truth).mean()
    assert 0.01 < wrong < 0.6
    # The picture is what the network sees, in one channel.
    np.testing.assert_allclose(found["image"][..., 0], index / 2)
    assert model.task_model.input_shape[-1] == model.task_model.output_shape[-1] == 3


def test_errors_grow_with_their_size():
    def wrong(size):
        model = make(errors=size)
        all_found = [samples(model, step=step) for step in range(4)]
        return np.mean(
            [
                f["corrupted"].argmax(-1) != np.searchsorted(LABELS, f["labels"][..., 0])
                for f in all_found
            ]
        )

    assert wrong(0) == 0
    assert 0 < wrong(0.3) < wrong(1.5)


def test_a_key_gives_the_same_errors_and_another_key_others():
    model = make()
    one, again, other = samples(model), samples(model), samples(model, step=1)
    np.testing.assert_array_equal(one["corrupted"], again["corrupted"])
    assert (one["corrupted"] != other["corrupted"]).any()


@pytest.mark.slow
def test_a_denoiser_learns_to_correct():
    keras.utils.set_random_seed(0)
    model = make(network=UNetConfig(features=8, levels=3, without_skips=1))
    model.compile(keras.optimizers.Adam(0.01))
    data = maps()
    model.fit(data, epochs=12, verbose=0)

    def right(maps, labels):
        return (maps.argmax(-1) == np.searchsorted(LABELS, labels[..., 0])).mean()

    found = samples(model, step=3)
    corrected = model.task_model.predict_on_batch(found["corrupted"])
    assert right(corrected, found["labels"]) > right(found["corrupted"], found["labels"])


def test_a_denoiser_is_no_detector():
    run = make().run
    with pytest.raises(ValueError, match="cannot be a detector"):
        task_of(run.metadata).detector_size(run)
