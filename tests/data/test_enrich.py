from dataclasses import replace

import numpy as np
import pytest
from scipy.cluster.vq import kmeans2

from synthtf.data.enrich import (
    build_labels,
    check_parts,
    cluster,
    enrich_labels,
    otsu_threshold,
)
from synthtf.data.label_table import LabelTable
from synthtf.data.phantoms import head_phantom, phantom_table
from synthtf.data.volumes import Volume

SPACING = 6.0


@pytest.fixture(scope="module")
def head():
    """A phantom of intensities that vary from left to right within each label."""
    labels = head_phantom(1, (32, 38, 32), SPACING)
    rng = np.random.default_rng(0)
    means = np.zeros(labels.max() + 1)
    means[1:] = rng.uniform(40, 100, labels.max())
    step = np.where(np.arange(38) < 19, 0, 20)[:, None]
    data = means[labels] + np.where(labels > 0, step, 0) + rng.normal(0, 1, labels.shape)
    affine = np.diag([SPACING, SPACING, SPACING, 1])
    return Volume(data.astype("float32"), affine), Volume(labels, affine)


def volumes(image, labels):
    return Volume(np.asarray(image, "float32"), np.eye(4)), Volume(
        np.asarray(labels, "int32"), np.eye(4)
    )


def test_parts_are_the_clusters_of_each_label(head):
    image, labels = head
    out, table = enrich_labels(image, labels, phantom_table(), values=[2, 41, 16])
    for value in (2, 41, 16):
        inside = labels.data == value
        found = set(np.unique(out[inside]))
        assert len(found) == 2 and min(found) == value
        # The step of the image, whose halves lie 20 standard deviations apart.
        back = np.broadcast_to((np.arange(38) >= 19)[:, None], labels.shape)
        np.testing.assert_array_equal((out != value)[inside], back[inside])
    untouched = ~np.isin(labels.data, (2, 41, 16))
    np.testing.assert_array_equal(out[untouched], labels.data[untouched])
    mapped = np.vectorize(table.mapping.get)(out)
    np.testing.assert_array_equal(mapped, np.vectorize(phantom_table().mapping.get)(labels.data))


def test_rows_of_parts(head, tmp_path):
    image, labels = head
    _, table = enrich_labels(image, labels, phantom_table(), 3, values=[16, 2])
    old = set(phantom_table().ids)
    new = [i for i in table.ids if i not in old]
    # Those of the right side, too, which a flip turns the left ones into.
    assert new == list(range(max(old) + 1, max(old) + 7))
    assert table.name(new[0]) == "brain stem part 2" and table.mapping[new[1]] == 16
    assert (new[2], new[4]) in table.pairs and (new[3], new[5]) in table.pairs
    assert [table.mapping[v] for v in new[2:]] == [2, 2, 41, 41]
    assert new[0] in table.brain_labels and table.output_pairs == phantom_table().output_pairs
    assert table.group_ids["WM part 3"] == (new[3], new[5])
    table.write(tmp_path / "table.tsv")
    assert LabelTable.read(tmp_path / "table.tsv") == table


def test_all_labels_but_the_constant_and_the_background_are_split():
    labels = np.repeat([[0, 1, 2, 3]], 4, 0)
    image = np.arange(16).reshape(4, 4) * (labels != 2)
    table = LabelTable.from_labels([1, 2, 3])
    out, more = enrich_labels(*volumes(image, labels), table)
    assert more.ids == (0, 1, 2, 3, 4, 5)
    np.testing.assert_array_equal(out[:2], labels[:2])
    np.testing.assert_array_equal(out[2:], [[0, 4, 2, 5]] * 2)


@pytest.mark.parametrize("num", [2, 3, 5])
def test_clusters_are_those_of_k_means(num):
    rng = np.random.default_rng(num)
    truth = rng.integers(0, num, 3000)
    values = 10 * truth + rng.normal(0, 1, 3000)
    found = cluster(values, num)
    np.testing.assert_array_equal(found, truth)
    centres, _ = kmeans2(values[:, None], 10.0 * np.arange(num)[:, None], minit="matrix")
    nearest = np.abs(values[:, None] - np.sort(centres[:, 0])).argmin(1)
    np.testing.assert_array_equal(found, nearest)
    np.testing.assert_array_equal(cluster(values, num), found)


def test_clusters_of_skewed_values_are_none_empty():
    values = np.concatenate([np.zeros(10000), [1, 5, 9]])
    for num in (2, 3, 4):
        assert set(cluster(values, num)) == set(range(num))
    with pytest.raises(ValueError, match=r"different intensities, 4. Received: num_parts=5"):
        cluster(values, 5)


def test_whole_head_from_its_brain(head):
    image, labels = head
    table = phantom_table()
    brain = np.where(np.isin(labels.data, table.brain_labels), labels.data, 0)
    out, more = build_labels(image, Volume(brain, labels.affine), table, num_parts=3)
    np.testing.assert_array_equal(out[brain > 0], brain[brain > 0])
    new = [i for i in more.ids if i not in table.ids]
    assert len(new) == 3 and new == [i for i in np.unique(out) if i in new]
    assert min(new) == max(table.ids) + 1
    assert all(more.mapping[i] == 0 for i in new) and not set(new) & set(more.brain_labels)
    head_mask, found = labels.data > 0, out > 0
    dice = 2 * np.sum(head_mask & found) / (head_mask.sum() + found.sum())
    assert dice > 0.95
    means = [image.data[out == i].mean() for i in new]
    assert means == sorted(means) and means[-1] - means[0] > 20


def test_a_given_threshold_decides_on_air_and_only_outside():
    labels = np.zeros((12, 12))
    image = np.full((12, 12), 30.0)
    image[3:9, 3:9] = np.where(np.arange(6) < 3, 60, 90)
    image[5:7, 5:7] = 30  # enclosed: dark tissue
    labels[3, 3] = 1
    table = LabelTable.from_labels([1])
    out, _ = build_labels(*volumes(image, labels), table, 2, threshold=40)
    assert out[0, 0] == 0 and out[5, 5] > 1 and out[3, 3] == 1 and out[4, 4] > 1
    out, _ = build_labels(*volumes(image, labels), table, 2, threshold=10)
    assert (out > 0).all()


def test_otsu():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(10, 2, 5000), rng.normal(60, 3, 3000)])
    np.testing.assert_allclose(
        otsu_threshold(values), (values[:5000].max() + values[5000:].min()) / 2, atol=1
    )


def test_what_is_refused(head):
    image, labels = head
    table = phantom_table()
    moved = Volume(labels.data, labels.affine + np.eye(4))
    small = Volume(labels.data[:-1], labels.affine)
    for function in (enrich_labels, build_labels):
        with pytest.raises(ValueError, match=r"put a corner .* mm apart"):
            function(image, moved, table)
        with pytest.raises(ValueError, match=r"have the shapes .* and \(32, 38, 32\)"):
            function(image, small, table)
        with pytest.raises(ValueError, match=r"`num_parts` must lie in \[2, 255\]"):
            function(image, labels, table, 1)
        with pytest.raises(ValueError, match="labels that the table does not list"):
            function(image, labels, LabelTable.from_labels([2]))
    with pytest.raises(ValueError, match="no voxel of label 99"):
        enrich_labels(image, labels, table, values=[2, 99])
    flat = Volume(np.zeros_like(image.data), image.affine)
    with pytest.raises(ValueError, match=r"in label 2: .* different intensities, 1"):
        enrich_labels(flat, labels, table, values=[2])
    with pytest.raises(ValueError, match=r"outside the labels of array: .* different intensities"):
        build_labels(flat, labels, table)
    with pytest.raises(ValueError, match=r"Received: num_parts=1\.5"):
        check_parts(1.5)


def test_clusters_of_parcels_are_parts_of_one_structure():
    table = LabelTable.from_labels([1, 2])
    table = replace(table, structures=(None, "cortex", "cortex"))
    labels = np.repeat([1, 2], 50).reshape(10, 10)
    image = np.tile([10.0, 20.0], 50).reshape(10, 10)
    _, more = enrich_labels(*volumes(image[..., None], labels[..., None]), table)
    assert more.structures == (None, "cortex", "cortex", "cortex part 2", "cortex part 2")
