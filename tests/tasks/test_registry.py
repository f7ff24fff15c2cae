"""What holds for every task, and what no other place may know of any."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import synthtf
from synthtf.cli.flags import flags_of
from synthtf.cli.main import main
from synthtf.data import write_volume
from synthtf.layers import RandomAffine, RandomIntensity
from synthtf.networks import UNetConfig
from synthtf.options import options_of
from synthtf.tasks import segmentation, skull_stripping
from synthtf.tasks.registry import functions, task_of, tasks
from synthtf.training.plan import TrainingPlan
from synthtf.training.preflight import preflight
from synthtf.training.schedule import Schedule

PACKAGE = Path(synthtf.__file__).parent
SHAPE = (16, 16, 16)
# Rooms that know no task, and the commands that take any.
ROOMS = ("training", "runs", "data", "layers", "ops", "networks", "synthesis", "losses", "figures")
COMMANDS = ("train", "check", "info", "flags", "plans", "synthesize", "export")
LABELS = """id\tname\tbrain
0\tair\tno
2\twhite matter\tyes
4\tlateral ventricle\tyes
9\tskull\tno
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two label maps and their table."""
    folder = tmp_path_factory.mktemp("maps")
    for size in (4, 5):
        labels = np.zeros((20, 20, 20), "int16")
        labels[2:18, 3:17, 3:17] = 9
        labels[(slice(10 - size, 10 + size),) * 3] = 2
        labels[9:12, 9:12, 9:12] = 4
        write_volume(folder / f"map_{size}.nii.gz", labels, affine=np.eye(4))
    (folder / "labels.tsv").write_text(LABELS)
    return folder


@pytest.mark.parametrize("name", [name for name in tasks() if not tasks()[name].has_stages])
def test_python_and_the_command_line_make_the_same_model(folder, tmp_path, monkeypatch, name):
    made = []

    def train(run, model, *args):
        made.append(model)
        run.update(minutes_done=0.0)

    monkeypatch.setattr("synthtf.training.workflow.train", train)
    table, shape = folder / "labels.tsv", list(map(str, SHAPE))
    words = ["train", name, str(folder), "-o", str(tmp_path / "run"), "--labels", str(table)]
    keras.utils.clear_session()
    assert main([*words, "--shape", *shape]) == 0
    (there,) = made
    keras.utils.clear_session()
    here = functions()[tasks()[name].function](SHAPE, table)
    for of in (lambda m: m.synthesis, lambda m: m.task_model):
        assert of(here).get_config() == of(there).get_config()
        shapes = [[w.shape for w in of(m).weights] for m in (here, there)]
        assert shapes[0] == shapes[1]
    assert here.run.metadata == there.run.metadata
    assert here.run.recipe == there.run.recipe and here.run.table == there.run.table
    assert task_of(json.loads(json.dumps(here.run.metadata))) == tasks()[name]()


@pytest.mark.parametrize("name", tasks())
def test_every_task_is_checked_before_a_training(folder, name):
    plan = TrainingPlan(tasks()[name](), labels=folder / "labels.tsv", shape=SHAPE)
    found = preflight(sorted(folder.glob("*.nii.gz")), plan)
    assert not found.has_errors
    assert {"crop", "memory"} <= {finding.kind for finding in found.findings}


@pytest.mark.parametrize("name", tasks())
def test_every_option_has_a_text_and_a_flag_of_its_own(name):
    shared = flags_of(TrainingPlan) | flags_of(Schedule)
    assert not flags_of(tasks()[name]) & shared
    for described in options_of(tasks()[name]).values():
        assert described.text and not described.text.endswith(".")
        assert described.name in functions()[tasks()[name].function].__doc__


def words_of(path):
    """Strings, names and modules in a file that are one word, docstrings aside.

    Rooms of inference have names of their own, which may be those of tasks.
    """
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield from module.split(".") if not module.startswith("synthtf.inference.") else ()
            yield from (alias.name for alias in node.names)


def test_nothing_but_a_line_of_the_registry_names_a_task():
    own = {task.__name__ for task in tasks().values()}
    folders = {task.__module__.split(".")[2] for task in tasks().values()}
    # Modules of figures and losses, and a network in files, have these names.
    named = own | folders | set(functions()) | set(tasks())
    named -= {"change"}  # an ordinary word, which variables have for a name
    allowed = {
        "figures": {"registration"},
        "networks": {"registration", "robust", "quality"},
        "losses": {"registration", "segmentation"},
    }
    files = [p for room in ROOMS for p in (PACKAGE / room).rglob("*.py")]
    files += [PACKAGE / "cli" / f"{name}.py" for name in COMMANDS]
    for path in files:
        found = named & set(words_of(path)) - allowed.get(path.relative_to(PACKAGE).parts[0], set())
        assert not found, f"{path}: {found}"
    text = (PACKAGE / "tasks" / "registry.py").read_text()
    for task in tasks().values():
        lines = [line for line in text.splitlines() if task.__module__.split(".")[2] in line]
        assert len(lines) == 1
        assert sum(task.__name__ in line for line in text.splitlines()) == 1


def test_tasks_load_without_keras():
    code = (
        "import sys, synthtf.tasks, synthtf.training, synthtf.cli.main as m; m.build_parser(); "
        "print([n for n in ('keras', 'tensorflow', 'nibabel', 'scipy') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("build", functions().values(), ids=lambda f: f.__name__)
def test_a_task_needs_images(build):
    with pytest.raises(ValueError, match="`recipe` must have a step that makes an image"):
        build((32, 32), [0, 1], recipe=[RandomAffine()])


def test_networks_take_the_channels_of_the_recipe():
    small = UNetConfig(features=2, levels=2)
    two = [RandomIntensity(channels=2)]
    model = segmentation((16, 16), [0, 1], recipe=two, network=small)
    assert model.task_model.input_shape[-1] == 2
    with pytest.raises(ValueError, match=r"`network` must take the channels .* 2\. Received"):
        skull_stripping((16, 16), [0, 1], recipe=two, network=small)
