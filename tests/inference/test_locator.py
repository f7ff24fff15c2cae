import types

import numpy as np
import pytest
from nibabel.affines import apply_affine

from synthtf.inference import locator as module
from synthtf.inference.conform import ConformedGrid
from synthtf.inference.locator import LOCATOR, locator
from synthtf.inference.patches.memory import MemoryBudget


@pytest.fixture
def runs(monkeypatch):
    """A fine run, and a coarse one that takes what is bright for the brain."""
    import keras

    image = keras.Input((None, None, None, 1))
    coarse = types.SimpleNamespace(
        name="coarse",
        spacing=(4.0, 4.0, 4.0),
        shape=(48, 48, 48),
        multiple=4,
        task_model=keras.Model(image, keras.ops.repeat(0.5 - image, 2, -1)),
    )
    monkeypatch.setattr(module.Run, "load", lambda name: {"coarse": coarse}[name])
    network = keras.Model(image, image)
    facts = {"spacing": (1.0, 1.0, 1.0), "shape": (64, 64, 64), "task_model": network}
    return types.SimpleNamespace(**facts, metadata={LOCATOR: "coarse"})


@pytest.mark.parametrize(("radius", "expected"), [(20, 64), (36, 88)])
def test_the_window_is_about_the_brain_and_no_smaller_than_it(runs, radius, expected):
    affine = np.diag([-1.5, 1.2, 2.0, 1.0])  # from left to right
    centre = np.array([46.0, 56.0, 43.0])
    voxels = np.moveaxis(np.indices((100, 120, 80)), 0, -1)
    data = np.linalg.norm((voxels - centre) * (1.5, 1.2, 2.0), axis=-1) < radius
    data = data.astype("float32")
    grid = ConformedGrid.of(data.shape, affine, runs.spacing)
    budget = MemoryBudget().for_scan(0)
    outer = tuple(slice(0, n) for n in grid.shape)
    window = locator(runs, grid, data, affine, False, budget)(outer)
    middle = [(part.start + part.stop - 1) / 2 for part in window]
    np.testing.assert_allclose(
        apply_affine(grid.affine, middle), apply_affine(affine, centre), atol=3
    )
    assert all(abs(part.stop - part.start - expected) <= 6 for part in window)
    with pytest.warns(UserWarning, match="constant"):
        assert locator(runs, grid, 0 * data, affine, False, budget)(outer) is None


def test_a_run_that_names_no_other_searches_by_itself(runs):
    runs.metadata.clear()
    assert locator(runs, None, None, None, False, None) is None
