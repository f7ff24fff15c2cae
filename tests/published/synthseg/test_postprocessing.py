"""Tests of what SynthSeg makes of posteriors."""

import numpy as np

from synthtf.published.synthseg.labels import PARCELS, VERSION_1, VERSION_2
from synthtf.published.synthseg.postprocessing import (
    Parcels,
    drop_unlikely,
    keep_largest,
    keep_topology,
    normalize,
)
from synthtf.published.synthseg.quality import quality_groups, scores

RNG = np.random.default_rng(0)


def test_labels():
    assert len(VERSION_2.names) == 33 and len(VERSION_1.names) == 32 and len(PARCELS) == 68
    assert set(VERSION_2.names) - set(VERSION_1.names) == {24}
    for version in (VERSION_1, VERSION_2):
        assert list(version.values) == sorted(version.names)
        np.testing.assert_array_equal(
            version.mirrored[version.mirrored], np.arange(len(version.names))
        )
        assert len(version.topology) == 23
    sides = {
        VERSION_2.names[v]: VERSION_2.names[VERSION_2.values[m]]
        for v, m in zip(VERSION_2.values, VERSION_2.mirrored, strict=True)
    }
    assert sides["left ventral DC"] == "right ventral DC" and sides["csf"] == "csf"
    assert 1004 not in PARCELS and PARCELS[2035] == "ctx-rh-insula"


def test_only_the_largest_piece_stays():
    posteriors = np.zeros((3, 6, 4, 4), "float32")
    posteriors[1, :2], posteriors[2, 4:] = 0.2, 0.3
    posteriors[2, :2] = 0.1
    posteriors[2, 5, 3, 3] = 0
    keep_largest(posteriors)
    assert (posteriors[1, :2] == np.float32(0.2)).all() and not posteriors[:, 2:].any()
    nothing = np.full((3, 2, 2, 2), 0.1, "float32")
    keep_largest(nothing)
    assert not nothing[1:].any() and nothing[0].all()


def test_a_class_of_topology_is_one_piece():
    posteriors = np.zeros((33, 9, 3, 3), "float32")
    white, cortex, csf, left = np.searchsorted(VERSION_2.values, [2, 3, 24, 11])
    posteriors[white, :2] = posteriors[cortex, 2:4] = 0.5
    posteriors[cortex, 6:8] = posteriors[csf, 6:8] = posteriors[csf, 0] = 0.4
    posteriors[left, 8] = 0.2
    keep_topology(posteriors, VERSION_2)
    assert posteriors[white, :2].all() and posteriors[cortex, 2:4].all()
    assert not posteriors[cortex, 6:8].any()
    assert posteriors[csf, 6:8].all() and posteriors[csf, 0].all()
    assert not posteriors[left].any()  # nowhere above the threshold


def test_unlikely_structures_are_dropped_and_the_rest_sums_to_one():
    posteriors = np.array([0.0, 0.1, 0.2, 0.21, 0.5], "float32").reshape(5, 1, 1, 1)
    drop_unlikely(posteriors)
    np.testing.assert_allclose(posteriors.ravel(), [0, 0, 0, 0.21, 0.5])
    normalize(posteriors)
    np.testing.assert_allclose(posteriors.sum(), 1)
    empty = np.zeros((2, 1, 1, 1), "float32")
    normalize(empty)
    assert empty[0] == 1 and empty[1] == 0


def test_parcels_from_parts_are_those_of_the_whole():
    whole = RNG.uniform(0, 1, (8, 6, 7, 69)).astype("float32")
    inner = (slice(1, 7), slice(0, 6), slice(2, 6))
    cortex = RNG.uniform(size=(6, 6, 4)) < 0.5
    q = whole[inner].astype("float64")
    q[..., 0] = ~cortex
    q /= q.sum(-1, keepdims=True)
    parcels = Parcels(cortex, (1, 0, 2), 68)
    for x in (slice(0, 5), slice(5, 8)):
        for z in (slice(0, 1), slice(1, 4), slice(4, 7)):
            parcels.add((x, slice(0, 6), z), whole[x, :, z])
    np.testing.assert_allclose(parcels.sums, q[..., 1:].sum((0, 1, 2)), rtol=1e-5)
    np.testing.assert_array_equal(parcels.found, np.where(cortex, q.argmax(-1), 0))


def test_the_judge_sees_a_box_about_the_brain():
    channels = np.zeros((20, 30, 9), int)
    channels[4:9, 10:28, 2:5] = np.searchsorted(VERSION_2.values, [16])
    channels[0, 0, 0] = 24  # label 47, which the box leaves out
    groups = quality_groups(channels, VERSION_2, 8)
    assert groups.shape == (8, 8, 8, 9) and (groups.sum(-1) == 1).all()
    labels = groups.argmax(-1)
    # 5 voxels grow by 2 before and 1 after, 3 by 3 before and 2 after, 18 shrink by 5 on each side.
    expected = np.zeros((8, 8, 8), int)
    expected[2:7, :, 3:6] = 5
    np.testing.assert_array_equal(labels, expected)
    empty = quality_groups(np.full((4, 12, 12), 24), VERSION_2, 8)
    assert (empty.argmax(-1)[2:6] == 4).all() and not empty.argmax(-1)[:2].any()
    np.testing.assert_array_equal(scores(np.array([9, -1, 0.5, 1.5])), [0, 0.5, 1])
