"""What must hold between backends, each in a process of its own."""

import numpy as np
import pytest
from backend_process import run

LAYERS = """
import sys
import keras
import numpy as np
from synthtf import layers
from synthtf.networks import UNetConfig, unet

rng = np.random.default_rng(0)
labels = rng.integers(0, 4, (2, 12, 13, 14, 1)).astype("int32")
image = rng.random(labels.shape).astype("float32")
key = np.array([[3, 4], [3, 5]], "int32")
made = {
    "affine": (layers.RandomAffine(spacing=2), labels),
    "warp": (layers.RandomWarp(strength=8, spacing=2), labels),
    "fractal": (layers.RandomWarp(strength=8, noise="fractal", diffeomorphic=False), labels),
    "flip": (layers.RandomFlip(pairs=[(1, 2)]), labels),
    "view": (layers.RandomFieldOfView(), image),
    "intensity": (layers.RandomIntensity(labels=[0, 1, 2, 3]), labels),
    "linear_bias": (layers.RandomBiasField(), image),
    "exponential_bias": (layers.RandomBiasField(form="exponential"), image),
    "blur": (layers.RandomBlur(std=(1, 3), spacing=2), image),
    "noise": (layers.RandomNoise(distribution="rician"), image),
    "gamma": (layers.RandomGamma(), image),
    "resolution": (layers.RandomResolution(factor=(1, 4)), image),
    "slices": (layers.RandomResolution(factor=(2, 4), mode="thick-slice"), image),
    "cleared": (layers.RandomClearedSlices(proportion=(0.2, 0.5)), image),
    "shapes": (layers.RandomShapes(num_labels=5, size=(8, 16), spacing=2), labels),
    "mask": (layers.RandomMask(labels=[1, 2], optional=[3]), [image, labels]),
}
made = {name: made[name] for name in sys.argv[2:] or made}
if sys.argv[1] == "draw":
    draws = {
        f"{name}/{draw}": np.asarray(value)
        for name, (layer, inputs) in made.items()
        for draw, value in layer.sample(key, labels.shape).items()
    }
    np.savez("draws.npz", **draws)
draws = np.load("draws.npz")
results = {}
for name, (layer, inputs) in made.items():
    own = {k.split("/")[1]: draws[k] for k in draws if k.split("/")[0] == name}
    results[name] = layer.apply(inputs, own)
results["resample"] = layers.Resample()(image, results["warp"])
results["compose"] = layers.ComposeTransforms()([results["affine"], results["warp"]])
if sys.argv[1] == "draw":
    unet(4, 3, UNetConfig(4, 2, mixture_channels=2)).save("unet.keras")
results["unet"] = keras.saving.load_model("unet.keras").predict_on_batch(image[:, :, :12])
np.savez(f"{keras.backend.backend()}.npz", **{k: np.asarray(v) for k, v in results.items()})
"""


FEW = ("affine", "warp", "intensity", "exponential_bias", "resolution")


@pytest.mark.parametrize("names", [FEW, pytest.param((), marks=pytest.mark.slow)], ids=len)
def test_layers_and_networks_agree(tmp_path, names):
    """The same draws give the same samples, and a saved network the same posteriors."""
    for backend in ("tensorflow", "jax"):
        pytest.importorskip(backend)
    run("tensorflow", LAYERS, tmp_path, "draw", *names)
    run("jax", LAYERS, tmp_path, "apply", *names)
    expected, results = (np.load(tmp_path / f"{name}.npz") for name in ("tensorflow", "jax"))
    assert set(results) == set(expected)
    for name, result in results.items():
        np.testing.assert_allclose(result, expected[name], rtol=1e-4, atol=1e-4, err_msg=name)
