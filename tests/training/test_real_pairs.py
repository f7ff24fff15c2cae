"""Pairs of real scans without labels, by turns with synthetic ones, in a registration."""

import json

import keras
import numpy as np
import pytest
from keras import ops
from scipy.ndimage import gaussian_filter

from synthtf.cli.main import main
from synthtf.data import LabelMaps
from synthtf.data.volume_writer import write_volume
from synthtf.layers import RandomAffine, RandomIntensity
from synthtf.losses import local_ncc
from synthtf.networks import RegistrationConfig
from synthtf.synthesis import Recipe, labels_to_pairs
from synthtf.tasks import registration
from synthtf.training import MixedPairs

pytestmark = pytest.mark.usefixtures("quick_training")

SHAPES = {2: (16, 16), 3: (8, 8, 8)}
UNET = RegistrationConfig(encoder=(4, 4), decoder=(4, 4, 4), detector=None)


def boxes(ndim=2):
    made = []
    for size in (3, 4, 5):
        labels = np.zeros(SHAPES[ndim], "int32")
        labels[(slice(1, size), *(slice(2, 6),) * (ndim - 1))] = 1
        made.append(labels)
    return made


def scans(number=3, ndim=2):
    generator = np.random.default_rng(number)
    noise = generator.uniform(size=(number, *SHAPES[ndim]))
    return [gaussian_filter(one, 1).astype("float32") for one in noise]


def shown():
    return Recipe(
        [RandomAffine(translation=(-1, 1), rotation=0, scaling=1, shear=0), RandomIntensity()]
    ).with_scans(synthetic=True)


def mixed(real=None, ndim=2, **options):
    real = scans(ndim=ndim) if real is None else real
    return MixedPairs(boxes(ndim), real, **{"share": 0.5, "seed": 3, "batch_size": 4} | options)


def make(ndim=2, **options):
    return registration(SHAPES[ndim], [0, 1], recipe=shown(), network=UNET, **options)


def numpy(outputs):
    return {name: ops.convert_to_numpy(x) for name, x in outputs.items()}


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_a_share_of_the_pairs_is_real(share):
    maps = mixed(share=share)
    kinds = np.array([maps.map_index(number) < maps.num_real for number in range(80)])
    assert (kinds[::2] == kinds[1::2]).all()
    assert kinds[:40].sum() == kinds[40:].sum() == 40 * share
    again = mixed(share=share, batch_size=2)
    order = [maps.map_index(number) for number in range(80)]
    assert [again.map_index(number) for number in range(80)] == order


def test_named_pairs_come_once_a_pass_and_others_are_drawn():
    first, second, third = scans()
    named = mixed([(first, second), (second, third)])
    pairs = [tuple(named.map_index(n + row) for row in (0, 1)) for n in range(2, 34, 4)]
    assert named.num_real == 3
    assert all({*pairs[i : i + 2]} == {(0, 1), (1, 2)} for i in range(0, 8, 2))
    drawn = mixed([first, second, third])
    pairs = {tuple(drawn.map_index(n + row) for row in (0, 1)) for n in range(2, 202, 4)}
    assert pairs == {(i, j) for i in range(3) for j in range(3) if i != j}


@pytest.mark.parametrize("ndim", [2, 3])
def test_synthetic_pairs_are_those_of_a_training_without_real_ones(ndim):
    maps = mixed(ndim=ndim)
    batch = maps[0][0]
    real = labels_to_pairs(SHAPES[ndim], [0, 1], shown())(batch)
    real = numpy(real)
    assert real["real"].tolist() == [[0], [1]]
    assert not real["moving_labels"][1].any() and not real["fixed_labels"][1].any()
    plain = Recipe(
        [RandomAffine(translation=(-1, 1), rotation=0, scaling=1, shear=0), RandomIntensity()]
    )
    labels = {name: batch[name] for name in ("labels", "key")}
    found = numpy(labels_to_pairs(SHAPES[ndim], [0, 1], plain)(labels))
    for name in ("moving", "fixed", "moving_labels", "fixed_labels"):
        np.testing.assert_array_equal(found[name][0], real[name][0])
    # Without steps behind the contrast, the images of a real pair are the scans that were moved.
    for name in ("moving", "fixed"):
        image, scan = real[name][1], real[f"{name}_scan"][1]
        np.testing.assert_allclose(image, (scan - scan.min()) / np.ptp(scan), atol=1e-5)
    # A number says all of a sample.
    one = np.concatenate([maps.sample(number)[0]["scan"] for number in (2, 3)])
    np.testing.assert_array_equal(one, batch["scan"][2:])


@pytest.mark.parametrize("kind", ["deformable", "affine"])
def test_a_real_pair_is_compared_by_its_intensities(kind):
    options = {} if kind == "deformable" else {"kind": kind, "features": 2}
    if kind == "affine":
        model = registration((32, 32), [0, 1], recipe=shown(), mixture_channels=0, **options)
        wide = [np.pad(labels, 8) for labels in boxes()]
        maps = MixedPairs(wide, [np.pad(s, 8) for s in scans()], batch_size=4)
    else:
        model, maps = make(regularization=0.0, similarity=0.5), mixed()
    outputs = model(maps[0][0])
    loss = ops.convert_to_numpy(model.objective(outputs))
    found = -numpy({"ncc": local_ncc(outputs["fixed_scan"], outputs["moved_scan"])})["ncc"]
    weight = 0.5 if kind == "deformable" else 1.0
    np.testing.assert_allclose(loss[1], weight * (1 - found[1]), atol=1e-5)
    dice = ops.convert_to_numpy(
        model.soft_dice(outputs["fixed_structures"], outputs["moved_structures"])
    )
    np.testing.assert_allclose(loss[0], dice[0], atol=1e-5)
    model.update_metrics(outputs)
    metrics = {metric.name: float(metric.result()) for metric in (model.dice, model.ncc)}
    np.testing.assert_allclose(metrics["dice"], 1 - dice[0], atol=1e-5)
    np.testing.assert_allclose(metrics["ncc"], found[1], atol=1e-5)


def test_learns_to_align_a_real_pair():
    keras.utils.set_random_seed(1)
    (scan,) = scans(1)
    still = Recipe([RandomIntensity()]).with_scans(synthetic=True)
    model = registration((16, 16), [0, 1], recipe=still, network=UNET, regularization=0.01)
    model.compile(keras.optimizers.Adam(1e-2))
    model.run_eagerly = keras.backend.backend() != "jax"
    (batch,) = mixed([(np.roll(scan, 1, axis=0), scan)])[0]
    found = [model.train_on_batch(batch, return_dict=True)["ncc"] for _ in range(12)]
    assert np.mean(found[-3:]) > np.mean(found[:3]) + 0.02, found


def test_a_model_with_real_pairs_survives_its_config():
    model = make(similarity=0.3)
    again = type(model).from_config(model.get_config())
    again.set_weights(model.get_weights())
    batch = mixed()[0][0]
    np.testing.assert_allclose(
        *(ops.convert_to_numpy(m.objective(m(batch))) for m in (model, again))
    )


@pytest.mark.parametrize("ndim", [2, 3])
def test_scans_of_any_grid_are_brought_to_that_of_the_maps(tmp_path, ndim):
    """A turned, flipped and finer file gives what the scan itself gives; the head is centred."""
    scan = np.kron(scans(1, ndim)[0], np.ones((2,) * ndim)).astype("float32")
    affine = np.diag([*(0.5,) * ndim, *(1.0,) * (4 - ndim)])
    write_volume(tmp_path / "a.nii.gz", scan, affine=affine)
    turned = affine.copy()
    turned[:, [0, 1]] = affine[:, [1, 0]]
    turned[:3, 0] *= -1
    write_volume(tmp_path / "b.nii.gz", scan.swapaxes(0, 1)[::-1], affine=turned)
    maps = mixed([(tmp_path / "a.nii.gz", tmp_path / "b.nii.gz")], ndim)
    moving, fixed = maps[0][0]["scan"][2:, ..., 0]
    np.testing.assert_allclose(moving, fixed, atol=1e-5)
    expected = scans(1, ndim)[0]
    assert np.corrcoef(moving.ravel(), expected.ravel())[0, 1] > 0.9
    assert moving.min() == 0 and moving.max() == 1
    np.testing.assert_allclose(maps.affine(0)[:3, :ndim], np.eye(3)[:, :ndim], atol=1e-6)


def test_the_head_of_a_scan_is_put_in_the_middle():
    image = np.zeros((96, 96), "float32")
    image[10:70, 30:90] = np.random.default_rng(0).uniform(0.5, 1, (60, 60))
    maps = MixedPairs([np.ones((64, 64), "int32")], [image, image.T], seed=3)
    seen = next(batch[0]["scan"][0, ..., 0] for batch in (maps.sample(2),))
    rows = np.flatnonzero(seen.any(axis=1))
    assert abs((rows[0] + rows[-1]) / 2 - 31.5) <= 1 and len(rows) == 60


def flat(value=1.0):
    return np.full((16, 16), value, "float32")


@pytest.mark.parametrize(
    ("real", "options", "message"),
    [
        ([flat(), *scans(1)], {}, "real scan 0 is constant"),
        ([flat(np.nan), *scans(1)], {}, "real scan 0: 256 voxels are NaN"),
        ([*scans(1), *scans(1, 3)], {}, "real scan 1 is 3D, but real scan 0 is 2D"),
        (scans(2, 3), {}, "is 2D, but real scan 0 is 3D"),
        (scans(1), {}, "must name a pair, or two scans or more"),
        ([], {}, "must name a pair, or two scans or more"),
        ([tuple(scans(2)), *scans(1)], {}, "must be tuples"),
        (["no.nii.gz", "none.nii.gz"], {}, "no.nii.gz"),
        ("none.csv", {}, "none.csv"),
        (scans(2), {"batch_size": 3}, "`batch_size` must be even"),
        (scans(2), {"share": 1.0}, "`share` must lie in"),
        (scans(2), {"patch": (8, 8), "around": [1]}, "`around` must be left out"),
    ],
)
def test_what_cannot_be_paired(real, options, message):
    with pytest.raises((ValueError, OSError), match=message) as caught:
        mixed(real, **options)
    assert "\n" not in str(caught.value)


@pytest.fixture
def data(tmp_path):
    """Label maps, a table of pairs and a recipe."""
    (tmp_path / "maps").mkdir()
    for number, labels in enumerate(boxes()):
        write_volume(tmp_path / "maps" / f"{number}.nii.gz", labels, affine=np.eye(4))
    (tmp_path / "scans").mkdir()
    for number, scan in enumerate(scans()):
        write_volume(tmp_path / "scans" / f"{number}.nii.gz", scan, affine=np.eye(4))
    rows = ["moving,fixed", "scans/0.nii.gz,scans/1.nii.gz", "scans/1.nii.gz,scans/2.nii.gz"]
    (tmp_path / "pairs.csv").write_text("\n".join(rows))
    Recipe(
        [RandomAffine(translation=(-1, 1), rotation=0, scaling=1, shear=0), RandomIntensity()]
    ).save(tmp_path / "recipe.json")
    return tmp_path


def train(data, run, *more):
    size = ["--features", "2", "--no-detector", "--steps-per-epoch", "2", "--no-anneal"]
    words = [data / "maps", "-o", data / run, "--recipe", data / "recipe.json", *size, *more]
    return main(["train", "registration", *map(str, words)])


def test_the_command_resumes_with_the_same_pairs(data):
    real = ["--real", data / "pairs.csv", "--real-share", "0.5", "--similarity", "0.5"]
    assert train(data, "whole", "--epochs", "2", *real) == 0
    assert train(data, "parts", "--epochs", "1", *real) == 0
    assert train(data, "parts", "--epochs", "2", "--resume", *real) == 0
    whole, parts = ((data / run / "log.csv").read_text() for run in ("whole", "parts"))
    keep = [i for i, name in enumerate(whole.splitlines()[0].split(",")) if name != "minutes"]
    rows = [[[line.split(",")[i] for i in keep] for line in t.splitlines()] for t in (whole, parts)]
    assert rows[0] == rows[1] and "ncc" in rows[0][0]
    facts = json.loads((data / "whole" / "run.json").read_text())
    assert facts["similarity"] == 0.5
    # Images of one intensity lack contrast; scans are not looked at where they have no labels.
    listed = (data / "whole" / "guard.csv").read_text().splitlines()[1:]
    assert {int(line.split(",")[1]) // 2 % 2 for line in listed} == {0}


def test_a_folder_of_scans_is_paired_at_random(data, capsys):
    assert train(data, "run", "--epochs", "1", "--real", data / "scans", "--real-share", "0.5") == 0
    assert train(data, "other", "--epochs", "1", "--real", data / "pairs.csv") == 1
    assert "`real_share` must be below 1" in capsys.readouterr().err
    (data / "scans" / "1.nii.gz").unlink()
    more = ["--real", data / "pairs.csv", "--real-share", "0.5"]
    assert train(data, "other", "--epochs", "1", *more) in (1, 2)
    error = capsys.readouterr().err.strip()
    assert "1.nii.gz" in error.splitlines()[-1]


def test_label_maps_without_pairs_are_as_before():
    assert "scan" not in LabelMaps(boxes(), batch_size=2)[0][0]
    model = registration((16, 16), [0, 1], recipe="tutorial", network=UNET)
    assert model.ncc is None and "real" not in model.synthesis.output


def test_real_pairs_are_not_aligned_by_labels_that_they_lack():
    batch = mixed()[0][0]
    still = Recipe([RandomIntensity()]).with_scans(synthetic=True)
    found = numpy(labels_to_pairs((16, 16), [0, 1], still, aligned=True)(batch))
    np.testing.assert_allclose(found["moving_scan"][1], batch["scan"][2], atol=1e-4)
