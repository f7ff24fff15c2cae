"""Tests of how SynthSeg's networks are applied, with small weights of our own."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from synthseg_weights import write_all, write_quality, write_robust, write_unet

from synthtf.inference.patches.memory import MemoryBudget
from synthtf.published.synthseg.labels import VERSION_1, VERSION_2
from synthtf.published.synthseg.networks import Networks
from synthtf.published.synthseg.quality import quality_groups
from synthtf.published.synthseg.smoothing import SmoothPosteriors, smooth

IMAGE = np.clip(
    gaussian_filter(np.random.default_rng(0).normal(size=(96, 32, 32)), 2) * 5 + 0.5, 0, 1
).astype("float32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_all(tmp_path_factory.mktemp("models"), features=1, levels=3, sharpness=3.0)


@pytest.fixture(scope="module")
def networks(folder):
    return Networks.load(
        VERSION_2, folder / "synthseg_2.0.h5", folder / "synthseg_parc_2.0.h5", None
    )


def in_patches(networks, size):
    return Networks(networks.parts, networks.labels, MemoryBudget(size))


def test_patches_give_the_posteriors_of_the_whole(networks):
    whole, seen, judged = networks.segment(IMAGE, flip=True)
    assert whole.std(axis=(1, 2, 3)).max() > 0.01 and len(np.unique(seen)) > 3
    parts, others, _ = in_patches(networks, 32).segment(IMAGE, flip=True)
    np.testing.assert_allclose(parts, whole, atol=1e-5)
    assert (others == seen).mean() > 0.999
    np.testing.assert_array_equal(judged, seen)


def collect(networks, cortex):
    found = np.full((*IMAGE.shape, 69), np.nan, "float32")

    def put(place, part):
        assert np.isnan(found[place]).all()
        found[place] = part

    networks.parcellate(IMAGE, cortex, put)
    return found


def test_patches_give_the_parcels_of_the_whole(networks):
    cortex = IMAGE > 0.5
    whole = collect(networks, cortex)
    np.testing.assert_allclose(collect(in_patches(networks, 32), cortex), whole, atol=1e-5)
    assert np.abs(whole - collect(networks, ~cortex)).max() > 0.01


def test_mirrored_scans_have_mirrored_posteriors(networks):
    both = networks.segment(IMAGE, flip=True)[0]
    mirror = networks.segment(IMAGE[::-1].copy(), flip=True)[0]
    np.testing.assert_allclose(mirror[VERSION_2.mirrored][:, ::-1], both, atol=1e-5)
    once = networks.segment(IMAGE, flip=False)[0]
    assert np.abs(once - both).max() > 0.01


def test_fast_posteriors_are_smoothed_unless_another_network_follows(networks, folder):
    alone = Networks.load(VERSION_2, folder / "synthseg_2.0.h5")
    smoothed, found, _ = alone.segment(IMAGE, flip=False)
    sharp, seen, _ = networks.segment(IMAGE, flip=False)
    np.testing.assert_allclose([smooth(channel) for channel in sharp], smoothed, atol=1e-6)
    np.testing.assert_array_equal(seen, found)
    assert np.abs(sharp - smoothed).max() > 1e-3


def test_robust_in_patches_is_robust(folder):
    robust = Networks.load(VERSION_2, folder / "synthseg_robust_2.0.h5", robust=True)
    image = IMAGE[:64]
    whole = robust.segment(image, flip=False)[0]
    parts = in_patches(robust, 48).segment(image, flip=False)[0]
    # Where two tissues are nearly as likely, rounding decides.
    assert (np.abs(parts - whole).max(0) < 1e-3).mean() > 0.95


def test_a_chain_that_does_not_fit_is_refused_before_its_first_network_works(folder, monkeypatch):
    monkeypatch.setattr("synthtf.inference.patches.memory._resident", lambda: 0)
    files = folder / "synthseg_robust_2.0.h5", folder / "synthseg_parc_2.0.h5"
    loaded = Networks.load(VERSION_2, *files, robust=True)

    def limited(megabytes):
        return Networks(loaded.parts, loaded.labels, MemoryBudget(gigabytes=megabytes / 1e3))

    shape, limit = (64, 64, 64), 10
    while True:
        try:
            patches = limited(limit).plan(shape)
            break
        except ValueError:
            limit *= 1.1
    assert list(patches) == ["unet", "l2l", "unet2", "unet_parc"]
    worked = []
    monkeypatch.setattr("synthtf.published.synthseg.networks.begin", worked.append)
    with pytest.raises(ValueError, match="GB are too little"):
        limited(limit / 1.1).segment(np.zeros(shape, "float32"), flip=False)
    assert not worked


def test_scores(folder):
    networks = Networks.load(
        VERSION_1, folder / "synthseg_1.0.h5", None, folder / "synthseg_qc_2.0.h5"
    )
    channels = np.random.default_rng(0).integers(0, 32, (20, 20, 20))
    found = networks.judge(quality_groups(channels, VERSION_1, 32))
    assert found.shape == (8,) and (found >= 0).all() and (found <= 1).all() and found.any()


def test_the_kernel_of_the_blur():
    spot = np.zeros((5, 5, 5), "float32")
    spot[2, 2, 2] = 1
    distances = ((np.indices((3, 3, 3)) - 1) ** 2).sum(0)
    kernel = np.exp(-distances / (2 * 0.5**2))
    np.testing.assert_allclose(smooth(spot)[1:4, 1:4, 1:4], kernel / kernel.sum(), atol=1e-7)
    ones = np.asarray(SmoothPosteriors()(np.ones((1, 4, 5, 6, 2), "float32")))
    assert ones[0, 1, 1, 1, 0] == pytest.approx(1) and ones[0, 0, 1, 1, 0] < 0.95


def test_weights_of_other_networks_are_refused(tmp_path):
    def load(path, **options):
        return Networks.load(VERSION_2, path, **options)

    one = write_unet(tmp_path / "sr.h5", outputs=1, levels=2)
    with pytest.raises(
        ValueError, match=r"sr\.h5: the tensor unet_likelihood/kernel must have 33 "
    ):
        load(one)
    two = write_unet(tmp_path / "two.h5", inputs=2, levels=2)
    with pytest.raises(ValueError, match="unet_conv_downarm_0_0/kernel must have 1 input"):
        load(two)
    with pytest.raises(ValueError, match=r"lacks the tensor l2l_conv_downarm_0_0/kernel"):
        load(one, robust=True)
    good = write_unet(tmp_path / "good.h5", levels=2)
    with pytest.raises(ValueError, match="lacks the tensor unet_parc_conv_downarm_0_0/kernel"):
        load(good, parcels=good)
    parcels = write_unet(tmp_path / "p.h5", "unet_parc", inputs=3, outputs=68, levels=2)
    with pytest.raises(ValueError, match="unet_parc_likelihood/kernel must have 69 output"):
        load(good, parcels=parcels)
    with pytest.raises(ValueError, match="qc_conv_downarm_0_0/kernel must have 9 input"):
        load(good, quality=write_quality(tmp_path / "q.h5", groups=8))
    deep = write_unet(tmp_path / "deep.h5", features=1, levels=7)
    with pytest.raises(ValueError, match="poolings that divide 32"):
        load(deep)
    tissues = write_robust(tmp_path / "r.h5", tissues=4, levels=2)
    assert load(tissues, robust=True).parts["l2l"].input.shape[-1] == 4
