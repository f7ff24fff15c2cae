"""The data set: keys, epochs, conforming, checks (rows 23, 24, 25, 28, 29, 43)."""

import threading

import keras
import nibabel as nib
import numpy as np
import pytest

from synthtf.data.label_maps import LabelMaps
from synthtf.data.label_table import LabelTable
from synthtf.data.volume_writer import write_volume

SHAPE = (4, 6)


def arrays(num=5, shape=SHAPE, low=1):
    return [np.full(shape, low + i, "int16") for i in range(num)]


def keys(batch):
    return batch[0]["key"][:, 1].tolist()


class Recorder(keras.Model):
    """A model of one weight that notes which keys it is trained on, and on which map."""

    def __init__(self):
        super().__init__()
        self.scale = self.add_weight(shape=(), initializer="ones")
        self.numbers, self.values = [], []

    def call(self, inputs):
        return self.scale * keras.ops.cast(inputs["labels"], "float32")

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        try:
            self.numbers += keras.ops.convert_to_numpy(x["key"])[:, 1].tolist()
            self.values += keras.ops.convert_to_numpy(x["labels"])[:, 0, 0, 0].tolist()
        except Exception:  # tensors without values, while Keras builds the model
            return keras.ops.mean(y_pred)
        return keras.ops.mean(y_pred)


def train(maps, model=None, **kwargs):
    model = model or Recorder()
    if not model.compiled:
        model.compile("sgd", run_eagerly=True)
    model.fit(maps, verbose=0, **{"shuffle": False, **kwargs})
    return model


# Batches and keys


def test_batch_has_keys_and_no_targets():
    maps = LabelMaps(arrays(), seed=3, batch_size=2)
    (inputs,) = maps[1]
    assert set(inputs) == {"labels", "key"}
    assert inputs["labels"].shape == (2, 4, 6, 1) and inputs["labels"].dtype == "int32"
    assert inputs["key"].dtype == "int32" and inputs["key"].tolist() == [[3, 2], [3, 3]]
    assert len(maps) == 3 and maps.num_maps == 5
    with pytest.raises(IndexError, match=r"`index` must lie in \[0, 3\). Received: index=3"):
        maps[3]
    assert [keys(batch) for batch in maps] == [[0, 1], [2, 3], [4, 5]]


def test_each_pass_takes_each_map_once_in_its_own_order():
    maps = LabelMaps(arrays(), seed=1, num_batches=40)
    values = [int(batch[0]["labels"].flat[0]) for batch in maps]
    passes = [tuple(values[i : i + 5]) for i in range(0, 40, 5)]
    assert all(sorted(p) == [1, 2, 3, 4, 5] for p in passes)
    assert len(set(passes)) > 4
    again = LabelMaps(arrays(), seed=1, batch_size=4)
    assert again[0][0]["labels"][:, 0, 0, 0].tolist() == values[:4]
    other = LabelMaps(arrays(), seed=2, num_batches=40)
    assert [int(batch[0]["labels"].flat[0]) for batch in other] != values


def test_sample_replays_a_row_of_a_batch():
    rng = np.random.default_rng(0)
    maps = LabelMaps([rng.integers(1, 9, SHAPE) for _ in range(4)], seed=5, batch_size=3)
    maps.epoch = 7
    (batch,) = maps[1]
    for row, (_, number) in enumerate(batch["key"].tolist()):
        (sample,) = maps.sample(number)
        np.testing.assert_array_equal(sample["labels"][0], batch["labels"][row])
        np.testing.assert_array_equal(sample["key"][0], batch["key"][row])


def test_numbers_beyond_a_key_are_refused():
    maps = LabelMaps(arrays(1), num_batches=10**6, initial_epoch=2147)
    assert keys(maps[0]) == [2_147_000_000]
    with pytest.raises(ValueError, match=r"sample numbers must be below 2\^31.*2147483648"):
        maps[483_648]


# Epochs under `fit`


@pytest.mark.parametrize("workers", [1, 3])
def test_fit_hands_out_each_number_once_and_in_order(workers):
    maps = LabelMaps(arrays(), batch_size=2, workers=workers)
    model = train(maps, epochs=3)
    assert model.numbers == list(range(6, 6 + 3 * 6))


def test_shuffling_by_keras_changes_the_order_alone():
    numbers = train(LabelMaps(arrays()), epochs=3, shuffle=True).numbers
    assert [sorted(numbers[i : i + 5]) for i in (0, 5, 10)] == [
        list(range(5 * e, 5 * e + 5)) for e in (1, 2, 3)
    ]


@pytest.mark.parametrize("workers", [1, 2])
def test_resume_goes_on_as_the_uninterrupted_run(workers):
    whole = train(LabelMaps(arrays(), seed=4, workers=workers), epochs=4)
    first = train(LabelMaps(arrays(), seed=4, workers=workers), epochs=2)
    fresh = LabelMaps(arrays(), seed=4, initial_epoch=2, workers=workers)
    for model in (Recorder(), first):  # not built, and built
        before = len(model.numbers)
        fresh.epoch = 2
        train(fresh, model, epochs=4, initial_epoch=2)
        assert model.numbers[before:] == whole.numbers[10:]
        assert model.values[before:] == whole.values[10:]


def test_steps_per_epoch_below_the_length_gives_the_same_numbers_every_time():
    runs = [
        train(LabelMaps(arrays(6), workers=n), epochs=6, steps_per_epoch=2).numbers
        for n in (1, 1, 3)
    ]
    assert runs[0] == runs[1] == runs[2]
    assert len(runs[0]) == len(set(runs[0])) == 12
    assert runs[0][:6] == [6, 7, 8, 9, 10, 11]


def test_steps_per_epoch_above_the_length_ends_the_epoch_early():
    with pytest.warns(UserWarning, match="ran out of data"):
        model = train(LabelMaps(arrays(3)), epochs=2, steps_per_epoch=5)
    assert model.numbers == [3, 4, 5, 6, 7, 8]


def test_fit_again_and_evaluate_never_repeat():
    maps, model = LabelMaps(arrays()), Recorder()
    train(maps, model, epochs=2)
    train(maps, model, epochs=1)
    model.evaluate(maps, verbose=0)
    assert len(model.numbers) == len(set(model.numbers)) == 20


def test_validation_maps_hand_out_the_same_samples():
    maps, model = LabelMaps(arrays(3), initial_epoch=None), Recorder()
    model.compile("sgd", run_eagerly=True)
    model.evaluate(maps, verbose=0)
    model.evaluate(maps, verbose=0)
    assert model.numbers == [0, 1, 2, 0, 1, 2]


def test_a_loop_of_ones_own():
    maps, numbers = LabelMaps(arrays()), []
    for _ in range(3):
        numbers += [n for batch in maps for n in keys(batch)]
        maps.on_epoch_end()
    assert numbers == list(range(15))


def test_workers_of_keras_cannot_be_switched_on():
    maps = LabelMaps(arrays(), workers=2)
    assert maps.workers == 1 and not maps.use_multiprocessing
    with pytest.raises(AttributeError):
        maps.use_multiprocessing = True
    with pytest.raises(TypeError, match="unknown option 'max_queue_size'; it must be shape"):
        LabelMaps(arrays(), max_queue_size=3)


# Files, grids, checks


@pytest.fixture
def folder(tmp_path):
    """Three maps that differ in shape, spacing, orientation and format."""
    rng = np.random.default_rng(0)
    write_volume(tmp_path / "a.nii.gz", rng.integers(0, 4, (8, 10, 12)), affine=np.eye(4))
    write_volume(tmp_path / "b.nii", rng.integers(0, 4, (6, 7, 5)), affine=np.diag([-2.0, 2, 2, 1]))
    lia = np.array([[-1, 0, 0, 9], [0, 0, 1, 0], [0, -1, 0, 3], [0, 0, 0, 1.0]])
    write_volume(tmp_path / "c.mgz", rng.integers(0, 4, (9, 15, 6)), affine=lia)
    return tmp_path


def test_mixed_maps_come_on_one_grid(folder):
    maps = LabelMaps(folder)
    # In RAS at 1 mm: 8 x 10 x 12, 12 x 14 x 10 and 9 x 6 x 15.
    assert maps.shape == (12, 14, 15) and maps.spacing == (1, 1, 1)
    assert maps.names == ("a", "b", "c")
    assert [p.name for p in maps.paths] == ["a.nii.gz", "b.nii", "c.mgz"]
    assert {batch[0]["labels"].shape for batch in maps} == {(1, 12, 14, 15, 1)}
    for index, name in enumerate(["a.nii.gz", "b.nii", "c.mgz"]):
        number = next(n for n in range(3) if maps.map_index(n) == index)
        (sample,) = maps.sample(number)
        data, image = sample["labels"][0, ..., 0], nib.load(folder / name)
        stored = np.asarray(image.dataobj)
        to_source = np.linalg.inv(image.affine) @ maps.affine(index)
        for voxel in np.argwhere(data)[::37]:
            source = np.rint(to_source @ [*voxel, 1])[:3].astype(int)
            assert stored[tuple(source)] == data[tuple(voxel)]
        copies = round(abs(np.linalg.det(image.affine)))
        assert np.count_nonzero(data) == copies * np.count_nonzero(stored)


def test_shape_and_spacing_are_obeyed(folder):
    maps = LabelMaps(folder, shape=(4, 6, 5), spacing=2, centre_on=[3])
    assert maps.shape == (4, 6, 5)
    assert maps[0][0]["labels"].shape == (1, 4, 6, 5, 1)
    np.testing.assert_allclose(abs(np.linalg.det(maps.affine(0))), 8)


def test_maps_are_read_again_when_they_do_not_fit_in_memory(folder, monkeypatch):
    kept = LabelMaps(folder)
    monkeypatch.setattr(LabelMaps, "cache_bytes", 12 * 14 * 15)  # one map of three
    maps = LabelMaps(folder)
    assert [c is None for c in maps._cached] == [False, True, True]
    for one, other in zip(kept, maps, strict=True):
        np.testing.assert_array_equal(one[0]["labels"], other[0]["labels"])


@pytest.mark.parametrize("workers", [1, 2])
def test_a_map_that_fails_in_a_worker_is_named_and_nothing_hangs(folder, monkeypatch, workers):
    monkeypatch.setattr(LabelMaps, "cache_bytes", 0)
    maps = LabelMaps(folder, workers=workers)
    data = bytearray((folder / "a.nii.gz").read_bytes())
    data[-6] ^= 1
    (folder / "a.nii.gz").write_bytes(data)
    found = []

    def run():
        try:
            train(maps, epochs=2)
        except Exception as error:
            found.append(str(error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    assert "a.nii.gz is corrupt" in found[0]


def test_maps_of_background_are_skipped():
    maps = [np.zeros(SHAPE, "int32"), *arrays(2)]
    with pytest.warns(UserWarning, match="map 0 is all background and was skipped"):
        data = LabelMaps(maps)
    assert data.names == ("map 1", "map 2") and len(data) == 2
    with (
        pytest.warns(UserWarning, match="skipped"),
        pytest.raises(ValueError, match="all 1 label maps are all background"),
    ):
        LabelMaps(maps[:1])


def test_table_is_obeyed(folder):
    with pytest.raises(ValueError, match=r"a\.nii\.gz holds labels .* not list: 3 \(\d+ voxels\)"):
        LabelMaps(folder, table=LabelTable.from_labels([1, 2]))
    with pytest.warns(UserWarning, match="3 label maps: listed labels that never occur: 9"):
        maps = LabelMaps(folder, table=LabelTable.from_labels([1, 2, 3, 9]))
    assert maps.labels == (0, 1, 2, 3)


def test_warnings_name_the_file_once(folder, monkeypatch):
    monkeypatch.setattr(LabelMaps, "cache_bytes", 0)
    write_volume(folder / "d.nii", np.ones((3, 3, 3), int), affine=np.diag([9.0, 9, 9, 1]))
    with pytest.warns(UserWarning, match=r"d\.nii: unusual voxels") as caught:
        maps = LabelMaps(folder)
        list(maps)
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        ([], r"`maps` must be a folder.* Received: an empty list"),
        (np.ones(SHAPE, int), "Received: ndarray"),
        ([np.ones(SHAPE)], r"`maps\[0\]` must be a path or an integer array .* float64"),
        ([np.ones(4, int)], r"of shape \(4,\)"),
        ([np.full(SHAPE, -1)], r"map 0: labels must lie in .* Received: -1 \(24 voxels\)"),
        ([np.ones(SHAPE, int), np.ones((3, 3, 3), int)], "map 1 is 3D, but map 0 is 2D"),
    ],
)
def test_maps_that_are_none(maps, message):
    with pytest.raises(ValueError, match=message):
        LabelMaps(maps)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"batch_size": 0}, r"`batch_size` must lie in \[1, 2147483647\]. .*batch_size=0"),
        ({"num_batches": 1.5}, r"`num_batches` must be a whole number. .*num_batches=1\.5"),
        ({"seed": -1}, "`seed` must lie .* Received: seed=-1"),
        ({"seed": "x"}, "`seed` must be one number. Received: seed='x'"),
        ({"initial_epoch": -2}, "`epoch` must lie .* Received: epoch=-2"),
        ({"shape": (4, 5, 6)}, "`shape` must be one whole positive number or 2"),
        ({"spacing": 0}, "`spacing` must be one positive number"),
        ({"centre_on": [77], "shape": 3}, r"map 0: none of the labels \[77\]"),
    ],
)
def test_arguments_out_of_range(kwargs, message):
    with pytest.raises(ValueError, match=message):
        LabelMaps(arrays(), **kwargs)


def test_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.nii does not exist"):
        LabelMaps([tmp_path / "none.nii"])


def test_real_maps(shared):
    paths = [shared(f"data/label_maps/head_{i:02d}.nii.gz") for i in (1, 9)]
    table = LabelTable.read(shared("data/label_maps/labels.tsv"))
    maps = LabelMaps(paths, table=table, shape=(64, 80, 80), spacing=3, centre_on=[2, 41])
    (batch,) = maps[0]
    assert batch["labels"].shape == (1, 64, 80, 80, 1)
    left, right = (np.argwhere(batch["labels"][0, ..., 0] == i)[:, 0].mean() for i in (2, 41))
    assert left < 32 < right
    assert set(maps.labels) == set(table.ids)
