import numpy as np
import pytest

from synthtf.inference.bias_field import BiasField

EVERYTHING = (slice(None),) * 3


def head(shape=(96, 80, 72)):
    """Nested ellipsoids of three tissues, and a smooth field."""
    places = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    radius = np.sqrt(sum(np.square(x) for x in places)) + 0.05 * np.sin(9 * places[0])
    image = np.select([radius < 0.45, radius < 0.7, radius < 0.9], [100.0, 70.0, 30.0])
    field = np.exp(0.4 * places[0] - 0.3 * places[1] * places[2] + 0.2 * places[2] ** 2)
    noise = np.random.default_rng(0).normal(0, 1.5, shape)
    return (np.abs(image + noise) * (image > 0)).astype("float32"), field.astype("float32")


def spread(image, tissue):
    return image[tissue].std() / image[tissue].mean()


@pytest.mark.parametrize("offset", [0.0, -50.0])
def test_a_smooth_field_is_found(offset):
    image, field = head()
    tissue = (image > 85) | (image == 100)
    biased = image * field + offset
    found = BiasField.find(biased, (2.0, 2.0, 2.0))
    flat = (biased - found.low) * found.factors(image.shape, EVERYTHING)
    assert spread(flat, tissue) < 0.5 * spread(image * field, tissue)


def test_what_has_no_field_is_left_as_it_is():
    image, _ = head()
    found = BiasField.find(image, (2.0, 2.0, 2.0))
    factors = found.factors(image.shape, EVERYTHING)[image > 0]
    assert factors.min() > 0.85 and factors.max() < 1.15


def test_a_part_has_the_factors_of_the_whole():
    image, field = head()
    found = BiasField.find(image * field, (2.0, 2.0, 2.0))
    box = (slice(10, 40), slice(0, 80), slice(30, 31))
    whole = found.factors(image.shape, EVERYTHING)
    np.testing.assert_allclose(found.factors(image.shape, box), whole[box], rtol=1e-5)


@pytest.mark.parametrize("shape", [(1, 40, 40), (6, 6, 6), (40, 1, 1)])
@pytest.mark.parametrize("value", [0.0, 7.0])
def test_where_there_is_nothing_to_judge_by_factors_are_one(shape, value):
    found = BiasField.find(np.full(shape, value), (1.0, 1.0, 1.0))
    np.testing.assert_array_equal(found.factors(shape, EVERYTHING), np.ones(shape))
