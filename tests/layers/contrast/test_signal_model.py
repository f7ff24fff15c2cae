import numpy as np
import pytest

from synthtf.layers import RandomTissueMaps, SignalModel
from synthtf.layers.contrast.signal_model import SEQUENCES
from synthtf.layers.contrast.tissues import TISSUES
from synthtf.testing import (
    BATCH,
    SHAPES,
    RandomLayerContract,
    check_mean,
    make_keys,
    repeat,
    to_arrays,
)

# Proton density, T1, T2, T2*: white matter, gray matter, CSF at 3 T, air.
TISSUE = np.array(
    [[0.7, 850, 70, 50], [0.82, 1350, 95, 66], [1, 4000, 1800, 900], [0, 0, 0, 0]], "float32"
)


class TestSignalModel(RandomLayerContract):
    layer = SignalModel
    arguments = {"sequence": ("mprage", "spoiled gradient echo")}
    variants = [{"sequence": "random"}, {"sequence": "flair", "inversion_time": (2300, 2400)}]
    identity_arguments = {"probability": 0}
    invalid = [
        ({"sequence": "steam"}, "`sequence` must be"),
        ({"sequence": ("mprage", "steam")}, "`sequence` must be"),
        ({"sequence": ()}, "`sequence` must be"),
        ({"repetition_time": 0}, "`repetition_time` must lie in"),
        ({"echo_time": (5, 2)}, "low <= high"),
        ({"inversion_time": -1}, "`inversion_time` must lie in"),
        ({"sequence": "spin echo", "repetition_time": 50}, "must fit into its `repetition_time`"),
        ({"sequence": "flair", "inversion_time": 7990}, "must fit into its `repetition_time`"),
        ({"sequence": "mprage", "inversion_time": 500}, "560 <= TI <= TR - 560"),
        ({"sequence": "mprage", "flip_angle": 90}, "`flip_angle` must be below 90"),
    ]

    def make_inputs(self, ndim):
        """Maps of every tissue, and some voxels of air."""
        rows = [[np.mean(r) for r in ranges] for ranges in TISSUES.values()]
        generator = np.random.default_rng(ndim)
        tissue = generator.integers(len(rows), size=(BATCH, *SHAPES[ndim]))
        return np.array(rows, "float32")[tissue], make_keys(BATCH)

    def expected_identity(self, inputs):
        """The proton density."""
        return inputs[..., :1]


def signal(sequence, tissue=TISSUE, transmit=None, **parameters):
    """Signal of each tissue."""
    maps = np.array(tissue, "float32").reshape(1, -1, 1, 4)
    if transmit is not None:
        field = np.broadcast_to(np.float32(transmit).reshape(1, -1, 1, 1), (*maps.shape[:3], 1))
        maps = np.concatenate([maps, field], axis=-1)
    layer = SignalModel(sequence, **parameters)
    return to_arrays(layer(maps, make_keys(1)))[0].ravel()


def columns(tissue=TISSUE):
    return np.maximum(np.array(tissue, "float64").T, 1e-9)


@pytest.mark.parametrize("times", [(500, 10), (4000, 100)])
def test_spin_echo(times):
    (tr, te), (density, t1, t2, _) = times, columns()
    out = signal("spin echo", repetition_time=tr, echo_time=te)
    np.testing.assert_allclose(
        out, density * (1 - np.exp(-tr / t1)) * np.exp(-te / t2), rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize("b", [None, [0.7, 1, 1.3, 1]])
def test_spoiled_gradient_echo(b):
    tr, te, degrees = 25, 6, 22
    density, t1, _, t2s = columns()
    alpha, left = np.radians(degrees * np.array(b or 1)), np.exp(-tr / t1)
    expected = density * np.sin(alpha) * (1 - left) / (1 - np.cos(alpha) * left) * np.exp(-te / t2s)
    out = signal(
        "spoiled gradient echo",
        transmit=b,
        repetition_time=tr,
        echo_time=te,
        flip_angle=degrees,
    )
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("sequence", ["inversion recovery", "flair"])
def test_inversion_recovery(sequence):
    tr, te, ti = 8000, 30, 900
    density, t1, t2, _ = columns()
    expected = density * np.abs(1 - 2 * np.exp(-ti / t1) + np.exp(-tr / t1)) * np.exp(-te / t2)
    out = signal(sequence, repetition_time=tr, echo_time=te, inversion_time=ti)
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("b", [None, [0.7, 1, 1.3, 1]])
def test_mprage_is_the_steady_state_of_its_cycle(b):
    """Played out pulse by pulse, until nothing changes from cycle to cycle."""
    tr, te, ti, degrees, spacing, lines = 2000, 3, 900, 9, 7, 160
    density, t1, _, t2s = columns()
    alpha = np.radians(degrees * np.array(b or 1))

    def recover(m, time):
        return 1 + (m - 1) * np.exp(-time / t1)

    m = np.ones(4)
    for _ in range(12):
        m = recover(-m, ti - spacing * lines / 2)
        for line in range(lines):
            if line == lines // 2:
                expected = density * np.abs(m * np.sin(alpha)) * np.exp(-te / t2s)
            m = recover(m * np.cos(alpha), spacing)
        m = recover(m, tr - ti - spacing * lines / 2)
    out = signal(
        "mprage",
        transmit=b,
        repetition_time=tr,
        echo_time=te,
        inversion_time=ti,
        flip_angle=degrees,
    )
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-6)


def test_weak_transmit_field_weakens_a_spin_echo():
    """Two thirds of the voltage tip by 60° and refocus by 120°."""
    full, weak = (
        signal("spin echo", transmit=[b] * 4, repetition_time=2000, echo_time=20)
        for b in (1, 2 / 3)
    )
    half = np.sin(np.radians(60)) * np.sin(np.radians(60)) ** 2
    np.testing.assert_allclose(weak, half * full, rtol=1e-5)
    np.testing.assert_allclose(
        full, signal("spin echo", repetition_time=2000, echo_time=20), rtol=1e-5
    )


def test_cerebrospinal_fluid_is_nulled():
    """At TI = T1 ln 2, if all magnetisation recovers within TR."""
    times = {"repetition_time": 60000, "echo_time": 120}
    white, gray, csf, _ = signal("flair", inversion_time=4000 * np.log(2), **times)
    assert csf < 1e-5
    assert gray > white > 0.05


def test_default_flair_suppresses_cerebrospinal_fluid():
    maps = repeat(TISSUE.reshape(1, 4, 1, 4), 100)
    out = to_arrays(SignalModel("flair", name="flair")(maps, make_keys(100)))[0].reshape(100, 4)
    assert (out[:, 2] < out[:, 0]).all() and out[:, 2].mean() < 0.5 * out[:, 0].mean()
    assert (out[:, 1] > out[:, 0]).all()


def test_ernst_angle_gives_most_signal():
    tr, t1 = 20, 1000
    ernst = np.degrees(np.arccos(np.exp(-tr / t1)))
    few = {"tissue": [[1, t1, 80, 60]], "repetition_time": tr, "echo_time": 3}
    best, *others = (
        signal("spoiled gradient echo", flip_angle=a, **few)[0]
        for a in (ernst, 0.8 * ernst, 0.95 * ernst, 1.05 * ernst, 1.2 * ernst)
    )
    assert best > max(others)


@pytest.mark.parametrize("sequence", ["spin echo", "spoiled gradient echo", "mprage"])
def test_white_matter_is_brightest_where_t1_weighs(sequence):
    short = {"spin echo": {"repetition_time": 450, "echo_time": 10}}
    short["spoiled gradient echo"] = {"repetition_time": 20, "echo_time": 3, "flip_angle": 25}
    white, gray, csf, air = signal(sequence, **short.get(sequence, {}))
    assert white > gray > csf > air == 0


def test_fluid_is_brightest_where_t2_weighs():
    white, gray, csf, _ = signal("spin echo", repetition_time=5000, echo_time=100)
    assert csf > gray > white


@pytest.mark.parametrize("missing", [1, 2])
def test_no_signal_without_relaxation_times(missing):
    tissue = np.array(TISSUE)
    tissue[0, missing] = 0
    for name in ("spin echo", "inversion recovery", "flair"):
        out = signal(name, tissue, echo_time=0)
        assert np.isfinite(out).all() and out[0] == 0 and out[1] > 0


def test_random_sequence_is_one_of_all_with_its_own_parameters():
    maps = repeat(TISSUE.reshape(1, 4, 1, 4), 100)
    layer, keys = SignalModel(), make_keys(100)
    draws = layer.sample(keys, maps.shape)
    drawn = {name: to_arrays(x)[0] for name, x in draws.items()}
    out = to_arrays(layer.apply(maps, draws))[0]
    for k, (name, ranges) in enumerate(SEQUENCES.items()):
        here = drawn["sequence"] == k
        check_mean(here, 1 / len(SEQUENCES))
        for parameter, (low, high) in ranges.items():
            values = drawn[parameter][here]
            assert (values >= low).all() and (values <= high).all()
        same = {n: x[here] for n, x in drawn.items()}
        single = to_arrays(SignalModel(name).apply(maps[here], same))[0]
        np.testing.assert_array_equal(out[here], single)


def test_parameters_are_uniform():
    layer = SignalModel("spin echo", repetition_time=(1000, 3000), echo_time=(20, 40))
    draws = layer.sample(make_keys(200), (200, 4, 4, 4))
    for name, low, high in (("repetition_time", 1000, 3000), ("echo_time", 20, 40)):
        values = (to_arrays(draws[name])[0] - low) / (high - low)
        check_mean(values, 1 / 2)
        check_mean((values - 1 / 2) ** 2, 1 / 12)


def test_labels_become_an_image():
    labels = np.array([0, 2, 3, 24], "int32").reshape(1, 2, 2, 1)
    maps = RandomTissueMaps([0, 2, 3, 24], ["air", "WM", "cortex", "CSF"])(labels, make_keys(1))
    out = to_arrays(SignalModel("mprage")(maps, make_keys(1)))[0].ravel()
    assert out[1] > out[2] > out[3] > out[0] == 0


def test_refuses_other_numbers_of_maps():
    with pytest.raises(ValueError, match="four maps, or five"):
        SignalModel().output_spec(np.zeros((1, 4, 4, 3), "float32"))
