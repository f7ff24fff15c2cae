import dataclasses
import re
import types

import numpy as np
import pytest

from synthtf.data import read_volume
from synthtf.data.label_table import LabelTable
from synthtf.inference.plausible import doubt

SPACING = (4.0, 4.0, 4.0)


def run(task="stripping", brain=("cortex", "white matter"), shape=(60, 60, 60), **fields):
    """A network for whole brains, or for what is named."""
    table = LabelTable.from_labels(range(1, 1 + len(brain)))
    table = dataclasses.replace(
        table, names=("background", *brain), brain=("no", *["yes"] * len(brain))
    )
    facts = {"task": task, "table": table, "shape": shape, "spacing": SPACING}
    return types.SimpleNamespace(**{**facts, **fields})


def ellipsoid(axes, shape=(60, 60, 60), centre=None):
    """With axes in mm."""
    centre = (np.array(shape) - 1) / 2 if centre is None else np.array(centre)
    grid = np.indices(shape) - centre[:, None, None, None]
    halves = np.array(axes)[:, None, None, None] / 8
    return ((grid / halves) ** 2).sum(0) < 1


def filled(*box, shape=(60, 60, 60)):
    region = np.zeros(shape, bool)
    region[box] = True
    return region


@pytest.mark.parametrize(
    "inside",
    [
        ellipsoid((140, 180, 130)),
        ellipsoid((180, 220, 140)),  # 2.9 L: hydrocephalus
        ellipsoid((45, 55, 40)),  # a fetus
        ellipsoid((140, 180, 130), (36, 46, 33)),  # a tight crop
        ellipsoid((140, 180, 130), (60, 60, 4)),  # a slab
        ellipsoid((140, 180, 130), centre=(30, 30, 59 + 13)),  # of a neck, with some cerebellum
        np.ones((20, 20, 20), bool),  # a box of 80 mm within a brain
        np.zeros((60, 60, 60), bool),  # nothing has a message of its own
    ],
)
def test_what_can_be_a_brain(inside):
    assert doubt(inside, SPACING, run()) is None


@pytest.mark.parametrize(
    ("inside", "reason"),
    [
        (ellipsoid((220, 230, 220)), "has .* mL, and no brain has more than 3000"),
        (ellipsoid((20, 30, 20)), "it has 6.* mL, and no brain has less than 20"),
        (filled(slice(0, 2), slice(0, 2), slice(0, 2)), "it has 0.51 mL"),
        (~filled(slice(1, -1), slice(1, -1), slice(1, -1)), "touches all sides"),
        (filled(slice(5, 55), slice(29, 31), slice(20, 40)), None),
        (filled(slice(30, 40), slice(2, -2), slice(5, 9)), None),
        (filled(slice(30, 40), slice(0, 70), slice(5, 9), shape=(60, 80, 60)), "280 mm long"),
    ],
)
def test_what_cannot_be_a_brain(inside, reason):
    found = doubt(inside, SPACING, run())
    if reason is None:
        assert found is None
    else:
        assert re.search(reason, found)


@pytest.mark.parametrize(
    "other",
    [
        run("segmentation", brain=()),  # vessels, cells, a spine
        run(shape=(16, 16, 16)),  # trained on less than a head
    ],
)
@pytest.mark.parametrize("inside", [np.ones((60, 60, 60), bool), ellipsoid((20, 20, 20))])
def test_other_networks_are_not_judged(other, inside):
    assert doubt(inside, SPACING, other) is None


def test_parts_of_a_brain_are_small():
    little = ellipsoid((20, 30, 20))
    assert doubt(little, SPACING, run("segmentation", brain=("Left-Hippocampus",))) is None
    names = ("Left-Cerebral-White-Matter", "Left-Cerebral-Cortex")
    assert "less than 20" in doubt(little, SPACING, run("segmentation", brain=names))
    everything = np.ones((60, 60, 60), bool)
    assert doubt(everything, SPACING, run("segmentation", brain=("Left-Hippocampus",)))


@pytest.mark.filterwarnings("ignore::UserWarning")  # of headers
@pytest.mark.parametrize(
    "name",
    [
        *("fetal/sb21_labels", "fetal/sb34_labels", "label_maps/fetal_38weeks"),
        *("scans/a_labels", "scans/c_labels", "scans/d_brainmask", "scans/e_T2_brainmask"),
        *("lesions/g39_brainmask", "templates/mni_brainmask_1mm", "templates/ct_brainmask_1mm"),
    ],
)
def test_real_brains_are_brains(shared, name):
    volume = read_volume(shared(f"data/{name}.nii.gz"))
    assert doubt(volume.data > 0, volume.spacing, run()) is None
