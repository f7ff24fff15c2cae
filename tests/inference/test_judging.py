import csv

import keras
import numpy as np
import pytest

from synthtf.cli.main import main
from synthtf.data import LabelTable, Volume, write_volume
from synthtf.inference import normalize_intensity
from synthtf.inference.judging import Judgement, judge, judge_image
from synthtf.layers import KeepDraw, RandomIntensity, RandomNoise
from synthtf.networks import UNetConfig
from synthtf.runs import Run
from synthtf.synthesis import Recipe
from synthtf.tasks import segmentation, segmentation_quality
from synthtf.tasks.quality.options import JudgeConfig

SIZE = 16
TABLE = LabelTable(
    ids=(0, 2, 3, 41, 42),
    names=("air", "left WM", "left cortex", "right WM", "right cortex"),
    partners=(None, 41, 42, 2, 3),
    outputs=(0, 2, 3, 41, 42),
    groups=("air", "white", "grey", "white", "grey"),
    brain=("no", *("yes",) * 4),
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Untrained runs: a segmentation, and what judges it."""
    folder = tmp_path_factory.mktemp("runs")
    options = {"labels": TABLE, "spacing": 2, "recipe": [RandomIntensity()]}
    segmentation((SIZE,) * 3, network=UNetConfig(2, 2), **options).save_run(folder / "run")
    small = JudgeConfig(features=2, levels=2, kernel_size=3)
    segmentation_quality((SIZE,) * 3, network=small, **options).save_run(folder / "judge")
    return folder / "run", folder / "judge"


def labels():
    found = np.zeros((SIZE,) * 3, "int32")
    found[2:8, 3:13, 4:12], found[8:14, 3:13, 4:12] = 3, 42
    found[4:8, 5:11, 6:10], found[8:12, 5:11, 6:10] = 2, 41
    return found


def test_scores_are_those_of_the_network_on_its_grid(runs):
    from synthtf.runs import Run

    run, affine = Run.load(runs[1]), np.diag([2.0, 2, 2, 1])
    kinds = np.select([np.isin(labels(), [2, 41]), labels() > 0], [1, 2])
    expected = run.task_model.predict_on_batch(np.eye(3, dtype="float32")[kinds][None])[0]
    found = judge(Volume(labels(), affine), run)
    assert list(found.scores) == ["white", "grey"]
    np.testing.assert_allclose(list(found.scores.values()), np.clip(expected, 0, 1), atol=1e-6)
    # Orientation, voxel size and padding of the file do not matter.
    fine = np.pad(np.repeat(labels(), 2, axis=0), ((6, 0), (2, 3), (0, 0)))[::-1]
    other = judge(Volume(fine, np.diag([-1.0, 2, 2, 1])), run)
    np.testing.assert_allclose(list(other.scores.values()), list(found.scores.values()), atol=1e-6)
    assert judge(Volume(0 * labels(), affine), run).verdict in ("good", "poor")


def test_a_verdict_is_that_of_the_worst_tissue():
    assert Judgement({"a": 0.9, "b": 0.65}).verdict == "good"
    assert Judgement({"a": 0.9, "b": 0.64}).verdict == "poor"


def test_what_cannot_be_judged_is_refused(runs):
    with pytest.raises(ValueError, match="does not know"):
        judge(Volume(labels() + 1, np.eye(4)), runs[1])
    with pytest.raises(ValueError, match="task 'quality'"):
        judge(Volume(labels(), np.eye(4)), runs[0])


def test_the_command_writes_a_table(runs, tmp_path, capsys):
    scan = np.random.default_rng(1).uniform(size=(SIZE,) * 3).astype("float32")
    write_volume(tmp_path / "scan.nii.gz", scan, affine=np.diag([2.0, 2, 2, 1]))
    words = ["segment", str(tmp_path / "scan.nii.gz"), "-o", str(tmp_path / "out.nii.gz")]
    words += ["--model", str(runs[0]), "--qc", str(tmp_path / "qc.csv")]
    assert main(words) == 2
    assert "--qc and --qc-model" in capsys.readouterr().err
    main([*words, "--qc-model", str(runs[1])])
    with open(tmp_path / "qc.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert list(row) == ["scan", "white", "grey", "verdict"]
    assert 0 <= float(row["grey"]) <= 1 and row["verdict"] in ("good", "poor")


@pytest.fixture(scope="module")
def rater(tmp_path_factory):
    """A network that tells the mean of an image, and twice as much."""
    image = keras.Input((None, None, None, 1), name="image")
    mean = keras.layers.GlobalAveragePooling3D()(image)
    facts = {
        "task": "quality",
        "shape": [SIZE] * 3,
        "spacing": [2.0] * 3,
        "multiple": 1,
        "output_labels": [],
        "numbers": ["noise", "blur"],
    }
    steps = [RandomIntensity(), RandomNoise(), KeepDraw()]
    folder = tmp_path_factory.mktemp("rater")
    run = Run.create(folder, LabelTable.from_labels([0, 1]), Recipe(steps), facts)
    run.save_model(keras.Model(image, keras.ops.concatenate([mean, 2 * mean - 0.7], axis=-1)))
    return run


def wave():
    grid = np.meshgrid(*[np.linspace(0, 1, n) for n in (30, 40, 35)], indexing="ij")
    data = (100 + 50 * np.cos(4 * np.pi * grid[1])).astype("float32")
    return Volume(data, np.diag([2.0, 2, 2, 1]))


def test_numbers_of_an_image_are_those_of_the_network(rater):
    data = wave().data
    expected = normalize_intensity(data).mean()
    found = judge_image(wave(), rater)
    assert list(found) == ["noise", "blur"]
    assert found["noise"] == pytest.approx(expected, abs=1e-3)
    assert found["blur"] == pytest.approx(max(0, 2 * expected - 0.7), abs=2e-3)
    # A finer scan of another orientation is the same.
    fine = np.repeat(data, 2, axis=0)[::-1]
    other = judge_image(Volume(fine, np.diag([-1.0, 2, 2, 1])), rater)
    assert other["noise"] == pytest.approx(found["noise"], abs=0.01)


def test_a_judge_of_the_other_kind_is_refused(rater, runs):
    with pytest.raises(
        ValueError, match=r"judges segmentations\. Received: one that judges images"
    ):
        judge(Volume(labels(), np.eye(4)), rater)
    with pytest.raises(ValueError, match=r"judges images\. Received: one that judges segm"):
        judge_image(wave(), runs[1])


def test_the_command_writes_a_row_per_scan_and_goes_on(rater, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        write_volume(tmp_path / "in" / f"{name}.nii.gz", wave().data, affine=wave().affine)
    (tmp_path / "in" / "c.nii.gz").write_bytes(b"no volume")
    csv_file = tmp_path / "quality.csv"
    words = ["quality", str(tmp_path / "in"), "--csv", str(csv_file), "--model", str(rater.folder)]
    assert main(words) == 1
    assert "c.nii.gz" in capsys.readouterr().err
    with open(csv_file, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [list(row) for row in rows] == [["scan", "noise", "blur"]] * 2
    assert float(rows[1]["noise"]) == pytest.approx(judge_image(wave(), rater)["noise"], abs=1e-4)
    (tmp_path / "in" / "c.nii.gz").unlink()
    assert main([*words, "--skip-existing"]) == 0
    assert "2" in capsys.readouterr().err
