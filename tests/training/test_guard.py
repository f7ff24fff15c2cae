import csv
import dataclasses
import types

import keras
import numpy as np
import pytest

from synthtf.data.label_maps import LabelMaps
from synthtf.data.label_table import LabelTable
from synthtf.layers import AverageDown, RandomAffine
from synthtf.networks import UNetConfig
from synthtf.synthesis import Recipe, labels_to_pairs
from synthtf.tasks import SegmentationTask
from synthtf.training import Schedule
from synthtf.training.combined import CombinedModel
from synthtf.training.guard import (
    COLUMNS,
    FaultList,
    SampleGuard,
    Target,
    find_faults,
    middle_counts,
)
from synthtf.training.plan import TrainingPlan
from synthtf.training.workflow import make_maps, train_run

_TUTORIAL = Recipe.preset("tutorial").change("intensity", mean=(0.1, 1))
STILL = _TUTORIAL.without("affine", "warp", "field_of_view", "resolution")


def shifted(voxels):
    affine = RandomAffine(translation=voxels, rotation=0, scaling=1, shear=0)
    return Recipe([affine, *STILL])


GONE = shifted(100)


@pytest.fixture(scope="module")
def maps():
    labels = np.zeros((20, 18), "int32")
    labels[4:15, 3:13] = 2
    labels[7:11, 5:9] = 41
    return [labels, labels[::-1].copy()]


def plan(recipe, **more):
    network = SegmentationTask(UNetConfig(features=2, levels=2))
    options = {"task": network, "shape": (16, 16), "steps_per_epoch": 12, "seed": 3, **more}
    return TrainingPlan(recipe=recipe, **options)


def rows(folder):
    with open(folder / "guard.csv", newline="") as file:
        return list(csv.DictReader(file))


def guard_of(maps, recipe, tmp_path, pairs=False, table=None, **options):
    """A guard in the first epoch of a training that never runs."""
    table = table or LabelTable.from_labels([0, 2, 41])
    data = LabelMaps(maps, seed=3, **options)
    guard = SampleGuard(FaultList(data, tmp_path), table)
    model = labels_to_pairs((16, 16), table, recipe) if pairs else recipe.build((16, 16), table)
    guard.set_model(types.SimpleNamespace(synthesis=model))
    guard.on_epoch_begin(0)
    return guard


def test_faults_of_an_image():
    image = np.random.default_rng(0).uniform(0, 1, (8, 8))
    labels = np.zeros((8, 8), "int32")
    labels[2:6, 2:6] = 2
    assert find_faults(image, labels, [2], 16) == []
    assert find_faults(np.where(image > 0.5, np.nan, image), labels, [2]) == ["not finite"]
    assert find_faults(image + np.inf, labels, [2]) == ["not finite"]
    assert find_faults(np.zeros((8, 8)), labels, [2]) == ["constant"]
    # One bright voxel outside, and next to nothing within.
    flat = 0.001 * image
    flat[0, 0] = 1
    assert find_faults(flat, labels, [2]) == ["no contrast"]
    assert find_faults(image, labels, [41]) == ["out of view"]
    assert find_faults(image, labels, [2], 16 * 25) == ["out of view"]
    assert find_faults(image, labels, [2], 16 * 15) == []


def test_middle_of_a_map():
    labels = np.zeros((7, 4), "int32")
    labels[2:5, :] = 2
    labels[0] = 41
    assert middle_counts(labels, (4, 6)) == {0: 4, 2: 12}
    assert middle_counts(labels, (7, 2)) == {0: 6, 2: 6, 41: 2}


def test_a_flip_loses_no_label():
    """A lesion of the left side becomes one of the right, which is not lost."""
    table = LabelTable(
        ids=(0, 2, 25, 41, 57, 9),
        names=("background", "Left-A", "Left-B", "Right-A", "Right-B", "skin"),
        partners=(None, 41, 57, 2, 25, None),
        outputs=(0, 2, 25, 41, 57, 0),
        groups=("x",) * 6,
        brain=("no", *["yes"] * 4, "no"),
    )
    target = Target.of(table, _TUTORIAL.build((4, 4), table))
    assert target.foreground == (2, 25, 41, 57)
    shown = {0: 5, 2: 3, 25: 1, 41: 3, 9: 4}
    assert target.lost(shown, [0, 2, 25, 41]) == []
    assert target.lost(shown, [0, 2, 41, 57]) == []
    assert target.lost(shown, [0, 2, 41]) == [25]
    assert target.lost(shown, [0, 57]) == [2, 41]


def test_useless_samples_stop_a_training(maps, tmp_path):
    folder, recipe = tmp_path / "run", plan(GONE, batch_size=20)
    folder.mkdir()
    (folder / "guard.csv").write_text("of a training before\n")
    with pytest.raises(ValueError, match="20 of the first 20 samples are useless") as error:
        train_run(maps, folder, recipe, Schedule(epochs=4), verbose=0)
    assert "20 out of view" in str(error.value)
    found = rows(folder)
    assert len(found) == 20 and set(found[0]) == set(COLUMNS)
    assert all(row["faults"].split("; ")[-1] == "out of view" for row in found)
    # The keys are those that the training used from its first step on, and give such samples.
    assert [int(row["number"]) for row in found] == list(range(240, 260))
    assert "--replay 3 240 " in str(error.value)
    data = make_maps(maps, None, recipe)
    model = GONE.build((16, 16), [0, 2, 41])
    for row in found[:2]:
        batch = data.sample(int(row["number"]))[0]
        assert batch["key"].tolist() == [[int(row["seed"]), int(row["number"])]]
        assert data.names[data.map_index(int(row["number"]))] == row["map"]
        assert not np.asarray(model(batch)["labels"]).any()


class Quick(keras.Model):
    """Compiles in no time, for what `fit` does around a model."""

    def __init__(self, synthesis):
        super().__init__()
        self.synthesis = synthesis
        self.dense = keras.layers.Dense(1)

    def call(self, x):
        return self.dense(keras.ops.cast(x["key"], "float32"))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return keras.ops.mean(y_pred)


@pytest.mark.parametrize("epoch", [0, 2])
def test_good_samples_pass_and_numbers_are_those_of_the_steps(
    maps, tmp_path, monkeypatch, capsys, epoch
):
    """Also where Keras fetches batches ahead, and after a resume."""
    handed, checked = {}, []
    get, look = LabelMaps.__getitem__, SampleGuard.check

    def record(self, index):
        batch = get(self, index)
        handed.setdefault(self.epoch, {})[index] = batch[0]["key"][:, 1].tolist()
        return batch

    def check(self, batch):
        numbers = self.faults.numbers(self._epoch, batch)
        checked.append((self.faults.maps.epoch, batch, list(numbers)))
        look(self, batch)

    monkeypatch.setattr(LabelMaps, "__getitem__", record)
    monkeypatch.setattr(SampleGuard, "check", check)
    data = LabelMaps(maps, seed=3, batch_size=2, num_batches=3, initial_epoch=epoch)
    model = Quick(STILL.build((16, 16), [0, 2, 41]))
    model.compile("sgd")
    guard = SampleGuard(FaultList(data, tmp_path), LabelTable.from_labels([0, 2, 41]))
    options = {"epochs": epoch + 2, "initial_epoch": epoch, "shuffle": False, "verbose": 0}
    model.fit(data, callbacks=[guard], **options)
    assert [(at - epoch, batch) for at, batch, _ in checked] == [
        (1, 0),
        (1, 1),
        (1, 2),
        (2, 0),
        (2, 1),
    ]
    for at, batch, numbers in checked:
        assert handed[at][batch] == numbers
    assert (guard.checked, guard.bad) == (10, 0)
    assert not (tmp_path / "guard.csv").exists()
    assert "samples checked" not in capsys.readouterr().err


def test_lost_labels_are_counted_once_per_epoch(maps, tmp_path, capsys):
    small = maps[0].copy()
    small[small == 41] = 2
    small[2, 16] = 41  # in the corner of the box, which a shift in any direction takes it out of
    guard = guard_of([small], shifted(3), tmp_path)
    guard.check(0)
    guard.check(0)
    assert guard.bad == 0
    guard.on_epoch_begin(1)
    line = "of 2 samples checked: 2 without all their labels (41); see "
    assert capsys.readouterr().err == f"{line}{tmp_path / 'guard.csv'}\n"
    guard.on_train_end()
    assert capsys.readouterr().err == ""
    assert [row["lost_labels"] for row in rows(tmp_path)] == ["41", "41"]
    assert [row["faults"] for row in rows(tmp_path)] == ["", ""]


def test_pairs_are_checked_image_by_image(maps, tmp_path):
    guard = guard_of(maps, GONE, tmp_path, pairs=True, batch_size=4, num_batches=1)
    guard.check(0)
    assert guard.checked == guard.bad == 4
    assert [row["number"] for row in rows(tmp_path)] == ["4", "5", "6", "7"]
    good = tmp_path / "good"
    good.mkdir()
    guard = guard_of(maps, STILL, good, pairs=True, batch_size=4, num_batches=1)
    guard.check(0)
    assert (guard.checked, guard.bad) == (4, 0) and not list(good.iterdir())


def test_checks_are_rare_after_the_first_samples(maps, tmp_path, monkeypatch):
    guard = guard_of(maps, STILL, tmp_path, batch_size=5)
    guard.every = 10
    steps = []
    monkeypatch.setattr(
        guard,
        "check",
        lambda batch: (steps.append(batch), setattr(guard, "checked", guard.checked + 5)),
    )
    for batch in range(31):
        guard.on_train_batch_begin(batch)
    assert steps == [0, 1, 10, 20, 30]


@pytest.mark.parametrize("every", [0, 7])
def test_the_guard_can_be_left_out(maps, tmp_path, monkeypatch, every):
    used = []
    monkeypatch.setattr(
        CombinedModel,
        "fit",
        lambda self, maps, callbacks, **options: used.extend(callbacks),
    )
    schedule = Schedule(epochs=1, check_every=every)
    train_run(maps, tmp_path / "run", plan(STILL), schedule, verbose=0)
    guards = [callback for callback in used if isinstance(callback, SampleGuard)]
    assert [guard.every for guard in guards] == ([every] if every else [])
    with pytest.raises(ValueError, match="check_every"):
        dataclasses.replace(schedule, check_every=-1)


def test_larger_voxels_are_no_fault_and_lose_no_thin_label(tmp_path):
    """A line one voxel thin is nowhere the most frequent label of a block of two by two."""
    labels = np.zeros((20, 18), "int32")
    labels[4:15, 3:13] = 2
    labels[8, 4:12] = 41
    recipe = Recipe([*STILL, AverageDown(4)])
    guard = guard_of([labels], recipe, tmp_path, num_batches=1)
    guard.check(0)
    assert (guard.checked, guard.bad) == (1, 0)
    assert not (tmp_path / "guard.csv").exists()
