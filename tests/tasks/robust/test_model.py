from dataclasses import replace

import numpy as np
import pytest
from keras import ops

from synthtf.data import LabelMaps, LabelTable
from synthtf.data.tissues import tissue_table
from synthtf.layers import RandomIntensity, RandomLesions
from synthtf.networks import UNetConfig
from synthtf.synthesis import Recipe
from synthtf.tasks import RobustTask, robust_segmentation

TABLE = LabelTable(
    ids=(0, 2, 3, 17, 25, 41, 42, 53, 500),
    names=(
        *("air", "left WM", "left cortex", "left hippocampus", "left lesion"),
        *("right WM", "right cortex", "right hippocampus", "skull"),
    ),
    partners=(None, 41, 42, 53, None, 2, 3, 17, None),
    outputs=(0, 2, 3, 17, 2, 41, 42, 53, 0),
    groups=("air", "WM", "grey", "grey", "lesion", "WM", "grey", "grey", "bone"),
    brain=("no", *("yes",) * 7, "no"),
)


def test_tissues_are_the_groups_of_output_labels():
    tissues = tissue_table(TABLE)
    # The lesion is where the output has white matter.
    assert tissues.outputs == (0, 2, 3, 3, 2, 2, 3, 3, 0)
    assert tissues.output_labels == (0, 2, 3)
    assert tissues.ids == TABLE.ids and tissues.groups == TABLE.groups
    # Of the labels that occur, the same tissues remain.
    some = tissue_table(TABLE.select([2, 42, 53, 500]))
    assert some.output_labels == (0, 2, 3)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("errors", [0, 1])
def test_the_network_sees_the_image_and_its_tissues(ndim, errors):
    labels = np.zeros((16,) * ndim, "int32")
    for place, label in enumerate((2, 3, 17, 25, 41, 42, 53, 500)):
        labels[place : place + 3, 3:13] = label
    model = robust_segmentation(
        (16,) * ndim,
        TABLE,
        recipe=[RandomIntensity()],
        network=UNetConfig(features=4, levels=2),
        errors=errors,
    )
    batch = LabelMaps([labels])[0][0]
    found = {name: ops.convert_to_numpy(x) for name, x in model.synthesis(batch).items()}
    assert found["image"].shape[-1] == 4 and model.task_model.input_shape[-1] == 4
    assert found["image"][..., 0].std() > 0
    tissues = np.array([0, 2, 3])[found["image"][..., 1:].argmax(-1)]
    mapping = tissue_table(TABLE).mapping
    expected = np.vectorize(mapping.get)(found["labels"][..., 0])
    assert (tissues == expected).all() == (errors == 0)
    assert np.isfinite(float(ops.mean(model.objective(model(batch)))))


def test_the_network_sees_structures_whose_parts_it_finds():
    table = replace(TABLE, structures=(None, "left", "left", *(None,) * 6))
    labels = np.zeros((16, 16), "int32")
    for place, label in enumerate(TABLE.ids[1:]):
        labels[2 * place : 2 * place + 2, 3:13] = label
    small = UNetConfig(features=2, levels=2)
    task = RobustTask(by="structures", network=small, errors=0)
    stages = task.stages(table)
    assert [stage[1].output_labels for stage in stages.values()] == [
        (0, 2, 17, 41, 42, 53),
        (0, 2, 17, 41, 42, 53),
        (0, 2, 3, 17, 41, 42, 53),
    ]
    model = task.make((16, 16), table, recipe=[RandomIntensity()])
    found = model.synthesis(LabelMaps([labels])[0][0])
    seen = ops.convert_to_numpy(found["image"])[0, ..., 1:].argmax(-1)
    np.testing.assert_array_equal(seen[2:4, 3:13], 1)  # the cortex is a part of "left"
    assert model.output_labels == (0, 2, 3, 17, 41, 42, 53)
    with pytest.raises(ValueError, match="part_of"):
        task.make((16, 16), TABLE, recipe=[RandomIntensity()])


def test_labels_that_the_recipe_adds_are_a_tissue_in_all_three_networks():
    recipe = Recipe([RandomLesions(lesion_label=99), RandomIntensity()])
    outputs = []
    for task, table in RobustTask().stages(TABLE).values():
        bound = recipe.table(table, (16, 16))
        outputs.append(tissue_table(bound) if task.name == "robust" else bound)
    assert [table.output_labels for table in outputs] == [(0, 2, 3, 99)] * 3
