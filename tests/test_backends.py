"""What must hold between backends, each in a process of its own."""

import nibabel
import numpy as np
import pytest
from backend_process import run

from synthtf.data.phantom_rendering import render_phantom
from synthtf.data.phantoms import head_phantom
from synthtf.data.volume_writer import write_volume

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


SEGMENT = """
import sys
from synthtf.cli.main import main

sys.exit(main(["segment", "scan.nii.gz", "-o", f"{sys.argv[1]}.nii.gz", "--model", "heads-2mm"]))
"""


FEW = ("affine", "warp", "intensity")


@pytest.fixture(scope="module", params=[FEW, pytest.param((), marks=pytest.mark.slow)], ids=len)
def on_tensorflow(request, tmp_path_factory):
    """A folder with draws, a network, and what TensorFlow makes of both; of a few layers or all."""
    pytest.importorskip("tensorflow")
    folder = tmp_path_factory.mktemp("tensorflow")
    run("tensorflow", LAYERS, folder, "draw", *request.param)
    return folder, request.param


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_layers_and_networks_agree(on_tensorflow, backend):
    """The same draws give the same samples, and a saved network the same posteriors."""
    pytest.importorskip(backend)
    folder, names = on_tensorflow
    run(backend, LAYERS, folder, "apply", *names)
    expected, results = (np.load(folder / f"{n}.npz") for n in ("tensorflow", backend))
    assert set(results) == set(expected)
    for name, result in results.items():
        np.testing.assert_allclose(result, expected[name], rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_segmentations_agree(tmp_path, backend):
    """Rounding decides between labels in few voxels: fewer than one of a thousand."""
    for name in ("tensorflow", backend):
        pytest.importorskip(name)
    labels = head_phantom(3, (48, 56, 48), 4.0)
    image = render_phantom(labels, "T1", 0, 4.0)
    write_volume(tmp_path / "scan.nii.gz", image, affine=np.diag([4, 4, 4, 1]))
    for name in ("tensorflow", backend):
        run(name, SEGMENT, tmp_path, name)
    found = [
        np.asarray(nibabel.load(tmp_path / f"{n}.nii.gz").dataobj) for n in ("tensorflow", backend)
    ]
    assert np.count_nonzero(found[0]) > 10_000
    assert np.mean(found[0] != found[1]) < 1e-3
