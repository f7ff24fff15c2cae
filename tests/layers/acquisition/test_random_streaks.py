import numpy as np
import pytest

from synthtf.layers import RandomStreaks
from synthtf.testing import RandomLayerContract, check_mean, make_keys, same_bits, to_arrays


class TestRandomStreaks(RandomLayerContract):
    layer = RandomStreaks
    arguments = {"intensity": (0.2, 0.4), "num_rays": (5, 9), "reach": (2, 5)}
    variants = [{"axis": 0, "spacing": 2.0}]
    identity_arguments = {"intensity": 0}
    invalid = [
        ({"intensity": -1}, "`intensity` must lie in"),
        ({"num_sources": 0}, "`num_sources` must lie in"),
        ({"num_sources": 1.5}, "`num_sources` must be whole"),
        ({"num_rays": 1}, "`num_rays` must lie in"),
        ({"reach": 0}, "`reach` must lie in"),
        ({"extent": 0}, "`extent` must lie in"),
        ({"axis": 3}, "`axis` must be a spatial axis"),
        ({"spacing": 0}, "`spacing` must be positive"),
    ]


def streaks(shape, num, **arguments):
    """Streaks on black, and their draws."""
    layer = RandomStreaks(name="tested", **arguments)
    black = np.zeros((num, *shape, 1), "float32")
    draws = layer.sample(make_keys(num), black.shape)
    out = to_arrays(layer.apply(black, draws))[0][..., 0]
    names = sorted(draws)
    return out, dict(zip(names, to_arrays([draws[name] for name in names]), strict=True))


@pytest.mark.parametrize(
    ("shape", "spacing", "axis"),
    [((21, 30), (1, 1), 2), ((21, 30), (0.5, 2), 0), ((10, 12, 9), (1, 2, 3), 1)],
)
def test_agrees_with_the_formula_in_numpy(shape, spacing, axis):
    out, draws = streaks(
        shape, 5, spacing=spacing, axis=axis, num_rays=(5, 30), reach=(3, 20), intensity=(0.1, 1)
    )
    grid = np.meshgrid(*map(np.arange, shape), indexing="ij")
    for k in range(5):
        expected = np.zeros(shape)
        for s in range(draws["num_sources"][k]):
            offset = [
                (g - p * (n - 1)) * mm
                for g, p, n, mm in zip(grid, draws["position"][k, s], shape, spacing, strict=True)
            ]
            x, y = [o for d, o in enumerate(offset) if len(shape) == 2 or d != axis]
            rays = draws["num_rays"][k, s]
            values = draws["profile"][k, s, :rays]
            angle = np.arctan2(y, x) % (2 * np.pi)
            profile = np.interp(angle, 2 * np.pi * np.arange(rays) / rays, values, period=2 * np.pi)
            term = profile / (1 + np.hypot(x, y) / draws["reach"][k, s])
            if len(shape) == 3:
                term = term * np.exp(-0.5 * (offset[axis] / draws["extent"][k, s]) ** 2)
            expected += draws["intensity"][k] * term
        np.testing.assert_allclose(out[k], expected, atol=2e-4)


def test_size_is_in_mm():
    """The streaks of a grid twice as fine are those of the coarse one between its voxels."""
    arguments = {"reach": 8, "extent": 3, "num_rays": 12}
    fine = streaks((41, 33, 21), 2, spacing=1.0, **arguments)[0]
    coarse = streaks((21, 17, 11), 2, spacing=2.0, **arguments)[0]
    np.testing.assert_allclose(fine[:, ::2, ::2, ::2], coarse, atol=1e-4)


def test_draws_are_uniform():
    arguments = {"num_sources": (1, 3), "num_rays": (4, 8), "intensity": (0.1, 0.5)}
    out, draws = streaks((6, 5), 150, **arguments)
    check_mean(draws["num_sources"], 2)
    check_mean(draws["num_rays"], 6)
    check_mean(draws["intensity"], 0.3)
    check_mean(draws["position"], 0.5)
    check_mean(draws["profile"], 0)
    check_mean(out.mean((1, 2)), 0)


def test_bits_of_large_images():
    image = np.random.default_rng(0).uniform(size=(3, 150, 131, 1)).astype("float32")
    layer = RandomStreaks(name="tested")
    whole = to_arrays(layer(image, make_keys(3)))
    for row in range(3):
        here = slice(row, row + 1)
        same_bits(to_arrays(layer(image[here], make_keys(3)[here])), [whole[0][here]])
