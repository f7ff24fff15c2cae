import keras
import numpy as np
import pytest
from keras import ops

from synthtf import random, xla
from synthtf.data.phantoms import head_phantom, phantom_table
from synthtf.synthesis import Recipe

SHAPE = (19, 23, 21)  # no multiple of the vector unit, where the bits of a sample are at risk
pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow" or xla.pays(), reason="fuses on TensorFlow's CPU"
)


@pytest.fixture
def large(monkeypatch):
    """Every volume counts as large."""
    monkeypatch.setattr(xla, "LARGE", 1)
    monkeypatch.setattr(xla, "_BUCKET", 1000)


def compiled(function):
    import tensorflow as tf

    return tf.function(function, autograph=False)


def batch(count=4):
    maps = [head_phantom(n, SHAPE, 9.0) for n in range(count)]
    keys = np.stack([np.zeros(count), np.arange(count)], -1).astype("int32")
    return {"labels": np.stack(maps)[..., None], "key": keys}


def test_a_fused_recipe_gives_the_same_samples(large, monkeypatch):
    model = Recipe.preset("tutorial").build(SHAPE, phantom_table(), 9.0)
    fused = compiled(model)
    whole = {name: x.numpy() for name, x in fused(batch()).items()}
    alone = fused({name: x[2:3] for name, x in batch().items()})
    monkeypatch.setattr(xla, "LARGE", 2**30)
    plain = compiled(model)(batch())
    np.testing.assert_array_equal(whole["labels"], plain["labels"])
    np.testing.assert_allclose(whole["image"], plain["image"], atol=1e-5)
    for name in whole:
        np.testing.assert_array_equal(alone[name][0], whole[name][2])


def test_what_is_fused_is_one_operation(large, monkeypatch):
    import tensorflow as tf

    def steps(x):
        return xla.fused(lambda x: ops.sqrt(ops.abs(x)) + 1.0, x)

    x = tf.ones((2, 5, 7))

    def kinds():
        graph = compiled(steps).get_concrete_function(x).graph
        return {op.type for op in graph.get_operations()}

    assert "Sqrt" not in kinds()
    monkeypatch.setattr(xla, "LARGE", 2**30)
    assert "Sqrt" in kinds()
    monkeypatch.setattr(xla, "LARGE", 1)
    np.testing.assert_allclose(steps(x), 2.0)


def test_tables_of_unknown_size_are_padded_to_few_sizes(large):
    import tensorflow as tf

    sizes = []

    @tf.function(input_signature=[tf.TensorSpec((None,), "int32")])
    def look_up(table):
        index = tf.constant([[0, 2, 2]])
        padded = xla.in_buckets(table, index)
        return tf.size(padded), xla.fused(lambda t, i: tf.gather(t, i), padded, index)

    for size in (3, 500, 1001):
        padded, found = look_up(tf.range(size))
        sizes.append(int(padded))
        np.testing.assert_array_equal(found, [[0, 2, 2]])
    assert sizes == [1000, 1000, 2000]


@pytest.mark.parametrize("shape", [(8, 8, 5), (7, 9, 3)])
def test_large_normal_volumes_have_the_same_numbers(shape, monkeypatch):
    key = np.array([[1, 0], [1, 7]], "int32")
    plain = np.asarray(random.normal(key, shape))
    monkeypatch.setattr(xla, "LARGE", 1)
    eager = np.asarray(random.normal(key, shape))
    np.testing.assert_allclose(eager, plain, atol=1e-5)
    assert not np.array_equal(eager, plain)
    np.testing.assert_array_equal(compiled(lambda k: random.normal(k, shape))(key), eager)
    np.testing.assert_array_equal(random.normal(key[1:], shape)[0], eager[1])
