import numpy as np
import pytest

from synthtf.inference.patches.predict import predict_patches
from synthtf.networks import pooled_unet


def test_patches_give_the_result_of_the_whole():
    network = pooled_unet([(2, 2), (3, 3)], [(3, 3), (2, 2)], (2, 1))
    image = np.random.default_rng(0).uniform(size=(48, 32, 40)).astype("float32")
    whole = network.predict_on_batch(image[None, ..., None])[0]
    found = predict_patches(network, image, (32, 32, 32))
    np.testing.assert_allclose(found, whole, atol=1e-5)


@pytest.mark.parametrize(
    ("encoder", "decoder", "final"), [([], [], (1,)), ([(2,)], [], (1,)), ([(2,)], [(2,)], ())]
)
def test_levels_must_fit(encoder, decoder, final):
    with pytest.raises(ValueError, match="must have equal numbers of levels, and `final` a conv"):
        pooled_unet(encoder, decoder, final)
