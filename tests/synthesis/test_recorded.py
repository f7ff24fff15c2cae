"""What recipes draw stays what it is: labels to the bit, images to 1e-4.

`recorded.json` holds checksums of label maps and every n-th voxel of images.
"""

import json
import zlib
from pathlib import Path

import keras
import numpy as np
import pytest

from synthtf.data.phantoms import head_phantom, phantom_table
from synthtf.data.shipped_models import shipped_recipes
from synthtf.synthesis import Recipe, labels_to_pairs

RECORDED = json.loads((Path(__file__).parent / "recorded.json").read_text())
SHAPE, SPACING = (32, 40, 32), 5.0
PAIRS = {
    "pairs": ("heads", {}),
    "pairs aligned same_anatomy": ("heads", {"aligned": True, "same_anatomy": True}),
    "pairs shapes": ("synthmorph-shapes", {"shapes": 1.0}),
}


def check(model, name):
    maps = [head_phantom(n, (40, 48, 40), SPACING, detail=SPACING) for n in (1, 2)]
    labels = np.stack(maps)[..., None].astype("int32")
    batch = {"labels": labels, "key": np.array([[3, 5], [3, 8]], "int32")}
    if "scan" in model.input:
        batch["scan"] = (labels % 7).astype("float32")
    samples = model(batch)
    assert samples.keys() == RECORDED[name].keys()
    for part, expected in RECORDED[name].items():
        found = keras.ops.convert_to_numpy(samples[part])
        if found.dtype == np.int32:
            assert zlib.crc32(found.tobytes()) == expected, part
        else:
            found = found.ravel()[:: max(1, found.size // 61)]
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4, err_msg=part)


@pytest.mark.parametrize("name", shipped_recipes())
def test_recipes_draw_what_they_drew(name):
    check(Recipe.preset(name).build(SHAPE, phantom_table(), SPACING), name)


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_are_what_they_were(name):
    recipe, options = PAIRS[name]
    check(labels_to_pairs(SHAPE, phantom_table(), recipe, SPACING, **options), name)
