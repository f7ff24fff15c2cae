"""What the pages on features and on segmentation by example say, runs as written."""

import re
import shlex
from pathlib import Path

import keras
import numpy as np
import pytest

from synthtf.cli.main import build_parser
from synthtf.data.volume_writer import write_volume
from synthtf.layers import RandomIntensity
from synthtf.networks import UNetConfig
from synthtf.tasks import in_context_segmentation, voxel_features
from synthtf.tasks.in_context.options import CrossConfig

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = ("features.md", "in_context.md")


@pytest.mark.parametrize("page", PAGES)
def test_commands_are_understood(page):
    text = (DOCS / page).read_text().replace("\\\n", " ")
    lines = re.findall(r"^    (synthtf .*)$|`(synthtf [a-z-]+ [^`]*)`", text, re.MULTILINE)
    words = [shlex.split(a or b)[1:] for a, b in lines]
    assert len(words) >= 2
    for each in words:
        assert build_parser().parse_args(each).command == each[0]


@pytest.mark.parametrize("page", PAGES)
def test_python_runs(page, tmp_path, monkeypatch):
    keras.utils.set_random_seed(0)
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    labels = np.zeros((16, 16, 16), "int32")
    labels[4:10, 4:10, 4:10] = 2
    image = np.random.default_rng(0).uniform(size=labels.shape) + labels
    monkeypatch.chdir(tmp_path)
    for name in ("T1", "T2", "scan", "a", "b"):
        write_volume(f"{name}.nii.gz", image.astype("float32"), affine=np.eye(4))
        write_volume(f"{name}_labels.nii.gz", labels, affine=np.eye(4))
    recipe = [RandomIntensity()]
    if page == "features.md":
        network = UNetConfig(2, 2)
        model = voxel_features(labels.shape, [0, 2], recipe=recipe, network=network)
    else:
        model = in_context_segmentation((16, 16), [0, 2], recipe=recipe, network=CrossConfig(2, 2))
    model.save_run("run")
    names = {"__name__": "page"}
    exec(code, names)
    if page == "features.md":
        inside = names["one"].any(-1)
        np.testing.assert_allclose(names["similarity"][inside], 1, atol=1e-5)
    else:
        assert names["labels"].data.shape == labels.shape
        assert set(np.unique(names["labels"].data)) <= {0, 2}
