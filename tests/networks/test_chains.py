import keras
import numpy as np
import pytest

from synthtf.inference.patches.predict import predict_patches
from synthtf.networks import UNetConfig, chain_networks, unet, with_logits

SMALL = UNetConfig(4, 2)


def parts(ndim=2, tissues=3, regions=5, **size):
    first = UNetConfig(4, 2, **size)
    second = UNetConfig(2, 3, kernel_size=5, without_skips=2)
    return (
        unet(tissues, ndim, first),
        unet(tissues, ndim, second, num_inputs=tissues),
        unet(regions, ndim, SMALL, num_inputs=1 + tissues),
    )


def one_hot(posteriors):
    return np.eye(posteriors.shape[-1], dtype="float32")[posteriors.argmax(-1)]


@pytest.mark.parametrize("size", [{}, {"mixture_channels": 2}], ids=["plain", "mixture"])
def test_a_chain_is_its_networks_one_after_the_other(tmp_path, size):
    tissues, denoiser, regions = parts(**size)
    image = np.random.default_rng(0).uniform(size=(2, 16, 16, 1)).astype("float32")
    labels = one_hot(denoiser.predict_on_batch(one_hot(tissues.predict_on_batch(image))))
    expected = regions.predict_on_batch(np.concatenate([image, labels], -1))
    chain = chain_networks(tissues, denoiser, regions)
    chain.save(tmp_path / "chain.keras")
    for network in (chain, keras.models.load_model(tmp_path / "chain.keras")):
        np.testing.assert_allclose(network.predict_on_batch(image), expected, atol=1e-5)
        logits = with_logits(network).predict_on_batch(image)["logits"]
        assert logits.shape[-1] == 5
    # The weights are copies.
    before = tissues.predict_on_batch(image)
    for weight in chain.weights:
        weight.assign(weight * 0)
    np.testing.assert_allclose(tissues.predict_on_batch(image).argmax(-1), before.argmax(-1))


def test_patches_give_what_the_whole_gives():
    network = chain_networks(*(unet(3, 2, UNetConfig(2, 2), num_inputs=n) for n in (1, 3, 4)))
    image = np.random.default_rng(0).uniform(size=(96, 8)).astype("float32")
    whole = network.predict_on_batch(image[None, ..., None])[0]
    np.testing.assert_allclose(predict_patches(network, image, (64, 8)), whole, atol=1e-4)


def test_networks_that_do_not_fit_are_refused():
    tissues, denoiser, _ = parts()
    with pytest.raises(ValueError, match=r"`regions` take 4\. Received: \[3, 3, 1\]"):
        chain_networks(tissues, denoiser, tissues)
