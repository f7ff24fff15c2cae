import keras
import numpy as np
import pytest
from keras import ops
from scipy import ndimage

from synthtf.data import LabelMaps, LabelTable
from synthtf.networks import UNetConfig
from synthtf.synthesis import Recipe
from synthtf.tasks import StrippingTask, skull_stripping

SIZE = 32
NETWORK = UNetConfig(features=8, levels=2, activation="leaky_relu")


@pytest.fixture
def table(tmp_path):
    rows = ("0 air 0 no", "2 left 2 yes", "41 right 41 yes", "24 csf 24 csf", "502 skin 0 no")
    text = "\n".join(["id name output brain", *rows]).replace(" ", "\t")
    (tmp_path / "labels.tsv").write_text(text)
    return LabelTable.read(tmp_path / "labels.tsv")


def head(ndim=2):
    """Skin, CSF, and a brain of two halves with a sulcus of CSF and a fold of skin."""
    grid = np.stack(np.meshgrid(*[np.arange(SIZE) - (SIZE - 1) / 2] * ndim, indexing="ij"))
    radius = np.sqrt((grid**2).sum(0))
    labels = np.select([radius < 9, radius < 12, radius < 14], [2, 24, 502], 0)
    labels[(labels == 2) & (grid[0] > 0)] = 41
    labels[(np.abs(grid[0]) < 1) & (grid[1] > 3) & (radius < 12)] = 24
    labels[(np.abs(grid[0]) < 1) & (grid[1] < -3) & (radius < 12)] = 502
    return labels.astype("int32")


def make(table, ndim=2, **options):
    recipe = Recipe.preset("tutorial").without("affine", "warp", "field_of_view", "resolution")
    options.setdefault("network", NETWORK)
    return skull_stripping((SIZE,) * ndim, table, 2.0, recipe, limit=8.0, closing=4.5, **options)


def outputs(model, ndim=2):
    maps = LabelMaps([head(ndim)], batch_size=1)
    return {name: ops.convert_to_numpy(x) for name, x in model(maps[0][0]).items()}


@pytest.mark.parametrize("ndim", [2, 3])
def test_targets_are_distances_to_both_borders(table, ndim):
    found = outputs(make(table, ndim), ndim)
    assert found["distance"].shape == found["target"].shape == (1, *(SIZE,) * ndim, 2)
    labels = head(ndim)
    tissue = np.isin(labels, (2, 41))
    brain, alone = np.moveaxis(found["target"][0] < 0, -1, 0)
    np.testing.assert_array_equal(alone, tissue)
    # The sulcus belongs to the brain, the fold of skin does not.
    grown = ndimage.distance_transform_edt(~tissue, sampling=2.0) <= 4.5
    closed = ndimage.distance_transform_edt(grown, sampling=2.0) > 4.5
    np.testing.assert_array_equal(brain, tissue | (closed & (labels == 24)))
    assert (brain & ~tissue).any() and not (brain & (labels == 502)).any()
    assert np.abs(found["target"]).max() <= 8


def test_learns_from_label_maps_alone(table):
    keras.utils.set_random_seed(0)
    model = make(table)
    model.compile(keras.optimizers.Adam(0.01))
    maps = LabelMaps([head(), head().T.copy()], batch_size=4, num_batches=20, table=table)
    history = model.fit(maps, epochs=4, verbose=0, shuffle=False).history
    assert history["loss"][-1] < 0.5 * history["loss"][0], history["loss"]
    assert history["dice"][-1] > 0.8


def test_saves_and_loads_whole(table, tmp_path):
    model = make(table)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    expected = outputs(model)
    for name, value in outputs(again).items():
        np.testing.assert_array_equal(value, expected[name])


def test_without_a_table_all_labels_are_brain():
    model = skull_stripping((SIZE, SIZE), [0, 3, 7], network=NETWORK)
    assert model.output_labels == (0, 3) and model.csf == ()
    assert StrippingTask().network.level_features(9) == 4 * StrippingTask().network.features


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": UNetConfig(levels=7)}, "`shape` must be a multiple of 64"),
        ({"labels": [0], "recipe": "tutorial"}, "labels of the brain; it lists none"),
    ],
)
def test_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        skull_stripping(**{"shape": (SIZE, SIZE), "labels": [0, 2], **change})
