"""Shared fixtures: where the real data and the oracles lie, and the slow marker."""

import gc
import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "agg")

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also run tests that take minutes")


# In 3D, too, with --slow.
ONLY_2D = {
    "test_config_and_json_round_trip",
    "test_keras_file_round_trip",
    "test_eager_and_compiled_agree",
    "test_mixed_precision_changes_nothing",
    "test_settings_of_keras_change_nothing",
    "test_fits_inside_a_model",
    "test_call_leaves_inputs_and_layer_alone",
    "test_same_key_same_bits",
    "test_name_decides_the_draws",
    "test_probability_is_per_sample",
    "test_without_a_key",
    "test_batch_of_one_is_a_row_of_four",
    "test_samples_are_independent",
}
# Only with --slow.
SLOW = {"test_largest_arguments", "test_settings_of_keras_change_nothing"}


def pytest_configure(config):
    if not config.getoption("--slow"):
        from synthtf import testing

        testing.ONLY_2D |= ONLY_2D


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--slow"):
        skip = pytest.mark.skip(reason="slow: run with --slow")
        for item in items:
            if "slow" in item.keywords or getattr(item, "originalname", item.name) in SLOW:
                item.add_marker(skip)


@pytest.fixture(scope="module", autouse=True)
def forget_what_a_module_made():
    """Python looks no more at what stays: it would take longer with each module."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture
def shared():
    """Path of a shared file such as `data/scans/x.nii.gz`; skips the test if it is absent."""

    def find(name: str) -> Path:
        path = SHARED / name
        if name.startswith("data/") and "SYNTHTF_DATA" in os.environ:
            path = Path(os.environ["SYNTHTF_DATA"]) / name.removeprefix("data/")
        if not path.exists():
            pytest.skip(f"shared data are absent: {path}")
        return path

    return find


@pytest.fixture(scope="module", autouse=True)
def _bounded_memory():
    """Let go of what JAX compiled for a file of tests: gigabytes by the end of them all."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
