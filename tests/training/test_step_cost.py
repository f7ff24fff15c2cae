import warnings

import keras
import numpy as np
import pytest

from synthtf.data import LabelMaps
from synthtf.networks import RegistrationConfig, UNetConfig
from synthtf.synthesis import Recipe
from synthtf.tasks import registration, segmentation, skull_stripping
from synthtf.training import step_cost

PLAIN = UNetConfig(3, 1, convolutions=1, normalization=None, side_channel=False)
EASY = Recipe.preset("tutorial").without("warp", "field_of_view")


def one_convolution(shape=(4, 6, 8)):
    return segmentation(shape, [0, 1, 2, 3, 4], recipe=EASY, network=PLAIN)


def blocks(shape, **options):
    labels = np.zeros(shape, "int32")
    labels[(slice(1, -1),) * len(shape)] = 1
    return LabelMaps([labels], num_batches=1, **options)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_operations_of_a_convolution_counted_by_hand(batch_size):
    """One convolution of 27 voxels, and one of a single voxel that makes the logits."""
    cost = step_cost.step_cost(one_convolution(), batch_size)
    assert cost.operations == batch_size * 4 * 6 * 8 * 3 * 2 * (27 * 1 * 3 + 3 * 5)
    assert cost.memory > 4 * batch_size * 4 * 6 * 8 * (3 + 5)


def test_what_is_not_learned_is_only_passed_forward():
    model = one_convolution()
    whole = step_cost.step_cost(model).operations
    for layer in model.task_model.layers:
        layer.trainable = False
    assert step_cost.step_cost(model).operations == whole / 3


@pytest.mark.parametrize(
    "model",
    [
        lambda: one_convolution((8, 12)),
        lambda: segmentation(
            (8, 8, 8), [0, 1], recipe=EASY, network=UNetConfig(4, 2, mixture_channels=2)
        ),
        lambda: skull_stripping((8, 8, 8), [0, 1], recipe=EASY, network=UNetConfig(4, 2)),
        lambda: registration(
            (8, 8, 8), [0, 1], recipe=EASY, network=RegistrationConfig((4, 4), (4, 4))
        ),
    ],
)
def test_no_task_costs_more_than_the_quick_bound(model):
    model = model()
    bound = step_cost._most_operations(model, 1)
    assert 0 < step_cost.step_cost(model).operations <= bound


def test_operations_grow_with_voxels():
    small, large = (step_cost.step_cost(one_convolution((n, 8, 8))) for n in (8, 16))
    assert large.operations == 2 * small.operations and large.memory > small.memory


@pytest.fixture
def slow_machine(monkeypatch):
    """A processor on which the smallest network takes minutes."""
    monkeypatch.setattr(step_cost, "_CHEAP", 0)
    monkeypatch.setattr(step_cost, "measured_rate", lambda: 1e3)
    monkeypatch.setattr(step_cost.xla, "has_accelerator", lambda: False)


@pytest.mark.usefixtures("slow_machine")
def test_fit_says_beforehand_what_a_step_costs():
    model = one_convolution()
    model.compile("sgd")
    with pytest.warns(UserWarning, match="1.1e.05 operations, 2 minutes on this machine") as found:
        model.fit(blocks((4, 6, 8)), verbose=2)
    assert found[0].filename == __file__
    assert "smaller shape" in str(found[0].message) and "more than" not in str(found[0].message)


@pytest.mark.usefixtures("slow_machine")
def test_a_batch_costs_more():
    with pytest.warns(UserWarning, match="4 minutes on this machine"):
        step_cost.warn_of_cost(one_convolution(), blocks((4, 6, 8), batch_size=2))


@pytest.mark.usefixtures("slow_machine")
def test_nothing_is_said_without_output_or_with_a_gpu(monkeypatch):
    model, maps = one_convolution(), blocks((4, 6, 8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step_cost.warn_of_cost(model, maps, verbose=0)
        monkeypatch.setattr(step_cost.xla, "has_accelerator", lambda: True)
        step_cost.warn_of_cost(model, maps)


def test_a_step_that_is_cheap_is_not_measured(monkeypatch):
    monkeypatch.setattr(step_cost.xla, "has_accelerator", lambda: False)
    monkeypatch.setattr(step_cost, "measured_rate", lambda: pytest.fail("it was measured"))
    monkeypatch.setattr(step_cost, "step_cost", lambda *_: pytest.fail("it was estimated"))
    step_cost.warn_of_cost(one_convolution(), blocks((4, 6, 8)))


@pytest.mark.usefixtures("slow_machine")
def test_memory_beyond_that_of_the_machine_is_said(monkeypatch):
    monkeypatch.setattr(step_cost, "measured_rate", lambda: 1e12)
    monkeypatch.setattr(step_cost, "_memory_of_machine", lambda: 1e4)
    with pytest.warns(UserWarning, match="GB of memory, more than the 0.0 GB of this machine"):
        step_cost.warn_of_cost(one_convolution(), blocks((4, 6, 8)))


def test_the_rate_of_this_machine():
    assert 1e7 < step_cost.measured_rate() < 1e15
    assert keras.backend.floatx() == "float32"
