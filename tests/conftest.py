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
    "test_call_is_sample_then_apply",
    "test_symbolic_output_is_that_of_a_call",
    "test_identity_arguments",
    "test_arguments_change_something",
}
# With the first arguments of a layer alone; with the others, too, with --slow.
FIRST_VARIANT = {
    "test_call_leaves_inputs_and_layer_alone",
    "test_call_is_sample_then_apply",
    "test_symbolic_output_is_that_of_a_call",
}
# Only with --slow.
SLOW = {
    "test_largest_arguments",
    "test_settings_of_keras_change_nothing",
    # Others try the same, with less.
    "test_a_backup_keeps_optimizer_and_numbers",
    "test_a_chain_is_its_networks_one_after_the_other",
    "test_a_detector_begins_as_a_segmentation",
    "test_a_folder_of_scans_with_a_bad_one",
    "test_a_frozen_segmentation_looks_at_the_image_that_is_returned",
    "test_a_fused_recipe_gives_the_same_samples",
    "test_a_given_detector_stays_as_it_is",
    "test_a_higher_smoothness_is_smoother",
    "test_a_home_folder_that_cannot_be_written",
    "test_a_layer_of_another_package_trains_from_the_command_line",
    "test_a_network_learns",
    "test_a_replay_is_the_sample_of_the_training",
    "test_a_segmentation_is_a_detector",
    "test_a_short_run",
    "test_a_warp_is_the_moved_image_again",
    "test_an_affine_run_comes_before_a_deformable_one",
    "test_an_epoch_has_as_many_steps_as_one_asks_for",
    "test_brain_generator",
    "test_each_network_can_begin_as_that_of_another_run",
    "test_figure_and_dice",
    "test_it_trains_and_is_saved",
    "test_joint_composes_and_takes_regularization",
    "test_labels_of_one_tissue_are_similar",
    "test_learning_rate_falls_along_a_half_cosine",
    "test_minutes_end_a_training",
    "test_minutes_that_are_enough_leave_the_learning_rate_as_it_is",
    "test_only_what_a_detector_finds_counts",
    "test_real_scans_with_the_preview",
    "test_refined_posteriors_agree_with_the_labels",
    "test_resuming_continues_bit_for_bit",
    "test_rigid_from_an_affine_run_is_rigid",
    "test_runs_are_compared",
    "test_runs_are_validated_on_the_same_images",
    "test_starts_from_a_transform",
    "test_steps_that_the_minutes_were_not_enough_for",
    "test_targets_of_the_recipe_are_written_beside_the_images",
    "test_the_commands_take_the_run_as_one_network",
    "test_the_method_and_the_regularization_are_passed_on",
    "test_the_test_of_the_layer",
    "test_the_middle_is_halfway",
    "test_tissues_are_similar_with_their_probability",
    "test_training_lowers_each_error_and_the_model_is_kept",
    "test_trains_on_real_scans",
    "test_what_another_model_made_is_made_again",
    "test_without_annealing_the_learning_rate_stays",
}


def pytest_configure(config):
    if not config.getoption("--slow"):
        from synthtf import testing

        testing.ONLY_2D |= ONLY_2D


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--slow"):
        skip = pytest.mark.skip(reason="slow: run with --slow")
        for item in items:
            name = getattr(item, "originalname", item.name)
            variant = getattr(item, "callspec", None) and item.callspec.params.get("variant")
            if "slow" in item.keywords or name in SLOW or (variant and name in FIRST_VARIANT):
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
