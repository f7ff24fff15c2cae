"""Layers of another package in a recipe, from the command line."""

import json
import sys

import pytest

from synthtf.cli.main import main
from synthtf.data.phantoms import write_phantoms

LAYER = '''
import keras
from synthtf.arguments import Proportion
from synthtf.layers import RandomLayer
from synthtf.layers.base import as_image, expand


@keras.saving.register_keras_serializable(package="ripple_lab")
class RandomRipple(RandomLayer):
    """Darken the image."""

    def __init__(self, depth: Proportion = (0, 0.5), **kwargs):
        super().__init__(depth=depth, **kwargs)

    def draw(self, key, shape):
        return {"depth": self.uniform(key, "depth", self.depth)}

    def transform(self, inputs, draws):
        image = as_image(inputs)
        return image * (1 - expand(draws["depth"], image))
'''


@pytest.fixture
def files(tmp_path, monkeypatch):
    (tmp_path / "ripple_lab.py").write_text(LAYER)
    monkeypatch.syspath_prepend(str(tmp_path))
    write_phantoms(tmp_path / "maps", 2, 0, (24, 28, 24), 8.0, detail=8.0)
    steps = [{"layer": "RandomIntensity"}, {"layer": "ripple_lab>RandomRipple", "depth": 0.5}]
    (tmp_path / "recipe.json").write_text(json.dumps(steps))
    return tmp_path


def test_a_layer_of_another_package_trains_from_the_command_line(files, capsys):
    words = [str(files / "maps"), "--recipe", str(files / "recipe.json")]
    look = ["synthesize", *words, "-n", "1", "-o", str(files / "look")]
    assert main(look) == 2
    assert "name it with --plugin" in capsys.readouterr().err and "ripple_lab" not in sys.modules
    assert main([*look, "--plugin", "gone_lab"]) == 2
    assert "--plugin gone_lab: No module named" in capsys.readouterr().err
    assert main([*look, "--plugin", "ripple_lab"]) == 0
    assert main([*look, "--plugin", "ripple_lab", "--vary", "ripple.depth"]) == 2
    assert "wider than one number" in capsys.readouterr().err
    size = ["--features", "4", "--levels", "2", "--epochs", "1", "--steps-per-epoch", "1"]
    run = files / "run"
    train = ["train", "segmentation", *words, "-o", str(run), *size]
    assert main([*train, "--plugin", "ripple_lab"]) == 0
    (_, entry) = json.loads((run / "recipe.json").read_text())
    assert entry == {"layer": "ripple_lab>RandomRipple", "module": "ripple_lab", "depth": 0.5}
    assert main(["info", str(run), "--plugin", "ripple_lab"]) == 0
    assert "ripple" in capsys.readouterr().out
