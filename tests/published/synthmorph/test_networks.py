"""SynthMorph's networks at work: deformations of coordinates, and patches."""

import numpy as np
import pytest
from published_weights import save_in_order, synthmorph_detector, synthmorph_hypernetwork

from synthtf.data.volumes import Volume
from synthtf.inference.patches.memory import MemoryBudget
from synthtf.interop import load_synthmorph_deformable, load_synthmorph_detector
from synthtf.published.synthmorph.networks import Warp, align, deform, halved
from synthtf.published.synthmorph.registering import Networks, register


def test_warps_interpolate_and_go_on_outwards():
    shift = np.eye(4)
    shift[:3, 3] = 1
    field = np.zeros((4, 4, 4, 3), "float32")
    field[..., 0] = np.arange(4)[:, None, None]  # x / 2 to x / 2 + x / 2: nothing moves
    field[..., 1:] = np.arange(4)[None, :, None, None]
    field[..., 2] = np.arange(4)[None, None, :]
    found = Warp(np.eye(4), field, np.eye(4))
    points = [np.array([0.0, 1, 3.5, 6]), np.array([2.0, 2, 2, 5]), np.array([1.0, 1, 6, 6])]
    np.testing.assert_allclose(found(points), points)
    # Beyond the last coordinate of full resolution, 7, what holds at 7 goes on.
    at_border, beyond = (found([np.array([x]), *np.zeros((2, 1))])[0] for x in (7.0, 9.0))
    np.testing.assert_allclose(at_border, 6.5)
    np.testing.assert_allclose(beyond, at_border + 2)
    before, after = Warp(shift, field, np.eye(4)), Warp(np.eye(4), field, shift)
    np.testing.assert_allclose(before(points), found([x + 1 for x in points]))
    np.testing.assert_allclose(after(points), [x + 1 for x in points])


@pytest.fixture
def networks(tmp_path):
    save_in_order(tmp_path / "a.h5", synthmorph_detector((3, 4, 3, 2), outputs=9))
    save_in_order(tmp_path / "d.h5", synthmorph_hypernetwork((3, 4), (4, 3, 2)))
    return Networks(
        load_synthmorph_detector(tmp_path / "a.h5"),
        load_synthmorph_deformable(tmp_path / "d.h5", 0.5),
    )


def images(size=32):
    rng = np.random.default_rng(0)
    return tuple(rng.uniform(size=(size,) * 3).astype("float32") for _ in range(2))


def test_swapped_images_give_swapped_results(networks):
    pair = images()
    there, back = deform(networks.deformable, pair, 7)
    assert there.shape == (16, 16, 16, 3)
    again = deform(networks.deformable, pair[::-1], 7)
    np.testing.assert_allclose(again, (back, there), atol=1e-5)
    halves = [halved(image) for image in pair]
    found = [align(networks.detector, p, 32, False) for p in (halves, halves[::-1])]
    same = align(networks.detector, (halves[0], halves[0]), 32, False)
    np.testing.assert_allclose(same, np.eye(4), atol=1e-6)
    assert np.abs(found[0] - np.eye(4)).max() > 1e-3
    rigid = align(networks.detector, halves, 32, True)
    np.testing.assert_allclose(rigid[:3, :3] @ rigid[:3, :3].T, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(rigid[:3, 3], found[0][:3, 3])


def test_patches_give_the_result_of_the_whole(networks):
    moving, fixed = (Volume(image, np.eye(4)) for image in images(36))
    fields = [
        register(moving, fixed, networks, extent=64, budget=budget).forward.field()
        for budget in (None, MemoryBudget(patch=24))
    ]
    assert np.abs(fields[0]).max() > 1e-3
    np.testing.assert_allclose(fields[1], fields[0], atol=1e-3)
