"""The layer contract: what every synthesis layer promises, as tests to inherit.

A layer's test file holds a subclass that names the layer and its arguments; pytest then checks
each promise in 2D and 3D:

    class TestRandomBlur(RandomLayerContract):
        layer = RandomBlur
        arguments = {"std": (0.5, 1.5)}
        identity_arguments = {"std": 0}
        invalid = [({"std": -1}, "`std` must lie in")]
"""

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from synthtf.argument_contract import ArgumentContract, check
from synthtf.layers.base import SynthesisLayer
from synthtf.synthesis.entries import as_entry, as_step

# With odd sizes, the last numbers of a tensor miss the vector unit. There the bits of a sample
# depend on its place in the batch most easily.
SHAPES = {2: (11, 9), 3: (9, 7, 5)}
# Half precision turns 2035 into 2032.
LABELS = (0, 2, 41, 2035)
BATCH = 4
_NUM_KEYS = 12
ONLY_2D: set[str] = set()
"""Names of promises that a test suite checks only in 2D, to save time."""


class LayerContract(ArgumentContract):
    """Promises of every layer, including deterministic ones.

    Attributes:
        variants: further sets of arguments, for the cheap promises.
        identity_arguments: arguments with which the layer changes nothing.
        invalid: pairs of arguments and a pattern that the error message matches.
        kind: kind of the input: "image", "labels", or "both" for `[image, labels]`.
    """

    variants: Sequence[Mapping[str, Any]] = ()
    identity_arguments: Mapping[str, Any] = {}
    invalid: Sequence[tuple[Mapping[str, Any], str]] = ()
    kind: str = "image"

    def make_inputs(self, ndim: int) -> tuple:
        """Return the arguments of a call: arrays, or structures of arrays, for a batch of four."""
        shape = (BATCH, *SHAPES[ndim], 1)
        generator = np.random.default_rng(ndim)
        image = generator.uniform(size=shape).astype("float32")
        labels = generator.choice(LABELS, size=shape).astype("int32")
        return ({"image": image, "labels": labels, "both": [image, labels]}[self.kind],)

    def expected_identity(self, inputs: Any) -> Any:
        """Return the output for this first argument when the layer changes nothing."""
        return inputs

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Let pytest run the promises in 2D and 3D, and with each set of arguments."""
        if "ndim" in metafunc.fixturenames:
            dimensions = [2] if metafunc.definition.name in ONLY_2D else sorted(SHAPES)
            metafunc.parametrize("ndim", dimensions, ids="{}d".format)
        if "variant" in metafunc.fixturenames:
            metafunc.parametrize("variant", [{}, *self.variants], ids=str)
        if "bad" in metafunc.fixturenames:
            metafunc.parametrize("bad", self.invalid, ids=lambda bad: str(bad[0]))

    def test_config_and_json_round_trip(self, ndim: int, variant: Mapping) -> None:
        """A layer rebuilt from its config as JSON does the same, before and after build."""
        layer, inputs = self.make_layer(**variant), self.make_inputs(ndim)
        before = through_json(layer)
        expected = run(layer, inputs)
        for again in (before, through_json(layer)):
            check(type(again) is type(layer), f"rebuilt as {type(again)}")
            check(again.get_config() == layer.get_config(), f"config {again.get_config()}")
            equal(run(again, inputs), expected)

    def test_recipe_entry_round_trip(self, variant: Mapping) -> None:
        """A layer that can be a step is the same after a recipe file; spacing is the recipe's."""
        layer = self.make_layer(**variant)
        if layer.gives:
            again = as_step(json.loads(json.dumps(as_entry(layer))), 1)
            expected = {**layer.get_config(), "spacing": None, "seed": None}
            found = {**again.get_config(), "spacing": None, "seed": None}
            check(found == expected, f"config {found}, expected {expected}")

    def test_keras_file_round_trip(self, ndim: int, tmp_path: Path) -> None:
        """A model with the layer gives the same bits after saving and loading."""
        inputs = self.make_inputs(ndim)
        model = symbolic_model(self.make_layer(), inputs)
        expected = to_arrays(model(tree.flatten(inputs)))
        model.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
        equal(to_arrays(again(tree.flatten(inputs))), expected)

    def test_symbolic_output_is_that_of_a_call(self, ndim: int, variant: Mapping) -> None:
        """Shape and dtype are known before the call; the batch size is dynamic."""
        layer, inputs = self.make_layer(**variant), self.make_inputs(ndim)
        model = symbolic_model(layer, inputs)
        for batch in (1, BATCH - 1):
            actual = to_arrays(model(tree.flatten(rows(inputs, slice(batch)))))
            for spec, array in zip(tree.flatten(model.output), actual, strict=True):
                check(spec.shape[0] is None, f"static batch size in {spec.shape}")
                check((batch, *spec.shape[1:]) == array.shape, f"{spec.shape}, {array.shape}")
                dtype = keras.backend.standardize_dtype(spec.dtype)
                check(dtype == array.dtype.name, f"{dtype}, {array.dtype}")

    def test_eager_and_compiled_agree(self, ndim: int) -> None:
        """Compiling changes nothing, and new values or keys do not compile again."""
        layer, inputs = self.make_layer(), self.make_inputs(ndim)
        function, traces = compiled(lambda *flat: layer(*tree.pack_sequence_as(inputs, flat)))
        for values in (inputs, rows(inputs, slice(None, None, -1))):
            flat = [ops.convert_to_tensor(x) for x in tree.flatten(values)]
            close(to_arrays(function(*flat)), run(layer, values))
            check(len(traces) <= 1, "compiled again for new values")

    def test_mixed_precision_changes_nothing(self, ndim: int) -> None:
        """Images stay float32 and labels exact under a global policy of half precision."""
        inputs = self.make_inputs(ndim)
        expected = run(self.make_layer(), inputs)
        for name in ("mixed_bfloat16", "mixed_float16"):
            with dtype_policy(name):
                equal(run(self.make_layer(), inputs), expected)

    def test_settings_of_keras_change_nothing(self, ndim: int, variant: Mapping) -> None:
        """The bits are the same whatever the user's keras.json says."""
        inputs = self.make_inputs(ndim)
        expected = run(self.make_layer(**variant), inputs)
        for floatx in ("float64", "float16"):
            with keras_settings(floatx):
                equal(run(self.make_layer(**variant), inputs), expected)

    def test_fits_inside_a_model(self, ndim: int) -> None:
        """A layer with weights after this one learns in a step of `fit`."""
        inputs = self.make_inputs(ndim)
        inner = symbolic_model(self.make_layer(), inputs)
        features = ops.cast(tree.flatten(inner.output)[0], "float32")
        dense = keras.layers.Dense(1)
        model = keras.Model(inner.inputs, dense(features))
        # That it can be compiled is another promise.
        model.compile(keras.optimizers.SGD(1e-6), "mse", run_eagerly=True)
        before = ops.convert_to_numpy(dense.bias)
        target = np.full((BATCH, *model.output.shape[1:]), 1e6, "float32")
        history = model.fit(tree.flatten(inputs), target, batch_size=BATCH, verbose=0)
        check(np.isfinite(history.history["loss"][0]), "the loss is not finite")
        check(not np.array_equal(before, ops.convert_to_numpy(dense.bias)), "nothing learned")

    def test_batch_of_one_is_a_row_of_four(self, ndim: int, variant: Mapping) -> None:
        """A sample has the same bits alone and at each place of a batch."""
        layer, inputs = self.make_layer(**variant), self.make_inputs(ndim)
        whole = run(layer, inputs)
        for row in range(BATCH):
            here = slice(row, row + 1)
            same_bits(run(layer, rows(inputs, here)), rows(whole, here))

    def test_samples_are_independent(self, ndim: int) -> None:
        """Changing the input or key of sample 0 leaves the other samples alone."""
        layer, inputs = self.make_layer(), self.make_inputs(ndim)
        expected = rows(run(layer, inputs), slice(1, None))
        flat = tree.flatten(inputs)
        for k, x in enumerate(flat):
            changed = [*flat[:k], np.concatenate([x[1:2], x[1:]]), *flat[k + 1 :]]
            actual = run(layer, tree.pack_sequence_as(inputs, changed))
            equal(rows(actual, slice(1, None)), expected)

    def test_identity_arguments(self, ndim: int) -> None:
        """With its identity arguments the layer changes nothing."""
        inputs = self.make_inputs(ndim)
        layer = self.make_layer(**self.identity_arguments)
        close(run(layer, inputs), tree.flatten(self.expected_identity(inputs[0])))

    def test_arguments_change_something(self, ndim: int) -> None:
        """The layer under test is not the identity."""
        inputs = self.make_inputs(ndim)
        actual, same = run(self.make_layer(), inputs), self.expected_identity(inputs[0])
        changed = any(map(differ, actual, tree.flatten(same)))
        check(changed, "the output is that of the identity")

    def test_call_leaves_inputs_and_layer_alone(self, ndim: int, variant: Mapping) -> None:
        """A call changes neither its inputs nor the layer; outputs are finite."""
        layer, inputs = self.make_layer(**variant), self.make_inputs(ndim)
        copy = [np.copy(x) for x in tree.flatten(inputs)]
        run(layer, inputs)
        before = public_attributes(layer)
        outputs = run(layer, inputs)
        check(all(np.isfinite(x).all() for x in outputs), "an output is not finite")
        equal(tree.flatten(inputs), copy)
        check(before == public_attributes(layer), f"attributes changed from {before}")

    def test_invalid_arguments(self, bad: tuple[Mapping, str]) -> None:
        """Each invalid argument raises a ValueError whose message explains it."""
        arguments, pattern = bad
        message = self.refusal(**arguments)
        check(bool(message), f"no ValueError for {arguments}")
        check(bool(re.search(pattern, message)), f"unexpected message: {message}")


class RandomLayerContract(LayerContract):
    """Promises of layers that draw from a key, in addition to those of every layer.

    Attributes:
        num_outcomes: smallest number of different outputs that 12 keys give for one input.
    """

    num_outcomes: int = _NUM_KEYS

    def make_inputs(self, ndim: int) -> tuple:
        """Return the input and the keys of a batch of four."""
        return (*super().make_inputs(ndim), make_keys(BATCH))

    def make_copies(self, ndim: int) -> tuple:
        """Return one sample many times, with different keys."""
        return repeat(rows(self.make_inputs(ndim)[0], slice(1)), _NUM_KEYS), make_keys(_NUM_KEYS)

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Add the arguments that are invalid for every random layer."""
        if "bad" in metafunc.fixturenames:
            common = [({"probability": p}, "`probability` must") for p in (-0.1, 1.5, "often")]
            bad = [*self.invalid, *common]
            metafunc.parametrize("bad", bad, ids=lambda bad: str(bad[0]))
        else:
            super().pytest_generate_tests(metafunc)

    def test_same_key_same_bits(self, ndim: int) -> None:
        """The same key gives the same bits, and different keys give different bits."""
        layer, inputs = self.make_layer(), self.make_copies(ndim)
        outputs = run(layer, inputs)
        equal(run(layer, inputs), outputs)
        distinct = {tuple(x[row].tobytes() for x in outputs) for row in range(_NUM_KEYS)}
        check(len(distinct) >= self.num_outcomes, f"only {len(distinct)} different outputs")

    def test_name_decides_the_draws(self, ndim: int) -> None:
        """Two layers with different names draw independently."""
        inputs = self.make_copies(ndim)
        first, second = (run(self.make_layer(name=name), inputs) for name in ("one", "other"))
        check(any(map(differ, first, second)), "the draws do not depend on the name")

    def test_call_is_sample_then_apply(self, ndim: int, variant: Mapping) -> None:
        """Applying the draws of `sample` gives what a call gives; all draws have a batch axis."""
        layer, (inputs, key) = self.make_layer(**variant), self.make_inputs(ndim)
        draws = layer.sample(key, tree.flatten(inputs)[0].shape)
        sizes = {name: len(x) for name, x in draws.items()}
        check(set(sizes.values()) <= {BATCH}, f"draws without a batch axis: {sizes}")
        equal(to_arrays(layer.apply(inputs, draws)), run(layer, (inputs, key)))

    def test_probability_is_per_sample(self, ndim: int) -> None:
        """Each sample is either changed, as with a probability of one, or left alone."""
        inputs = self.make_copies(ndim)
        never, half, always = (run(self.make_layer(probability=p), inputs) for p in (0, 0.5, 1))
        close(never, tree.flatten(self.expected_identity(inputs[0])))
        num_left = 0
        for row in range(_NUM_KEYS):
            here = slice(row, row + 1)
            is_changed = not any(map(differ, rows(half, here), rows(always, here)))
            is_left = not any(map(differ, rows(half, here), rows(never, here)))
            check(is_changed or is_left, f"sample {row} is neither changed nor left alone")
            num_left += is_left
        check(0 < num_left < _NUM_KEYS, f"{num_left} of {_NUM_KEYS} samples left alone")

    def test_without_a_key(self, ndim: int) -> None:
        """Calls without a key differ, and the seed reproduces them."""
        inputs = self.make_inputs(ndim)[0]
        layers = [self.make_layer(seed=5) for _ in range(2)]
        first, second = ([to_arrays(layer(inputs)) for _ in range(3)] for layer in layers)
        for one, other in zip(first, second, strict=True):
            equal(one, other)
        check(any(any(map(differ, first[0], x)) for x in first[1:]), "all calls are alike")


def equal(actual: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> None:
    """Check that arrays have the same dtypes and bits."""
    for one, other in zip(actual, expected, strict=True):
        check(one.dtype == other.dtype, f"{one.dtype} is not {other.dtype}")
        np.testing.assert_array_equal(one, other)


def same_bits(actual: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> None:
    """Check that the same samples from batches of different sizes have the same bits.

    JAX runs everything through XLA, which tiles sums by the size of the batch. There the check
    allows for rounding.
    """
    (equal if keras.backend.backend() == "tensorflow" else close)(actual, expected)


def close(actual: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> None:
    """Check that arrays have the same shapes and dtypes, and values up to rounding."""
    for one, other in zip(actual, expected, strict=True):
        check(one.shape == other.shape, f"{one.shape} is not {other.shape}")
        check(one.dtype == other.dtype, f"{one.dtype} is not {other.dtype}")
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def differ(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether two arrays differ by more than rounding."""
    return one.shape != other.shape or not np.allclose(one, other, rtol=1e-5, atol=1e-5)


def to_arrays(outputs: Any) -> list[np.ndarray]:
    """Turn a structure of tensors into a list of arrays."""
    return [ops.convert_to_numpy(x) for x in tree.flatten(outputs)]


def run(layer: SynthesisLayer, inputs: tuple) -> list[np.ndarray]:
    """Call a layer and return its outputs as arrays."""
    return to_arrays(layer(*inputs))


def rows(inputs: Any, index: slice) -> Any:
    """Take some samples of a structure of arrays."""
    return tree.map_structure(lambda x: x[index], inputs)


def repeat(inputs: Any, num: int) -> Any:
    """Repeat a batch of one, or a structure of such batches."""
    return tree.map_structure(lambda x: np.repeat(x, num, axis=0), inputs)


def check_mean(values: np.ndarray, mean: float) -> None:
    """Check the mean of independent values, within four standard errors of the expectation."""
    values = np.asarray(values, "float64").ravel()
    error = np.std(values, ddof=1) / np.sqrt(values.size)
    found = np.mean(values)
    check(abs(found - mean) <= 4 * error, f"mean {found} ± {error}, expected {mean}")


def make_keys(num: int) -> np.ndarray:
    """Return the keys of the first samples of a run."""
    return np.array([[3, number] for number in range(num)], "int32")


def symbolic_model(layer: SynthesisLayer, inputs: tuple) -> keras.Model:
    """Build a Functional model of one layer; it takes the inputs as a flat list."""
    symbolic = tree.map_structure(lambda x: keras.Input(x.shape[1:], dtype=x.dtype.name), inputs)
    return keras.Model(tree.flatten(symbolic), layer(*symbolic))


def through_json(layer: SynthesisLayer) -> SynthesisLayer:
    """Rebuild a layer from its serialised form, written to JSON and read back."""
    text = json.dumps(keras.saving.serialize_keras_object(layer))
    return keras.saving.deserialize_keras_object(json.loads(text))


def public_attributes(layer: SynthesisLayer) -> dict[str, Any]:
    """Return the attributes of a layer whose names do not start with an underscore."""
    return {name: value for name, value in vars(layer).items() if not name.startswith("_")}


def compiled(function: Callable) -> tuple[Callable, list[None]]:
    """Compile a function; the list grows by one each time the function is traced.

    On PyTorch, where nothing is traced, the function comes back as it is.
    """
    traces: list[None] = []

    def traced(*args: Any) -> Any:
        traces.append(None)
        return function(*args)

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(traced, autograph=False), traces
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(traced), traces
    return function, traces


def dtype_policy(name: str) -> contextlib.AbstractContextManager:
    """Set the global dtype policy for a while."""
    return _settings(dtype_policy=name)


def keras_settings(floatx: str) -> contextlib.AbstractContextManager:
    """Set what a keras.json may set for a while: a dtype, and all else than the defaults."""
    others = {"image_data_format": "channels_first", "epsilon": 0.01}
    return _settings(floatx=floatx, dtype_policy=floatx, **others)


@contextlib.contextmanager
def _settings(**settings: Any) -> Iterator[None]:
    before = {name: getattr(keras.config, name)() for name in settings}
    with contextlib.ExitStack() as stack:
        for name, value in settings.items():
            setter = getattr(keras.config, f"set_{name}")
            stack.callback(setter, before[name])
            setter(value)
        yield
