"""The notebooks hold no outputs, equal the sources that they are paired with, and run."""

from pathlib import Path

import pytest

jupytext = pytest.importorskip("jupytext")
nbformat = pytest.importorskip("nbformat")

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SECONDS = 1200  # that a cell may take, on a machine that does other things as well
NAMES = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(notebook):
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def test_each_source_has_its_notebook():
    sources = {path.stem for path in (ROOT / "notebooks").glob("*.py")}
    assert sources == {path.stem for path in NOTEBOOKS}
    assert len(sources) >= 8


@NAMES
def test_equals_its_source(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    # jupytext --sync notebooks/*.py brings both to the later state of the two.
    assert cells(notebook) == cells(jupytext.read(path.with_suffix(".py")))


@NAMES
def test_holds_no_outputs(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None


@NAMES
def test_installs_nothing_where_synthtf_is(path, monkeypatch):
    code = [c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    assert 'find_spec("synthtf") is None' in code[0]

    def refuse(*words, **options):
        raise AssertionError(f"ran {words}")

    monkeypatch.setattr("subprocess.run", refuse)
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "2")
    exec(code[0], {"__name__": "notebook"})


@pytest.mark.slow
@NAMES
def test_runs_and_ends_in_a_picture(path, monkeypatch):
    run = pytest.importorskip("nbmake.nb_run")
    # The export needs TensorFlow, and the pictures the backend of the kernel.
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    monkeypatch.delenv("MPLBACKEND", raising=False)
    result = run.NotebookRun(path, SECONDS).execute()
    assert result.error is None, result.error.summary + result.error.trace
    outputs = [cell.outputs for cell in result.nb.cells if cell.cell_type == "code"]
    pictures = [any("image/png" in o.get("data", {}) for o in cell) for cell in outputs]
    # After the last picture there is at most the cell with the sliders.
    assert any(pictures[-2:])
