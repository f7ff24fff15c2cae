"""A network that returns the mean of the masks of its context: what is found is known."""

import json

import keras
import numpy as np
import pytest

from synthtf.cli.main import main
from synthtf.data.label_table import LabelTable
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import Volume, read_volume
from synthtf.inference import segment_in_context
from synthtf.layers import RandomIntensity
from synthtf.runs.run import Run
from synthtf.synthesis import Recipe


def make_run(folder, ndim, context=4):
    image = keras.Input((*(None,) * ndim, 1), name="image")
    shown = keras.Input((None, *(None,) * ndim, 2), name="context")
    mean = keras.ops.mean(shown[..., 1:], axis=1)
    network = keras.Model(
        {"image": image, "context": shown}, keras.ops.concatenate([1 - mean, mean], axis=-1)
    )
    facts = {
        "task": "in-context",
        "shape": [32] * ndim,
        "spacing": [1.0] * ndim,
        "multiple": 1,
        "output_labels": [0, 1],
        "context": context,
    }
    run = Run.create(folder, LabelTable.from_labels([0, 1]), Recipe([RandomIntensity()]), facts)
    run.save_model(network)
    return run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return {ndim: make_run(folder / str(ndim), ndim) for ndim in (2, 3)}


def example(shape=(64, 48, 8), affine=None):
    """A scan with two labels, that of one of them in some slices."""
    labels = np.zeros(shape, "int32")
    labels[16:32, 8:24] = 3
    labels[36:56, 16:40, shape[2] // 2 :] = 7
    image = np.random.default_rng(0).uniform(size=shape).astype("float32") + labels
    affine = np.diag([-2.0, 2.0, 3.0, 1.0]) if affine is None else affine
    return Volume(image, affine), Volume(labels, affine)


def overlap(a, b, label):
    return 2 * np.sum((a == label) & (b == label)) / (np.sum(a == label) + np.sum(b == label))


@pytest.mark.parametrize("ndim", [2, 3])
def test_labels_lie_where_they_are_in_the_context(runs, ndim):
    image, labels = example()
    found = segment_in_context(image, [image], [labels], runs[ndim])
    assert found.data.shape == image.data.shape and found.data.dtype == np.int32
    np.testing.assert_array_equal(found.affine, image.affine)
    for label in (3, 7):
        assert overlap(found.data, labels.data, label) > 0.9
    only = segment_in_context(image, [image], [labels], runs[ndim], labels=[7]).data
    assert set(np.unique(only)) == {0, 7}


def test_images_of_other_orientation_size_and_number_of_slices(runs):
    image, labels = example()
    other = [Volume(np.flip(x.data, 0).copy(), np.diag([2.0, 2, 3, 1])) for x in (image, labels)]
    found = segment_in_context(image, other[:1], other[1:], runs[2]).data
    assert overlap(found, labels.data, 3) > 0.9
    coarse = [Volume(x.data[::2, ::2, 1::2], x.affine) for x in (image, labels)]
    found = segment_in_context(image, coarse[:1], coarse[1:], runs[2]).data
    assert overlap(found, labels.data, 7) > 0.8


def test_images_of_one_slice(runs):
    image, labels = example((64, 48, 1))
    flat = [x.data[..., 0] for x in (image, labels)]
    found = segment_in_context(flat[0], flat[:1], flat[1:], runs[2]).data
    assert found.shape == (64, 48) and overlap(found, flat[1], 7) > 0.9
    sagittal = [Volume(x[None], np.diag([3.0, 2, 2, 1])) for x in flat]
    found = segment_in_context(sagittal[0], sagittal[:1], sagittal[1:], runs[2]).data
    assert overlap(found, sagittal[1].data, 3) > 0.9


def test_a_network_without_context_is_given_none(tmp_path):
    image, labels = example((64, 48, 1))
    blind = make_run(tmp_path / "blind", 2, context=0)
    assert not segment_in_context(image, [image], [labels], blind).data.any()
    empty = Volume(np.zeros_like(image.data), image.affine)
    assert segment_in_context(empty, [image], [labels], blind).data.max() == 0


def test_what_does_not_fit_is_refused(runs):
    image, labels = example()
    with pytest.raises(ValueError, match="one label map for each image"):
        segment_in_context(image, [image], [], runs[2])
    for wrong in (labels.data, labels.data[:-1]):
        with pytest.raises(ValueError, match="must be on the same grid"):
            segment_in_context(image, [image], [wrong], runs[2])
    with pytest.raises(ValueError, match=r"labels that are in the context.*\[3, 7\].*\[5\]"):
        segment_in_context(image, [image], [labels], runs[2], labels=[5])
    with pytest.raises(ValueError, match="expected one frame"):
        segment_in_context(
            Volume(np.zeros((4, 4, 4, 2)), np.eye(4), ndim=3), [image], [labels], runs[2]
        )


def test_command(runs, tmp_path):
    image, labels = example()
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        write_volume(tmp_path / "in" / f"{name}.nii.gz", image.data, affine=image.affine)
    (tmp_path / "in" / "c.nii.gz").write_bytes(b"no volume")
    write_volume(tmp_path / "image.nii.gz", image.data, affine=image.affine)
    write_volume(tmp_path / "labels.nii.gz", labels.data, affine=labels.affine)
    pair = [str(tmp_path / f"{name}.nii.gz") for name in ("image", "labels")]
    words = ["in-context", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "-c", *pair]
    words += ["--model", str(runs[2].folder)]
    assert main(words) == 1
    expected = segment_in_context(image, [image], [labels], runs[2]).data
    for name in ("a", "b"):
        found = read_volume(tmp_path / "out" / f"{name}_seg.nii.gz", labels=True).data
        np.testing.assert_array_equal(found, expected)
        facts = json.loads((tmp_path / "out" / f"{name}_seg.json").read_text())
        assert facts["Context"] == pair
    before = (tmp_path / "out" / "a_seg.nii.gz").stat().st_mtime_ns
    assert main([*words, "--skip-existing"]) == 1
    assert (tmp_path / "out" / "a_seg.nii.gz").stat().st_mtime_ns == before
    write_volume(tmp_path / "labels.nii.gz", np.flip(labels.data, 0), affine=labels.affine)
    assert main([*words, "--skip-existing"]) == 1
    assert (tmp_path / "out" / "a_seg.nii.gz").stat().st_mtime_ns > before
    assert main([*words[:-1], str(tmp_path / "nothing")]) == 2
    assert main([*words, "-c", pair[0], str(tmp_path / "missing.nii.gz")]) == 2


def test_the_network_of_the_package_finds_what_it_is_shown(tmp_path):
    """A disc among other things, elsewhere and in another contrast than in the examples."""
    x, y = np.meshgrid(*[np.arange(80)] * 2, indexing="ij")
    files = []
    for number, (i, j, bright) in enumerate([(38, 40, 0.9), (44, 36, 0.7), (36, 46, 0.8)]):
        disc = (x - i) ** 2 + (y - j) ** 2 < 14**2
        image = np.where(disc, bright, np.where(abs(x - 40) + abs(y - 40) < 38, 0.4, 0.1))
        image += np.random.default_rng(number).normal(0, 0.03, image.shape)
        for name, data in (("image", image.astype("float32")), ("labels", disc.astype("int16"))):
            files.append(tmp_path / f"{name}{number}.nii.gz")
            write_volume(files[-1], data[..., None], affine=np.eye(4))
    words = [str(files[4]), "-o", str(tmp_path / "out.nii.gz")]
    for pair in (files[:2], files[2:4]):
        words += ["-c", *map(str, pair)]
    assert main(["in-context", *words]) == 0
    found, truth = (read_volume(f, labels=True).data for f in (tmp_path / "out.nii.gz", files[5]))
    assert overlap(found, truth, 1) > 0.8
