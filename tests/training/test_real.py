"""`synthtf train --real`: real scans in the place of synthetic images, or by turns with them."""

import keras
import numpy as np
import pytest

from synthtf.cli.main import main
from synthtf.data import Mixed
from synthtf.data.volume_writer import write_volume
from synthtf.layers import RandomFlip, RandomIntensity
from synthtf.runs import Run
from synthtf.synthesis import Recipe
from synthtf.tasks import SegmentationTask
from synthtf.training import TrainingPlan
from synthtf.training.workflow import make_maps, recipe_of

pytestmark = pytest.mark.usefixtures("quick_training")

SIZES = ["--features", "2", "--levels", "2", "--epochs", "1", "--steps-per-epoch", "2"]


@pytest.fixture
def data(tmp_path):
    """Two real scans with labels, in a table, a label map without a scan, and a recipe."""
    generator = np.random.default_rng(0)
    rows = ["image,labels"]
    (tmp_path / "maps").mkdir()
    for name in ("a", "b", "maps/c"):
        labels = generator.integers(0, 3, (16, 16)).astype("int32")
        write_volume(tmp_path / f"{name}.nii.gz", labels, affine=np.eye(4))
        if "/" not in name:
            write_volume(tmp_path / f"{name}_T1.nii.gz", 3.0 * labels, affine=np.eye(4))
            rows.append(f"{name}_T1.nii.gz,{name}.nii.gz")
    (tmp_path / "real.csv").write_text("\n".join(rows))
    Recipe([RandomFlip(), RandomIntensity()]).save(tmp_path / "recipe.json")
    return tmp_path


def train(data, *more):
    recipe = ["--recipe", str(data / "recipe.json"), "--real", str(data / "real.csv")]
    return main(["train", "segmentation", "-o", str(data / "run"), *recipe, *SIZES, *more])


def test_trains_on_real_scans_alone_or_by_turns(data):
    assert train(data) == 0
    run = Run.load(data / "run")
    assert run.recipe.names == ("flip", "scan_image") and run.metadata["num_maps"] == 2
    (data / "run").rename(data / "real_run")
    mixed = ["--real-share", "0.5", "--real-remapping", "0.2"]
    assert train(data, str(data / "maps"), *mixed) == 0
    run = Run.load(data / "run")
    assert run.recipe.names == ("flip", "intensity", "scan_image", "remapping")
    assert run.metadata["num_maps"] == 3


def test_one_looks_at_such_samples_first(data):
    arguments = ["--recipe", str(data / "recipe.json"), "--real", str(data / "real.csv")]
    assert main(["synthesize", "-o", str(data / "look"), "-n", "1", *arguments]) == 0
    assert (data / "look" / "sheet.png").is_file()


def plan(data, **more):
    task = SegmentationTask()
    return TrainingPlan(task=task, recipe=data / "recipe.json", real=data / "real.csv", **more)


def test_scans_show_what_is_learnt(data):
    """A real sample is the scan, and its target the labels of that scan."""
    chosen = plan(data, shape=(16, 16))
    maps = make_maps(None, None, chosen)
    batch = maps[0][0]
    sample = recipe_of(chosen).build((16, 16), maps.labels)(batch)
    image, labels = (keras.ops.convert_to_numpy(sample[name]) for name in ("image", "labels"))
    np.testing.assert_allclose(image, labels / 2, atol=1e-6)


def test_without_maps_the_real_labels_are_synthesised_from(data):
    maps = make_maps(None, None, plan(data, real_share=0.25))
    assert isinstance(maps, Mixed) and maps.num_maps == 4 and maps.num_real == 2


def test_what_does_not_fit_is_a_wrong_usage(data, capsys):
    assert train(data, str(data / "maps")) == 1
    assert "`real_share` must be below 1" in capsys.readouterr().err
    assert train(data, "--real-share", "0") == 2
    assert "`real_share` must be above 0" in capsys.readouterr().err
    assert train(data, "--scans", str(data / "maps")) == 2
    (data / "real.csv").unlink()
    assert train(data) in (1, 2)
    assert "real.csv" in capsys.readouterr().err
