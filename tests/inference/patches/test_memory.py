import json
import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest

from synthtf.inference import MemoryBudget
from synthtf.inference.patches.memory import explain_exhaustion, is_exhaustion, network_bytes
from synthtf.networks import UNetConfig, unet

CUBE = (96, 96, 96)


@pytest.fixture(scope="module")
def network():
    return unet(3, config=UNetConfig(features=8, levels=3))


def test_tensors_that_are_alive_at_once_are_added_up():
    inputs = keras.Input((None, None, None, 1))
    x = keras.layers.Conv3D(4, 3, padding="same")(inputs)
    x = keras.layers.MaxPooling3D(2)(x)
    model = keras.Model(inputs, keras.layers.Conv3D(2, 1)(x))
    voxels = 4 * 32**3
    # The image, the first convolution, its double; a fifth more; and the result, at an eighth.
    expected = 1.2 * (1 + 4 + 4) * voxels + 2 * voxels / 8
    assert network_bytes(model, (32, 32, 32)) == int(expected)


def test_memory_grows_with_the_volume_and_shrinks_with_the_patch(network):
    whole = network_bytes(network, CUBE)
    assert network_bytes(network, (192, 192, 192)) == pytest.approx(8 * whole, rel=1e-6)
    assert network_bytes(network, CUBE, CUBE) == whole
    sizes = [network_bytes(network, (192,) * 3, (n,) * 3) for n in (160, 128, 96, 64)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 0.2 * 8 * whole


def test_results_that_are_delivered_take_memory_once(network):
    shape, patch = (192,) * 3, (64,) * 3
    result = 4 * 3 * 192**3
    together = network_bytes(network, shape, patch)
    delivered = network_bytes(network, shape, patch, begun=1)
    assert together - 2 * result <= delivered < together - result
    assert network_bytes(network, shape, patch, kept=0, begun=1) < delivered
    assert delivered < network_bytes(network, shape, patch, begun=2) < together


SCRIPT = """
from synthtf.startup import load_backend
load_backend()
import json, re
from pathlib import Path
import numpy as np
from synthtf import xla
from synthtf.inference.patches.memory import network_bytes
from synthtf.networks import UNetConfig, unet
def peak():
    # The peak that getrusage knows may be that of the process that started this one.
    return 1024 * int(re.search("VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
model = xla.choose(unet(3, config=UNetConfig(features=8, levels=3)))
estimate = network_bytes(model, (96, 96, 96))
model.predict_on_batch(np.zeros((1, 16, 16, 16, 1), "float32"))
before = peak()
model.predict_on_batch(np.zeros((1, 96, 96, 96, 1), "float32"))
print(json.dumps([estimate, peak() - before]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory as Linux counts it")
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="measured on TensorFlow only")
def test_the_estimate_is_close_to_what_a_process_takes():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    estimate, measured = json.loads(done.stdout.splitlines()[-1])
    assert 0.85 * measured < estimate < 1.4 * measured


def gigabytes(network, patch=None):
    return network_bytes(network, CUBE, patch) / 1e9


@pytest.fixture
def light(monkeypatch):
    """A process that holds nothing."""
    monkeypatch.setattr("synthtf.inference.patches.memory._resident", lambda: 0)


@pytest.mark.usefixtures("light")
def test_the_whole_volume_if_it_fits_else_the_largest_patch(network):
    def plan(limit):
        return MemoryBudget(gigabytes=limit).for_scan(0).plan(network, CUBE)

    assert plan(gigabytes(network)) is None
    largest = next(
        (n,) * 3 for n in (80, 64, 48, 32, 16) if gigabytes(network, (n,) * 3) < gigabytes(network)
    )
    assert plan(0.999 * gigabytes(network)) == largest
    tight = 1.001 * gigabytes(network, (48, 48, 48))
    assert plan(tight) == (48, 48, 48)
    with pytest.raises(ValueError, match=r"0.001 GB are too little for 96 x 96 x 96 voxels"):
        plan(0.001)
    with pytest.raises(ValueError, match=r"even in patches, this network needs 0.2 GB"):
        plan(0.001)


@pytest.mark.usefixtures("light")
def test_a_given_patch_is_kept_and_must_fit(network):
    assert MemoryBudget(patch=48).for_scan(0).plan(network, CUBE) == (48, 48, 48)
    assert MemoryBudget([48, 64, 32]).for_scan(0).plan(network, CUBE) == (48, 64, 32)
    with pytest.raises(ValueError, match="too little for patches of 64 x 64 x 64 voxels"):
        MemoryBudget(patch=64, gigabytes=0.01).for_scan(0).plan(network, CUBE)


@pytest.mark.usefixtures("light")
def test_a_scan_that_is_too_large_by_itself():
    with pytest.raises(ValueError, match=r"1 GB are too little for a scan.*needs 2.0 GB"):
        MemoryBudget(gigabytes=1).for_scan(int(2e9))


def test_what_the_backend_keeps_of_earlier_scans_is_not_counted_twice(network, monkeypatch):
    held = [int(1e9)]
    monkeypatch.setattr("synthtf.inference.patches.memory._resident", lambda: held[0])
    need = gigabytes(network)
    budget = MemoryBudget(gigabytes=1.01 + need)
    assert budget.for_scan(0).plan(network, CUBE) is None
    held[0] += int(1e9 * need)
    assert budget.for_scan(0).plan(network, (96, 96, 80)) is None
    # What a larger scan takes itself is counted.
    with pytest.raises(ValueError, match="too little for a scan"):
        budget.for_scan(int(1e9 * need + 2e7))


@pytest.mark.usefixtures("light")
def test_results_of_earlier_networks_are_counted(network):
    need = gigabytes(network)
    scan = MemoryBudget(gigabytes=1.2 * need + 1).for_scan(0)
    after = replace(scan, earlier=int(1e9))
    assert after.plan(network, CUBE) is None
    scan = MemoryBudget(gigabytes=1.2 * need + 0.9).for_scan(0)
    assert replace(scan, earlier=int(1e9)).plan(network, CUBE) is not None


@pytest.mark.usefixtures("light")
def test_needs_are_reported_once_and_again_when_they_grow(network):
    lines = []
    budget = MemoryBudget(report=lines.append)
    for shape in ((64, 64, 64), (64, 64, 64), (32, 32, 32), CUBE):
        assert budget.for_scan(0).plan(network, shape) is None
    assert lines == [
        f"about {network_bytes(network, shape) / 1e9:.1f} GB of memory for "
        f"{' x '.join(map(str, shape))} voxels"
        for shape in ((64, 64, 64), CUBE)
    ]


@pytest.mark.usefixtures("light")
def test_a_network_that_is_no_graph_is_used_without_an_estimate():
    lines = []
    network = keras.Sequential([keras.Input((None, None, None, 1)), keras.layers.Conv3D(2, 1)])
    assert MemoryBudget(report=lines.append).for_scan(0).plan(network, CUBE) is None
    assert lines == []
    with pytest.raises(ValueError, match="functional"):
        MemoryBudget(gigabytes=1).for_scan(0).plan(network, CUBE)


@pytest.mark.parametrize("patch", [0, -4, (1, 2), (8, 8, 0)])
def test_patches_that_are_none(patch):
    with pytest.raises(ValueError, match="one or three sizes of at least 1 voxel"):
        MemoryBudget(patch=patch)


@pytest.mark.parametrize("limit", [0, -1, float("nan"), float("inf")])
def test_limits_that_are_none(limit):
    with pytest.raises(ValueError, match="more than 0 GB"):
        MemoryBudget(gigabytes=limit)


class ResourceExhaustedError(Exception):
    """Called like TensorFlow's."""


class XlaRuntimeError(RuntimeError):
    """Called like JAX's."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        ResourceExhaustedError("failed to allocate"),
        XlaRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_exhaustion_proposes_a_smaller_patch(error):
    assert is_exhaustion(error)
    message = r"96 x 80 x 64 voxels do not fit; choose smaller patches \(--patch 48\)"
    with pytest.raises(MemoryError, match=message), explain_exhaustion((96, 80, 64), None):
        raise error
    with (
        pytest.raises(MemoryError, match=r"in patches of 64 do not fit.*--patch 32"),
        explain_exhaustion((96, 80, 64), (64, 64, 64)),
    ):
        raise error


def test_other_errors_pass():
    with pytest.raises(KeyError), explain_exhaustion((8, 8, 8), None):
        raise KeyError("x")


def test_what_tensorflow_raises_is_recognised():
    tf = pytest.importorskip("tensorflow")
    assert is_exhaustion(tf.errors.ResourceExhaustedError(None, None, "OOM"))
    with pytest.raises(MemoryError):
        np.empty(2**60, np.uint8)  # NumPy's own is a MemoryError
