import numpy as np
import pytest

from synthtf.cli.main import main
from synthtf.data import LabelTable, write_volume
from synthtf.inference import segment
from synthtf.layers import RandomIntensity
from synthtf.networks import UNetConfig
from synthtf.runs import Run
from synthtf.synthesis import Recipe
from synthtf.tasks import DenoisingTask, RobustTask
from synthtf.training import Schedule
from synthtf.training.plan import TrainingPlan
from synthtf.training.workflow import train_run

SMALL = UNetConfig(features=2, levels=2)
# Errors have tests of their own; a training without makes a smaller graph.
TASK = RobustTask(network=SMALL, errors=0, denoiser=DenoisingTask(network=SMALL, errors=0))
TABLE = """id\tname\ttissue\tbrain
0\tair\tair\tno
2\tleft white matter\twhite\tyes
3\tleft cortex\tgrey\tyes
41\tright white matter\twhite\tyes
42\tright cortex\tgrey\tyes
"""
STAGES = ("tissues", "denoiser", "regions")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "labels.tsv"
    path.write_text(TABLE)
    return path


def head(ndim):
    labels = np.zeros((16,) * ndim, "int32")
    labels[2:8, 3:13], labels[8:14, 3:13] = 3, 42
    labels[4:8, 5:11], labels[8:12, 5:11] = 2, 41
    return labels


def train(folder, table, epochs, ndim=2, resume=False, task=TASK, **plan):
    plan = TrainingPlan(
        task=task,
        labels=table,
        recipe=Recipe([RandomIntensity()]),
        shape=(16,) * ndim,
        steps_per_epoch=1,
        **plan,
    )
    # Without a fall of the learning rate, a training in parts is the same as in one.
    schedule = Schedule(epochs, anneal=False, check_every=0)
    return train_run([head(ndim)], folder, plan, schedule, resume, verbose=0)


def by_hand(folder, image):
    """The three networks, one after the other."""
    tissues, denoiser, regions = (Run.load(folder / name).task_model for name in STAGES)

    def one_hot(posteriors):
        return np.eye(posteriors.shape[-1], dtype="float32")[posteriors.argmax(-1)]

    labels = one_hot(denoiser.predict_on_batch(one_hot(tissues.predict_on_batch(image))))
    return regions.predict_on_batch(np.concatenate([image, labels], -1))


@pytest.fixture(scope="module", params=[2, pytest.param(3, marks=pytest.mark.slow)])
def run(request, table, tmp_path_factory):
    """A run as it begins."""
    return train(tmp_path_factory.mktemp("robust") / "run", table, 0, request.param)


def test_three_networks_become_one_run_that_segments(run):
    loaded = Run.load(run.folder)
    assert loaded.task == "segmentation" and loaded.output_labels == (0, 2, 3, 41, 42)
    assert loaded.metadata["epochs_done"] == 0
    stages = [Run.load(run.folder / name) for name in STAGES]
    assert [stage.task for stage in stages] == ["segmentation", "denoising", "robust"]
    assert [stage.output_labels for stage in stages[:2]] == [(0, 2, 3)] * 2
    ndim = len(run.shape)
    image = np.random.default_rng(0).uniform(size=(1, *(16,) * ndim, 1)).astype("float32")
    expected = by_hand(run.folder, image)
    np.testing.assert_allclose(loaded.task_model.predict_on_batch(image), expected, atol=1e-5)


def test_the_commands_take_the_run_as_one_network(run, tmp_path, capsys):
    assert main(["info", str(run.folder)]) == 0
    assert "segmentation" in capsys.readouterr().out
    if len(run.shape) == 2:
        return
    scan = np.random.default_rng(1).uniform(size=(16, 16, 16)).astype("float32")
    scan[2:14, 3:13, 3:13] += 2
    write_volume(tmp_path / "scan.nii.gz", scan, affine=np.eye(4))
    found = segment(tmp_path / "scan.nii.gz", run.folder, flip=False, refine=False, cleaning=None)
    assert set(np.unique(found.labels.data)) <= set(run.output_labels)
    assert main(["export", str(run.folder), "-o", str(tmp_path / "exported")]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("done", [1, 2, 3])
def test_a_training_goes_on_in_the_stage_it_was_in(table, tmp_path, monkeypatch, done):
    from synthtf.training import workflow

    whole = train(tmp_path / "whole", table, 2)
    train_network, trained = workflow._train_network, []

    def killed(maps, folder, plan, schedule, resume, verbose):
        if len(trained) == done - 1:
            train_network(maps, folder, plan, Schedule(1, anneal=False, check_every=0), resume, 0)
            raise KeyboardInterrupt
        trained.append(folder.name)
        return train_network(maps, folder, plan, schedule, resume, verbose)

    monkeypatch.setattr(workflow, "_train_network", killed)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", table, 2)
    monkeypatch.undo()
    assert trained == list(STAGES[: done - 1])
    with pytest.raises(ValueError, match="holds a training; resume it"):
        train(tmp_path / "parts", table, 2)
    parts = train(tmp_path / "parts", table, 2, resume=True)
    assert parts.metadata["epochs_done"] == 6
    for found, expected in zip(
        parts.task_model.get_weights(), whole.task_model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("words", ["", "--resume --start {run}"])
def test_the_command_trains_all_three(run, table, tmp_path, monkeypatch, words):
    found = []

    def train_network(maps, folder, plan, schedule, resume, verbose):
        found.append((folder.name, plan, schedule.epochs, resume))
        return run

    monkeypatch.setattr("synthtf.training.workflow._train_network", train_network)
    monkeypatch.setattr(RobustTask, "join", lambda task, folder, runs: runs[0])
    write_volume(tmp_path / "map.nii.gz", head(3), affine=np.eye(4))
    words = f"--labels {table} --features 2 --levels 2 --epochs 7 {words.format(run=run.folder)}"
    command = ["train", "robust", str(tmp_path / "map.nii.gz"), "-o", str(tmp_path / "run")]
    assert main([*command, *words.split()]) == 0
    names, plans, epochs, resumes = zip(*found, strict=True)
    assert names == STAGES and epochs == (7,) * 3 and resumes == ("--resume" in words,) * 3
    assert [plan.task.name for plan in plans] == ["segmentation", "denoising", "robust"]
    assert [plan.labels.output_labels[1:] for plan in plans[:2]] == [(2, 3)] * 2
    assert [plan.task.network.features for plan in plans] == [2, 16, 2]
    # The default denoiser has five levels.
    assert all(plan.shape == (16, 16, 16) for plan in plans)
    starts = [run.folder / name if "--start" in words else None for name in STAGES]
    assert [plan.start for plan in plans] == starts


def test_each_network_can_begin_as_that_of_another_run(run, table, tmp_path):
    again = train(tmp_path / "again", table, 0, len(run.shape), start=run.folder, seed=1)
    for found, expected in zip(
        again.task_model.get_weights(), run.task_model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def test_what_cannot_be_trained_is_refused_before(table, tmp_path):
    with pytest.raises(ValueError, match="`labels` must be a label table"):
        train(tmp_path / "run", None, 1)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model.keras").write_text("mine")
    with pytest.raises(ValueError, match="is not of synthtf"):
        train(tmp_path / "other", LabelTable.read(table), 1)
    assert not (tmp_path / "other" / "tissues").exists()
