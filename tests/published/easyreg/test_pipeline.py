"""EasyReg's steps, on phantoms: there are no recorded results."""

import h5py
import numpy as np
import pytest

from synthtf.data.grid import Grid
from synthtf.data.volumes import Volume
from synthtf.interop import load_voxelmorph
from synthtf.published.easyreg import pipeline
from synthtf.published.easyreg.pipeline import ATLAS, LABELS, Subject, centroids, register

CENTERS = np.random.default_rng(0).uniform(-30, 30, (len(LABELS), 3)).round()


def subject(shift=(0, 0, 0), spacing=2.0, shape=(40, 44, 42), known=8):
    """Blocks of 4 x 4 x 4 voxels around the shifted places of some structures."""
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = -np.array(shape)
    labels = np.zeros(shape, "int32")
    for label, center in list(zip(LABELS, CENTERS, strict=True))[-known:]:
        x, y, z = np.floor((center + shift - affine[:3, 3]) / spacing - 1).astype(int)
        labels[x : x + 4, y : y + 4, z : z + 4] = label
    image = np.where(labels > 0, labels % 97 + 10, 3).astype("float32")
    found = Volume(labels, affine)
    # The atlas is what is measured on the subject that is not shifted.
    return Volume(image, affine), found


def atlas():
    found = centroids(subject()[1])
    return np.where(np.isfinite(found), found, 0)


def test_97_labels():
    assert len(LABELS) == len(set(LABELS)) == 97


def test_centroids_are_medians_of_what_is_large_enough():
    labels = np.zeros((20, 20, 20), "int32")
    labels[2:5, 2:7, 2:7] = 1001
    labels[10:12, 10:15, 10:15] = 1002  # 50 voxels: too few
    affine = np.diag([2.0, 1, 1, 1])
    found = centroids(Volume(labels, affine))
    np.testing.assert_array_equal(found[LABELS.index(1001)], [6, 4, 4])
    assert np.isnan(found[LABELS.index(1002)]).all()


def test_affine_registration():
    reference, floating = (
        Subject.of(*subject(shift), atlas()) for shift in ((0, 0, 0), (6, -4, 2))
    )
    np.testing.assert_allclose(reference.from_atlas, np.eye(4), atol=1e-6)
    np.testing.assert_allclose(floating.from_atlas[:3, 3], [6, -4, 2], atol=1e-6)
    forward, backward = register(reference, floating)
    inner = (slice(8, -8),) * 3
    np.testing.assert_allclose(forward.image[inner], reference.image.data[inner], atol=1e-3)
    np.testing.assert_allclose(backward.image[inner], floating.image.data[inner], atol=1e-3)
    world = np.stack(np.indices((40, 44, 42)), -1) * 2 - [40, 44, 42] + [6, -4, 2]
    np.testing.assert_allclose(forward.coordinates, world, atol=1e-4)


def test_what_the_network_sees():
    seen = Subject.of(*subject(), atlas()).seen()
    assert seen.shape == ATLAS.shape
    assert (seen.min(), seen.max()) == (0, 1)
    assert 0 < (seen > 0).mean() < 0.01  # without the background


@pytest.mark.parametrize(("known", "message"), [(0, "no labels above 1000"), (3, "at least 4")])
def test_segmentations_that_do_not_do(known, message):
    image, labels = subject(known=8)
    if known == 0:
        labels = Volume(labels.data % 1000, labels.affine)
    else:
        kept = np.isin(labels.data, LABELS[-known:])
        labels = Volume(np.where(kept, labels.data, 0), labels.affine)
    with pytest.raises(ValueError, match=message):
        Subject.of(image, labels, atlas())
    with pytest.raises(ValueError, match=r"`atlas` must have the shape \(97, 3\)"):
        Subject.of(image, labels, atlas()[:5])


def test_the_network_is_voxelmorphs(tmp_path, monkeypatch):
    """EasyReg's layout: half resolution, features [[n] * 4, [n] * 6]."""
    affine = ATLAS.affine @ np.diag([5, 5, 6, 1])
    monkeypatch.setattr(pipeline, "ATLAS", Grid((32, 32, 32), affine))
    path = tmp_path / "easyreg.h5"
    names = [f"enc_conv_{i}_0" for i in range(4)] + [f"dec_conv_{i}_0" for i in (3, 2, 1, 0)]
    names = [f"vxm_dense_unet_{n}" for n in (*names, "dec_final_conv_0", "dec_final_conv_1")]
    inputs = [2, 1, 1, 1, 1, 2, 2, 2, 1, 1]
    with h5py.File(path, "w") as file:
        for name, n in zip([*names, "vxm_dense_flow"], [*inputs, 1], strict=True):
            out = 3 if name.endswith("flow") else 1
            kernel = np.zeros((3, 3, 3, n, out), "f4")
            kernel[1, 1, 1] = 0.9
            if n == 2 and "enc" in name:
                kernel[1, 1, 1, 1] = 0.1  # the two scans count differently
            file[f"{name}/{name}/kernel:0"] = kernel
            file[f"{name}/{name}/bias:0"] = np.zeros(out, "f4")
    network = load_voxelmorph(path, integration_steps=10)
    assert network.output["velocity"].shape[1:-1] == (None, None, None)
    image, labels = subject()
    others = Volume(np.where(labels.data == LABELS[-1], 200, image.data), image.affine)
    pair = [Subject.of(scan, labels, atlas()) for scan in (image, others)]
    forward, backward = register(*pair, network)
    affine, _ = register(*pair)
    moved = np.abs(forward.coordinates - affine.coordinates).max()
    assert 0.1 < moved < 30
    again, _ = register(*pair[::-1], network)
    np.testing.assert_allclose(again.coordinates, backward.coordinates, atol=1e-4)
