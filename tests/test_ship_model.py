import hashlib
from pathlib import Path

import numpy as np
from scripts_as_modules import load_script

from synthtf.data.shipped_models import CHECKSUMS, shipped_models
from synthtf.runs import Run

RUN = Path(__file__).parent / "runs" / "fine_run"


def test_a_shipped_model_is_smaller_and_has_the_same_weights(tmp_path, capsys):
    load_script("ship_model").main([str(RUN), "-o", str(tmp_path / "small")])
    assert "weights changed by at most" in capsys.readouterr().out
    run, small = Run.load(RUN), Run.load(tmp_path / "small")  # which compares the checksums
    assert {weight.dtype for weight in small.task_model.weights} == {"float32"}
    for before, after in zip(
        run.task_model.get_weights(), small.task_model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(after, before.astype("float16"))
    sizes = [(folder / "model.keras").stat().st_size for folder in (RUN, small.folder)]
    assert sizes[1] < sizes[0] - run.task_model.count_params()
    lines = (small.folder / CHECKSUMS).read_text().splitlines()
    assert len(lines) == 4
    for line in lines:
        digest, name = line.split()
        assert hashlib.sha256((small.folder / name).read_bytes()).hexdigest() == digest


def test_shipped_models_are_small():
    sizes = [(folder / "model.keras").stat().st_size for folder in shipped_models().values()]
    assert sum(sizes) < 20e6
