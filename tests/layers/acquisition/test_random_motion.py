import numpy as np
import pytest
from scipy import ndimage

from synthtf.layers import RandomMotion
from synthtf.testing import RandomLayerContract, check_mean, make_keys, to_arrays


class TestRandomMotion(RandomLayerContract):
    layer = RandomMotion
    arguments = {"translation": (-3, 3), "rotation": (-20, 20), "num_shots": (2, 3)}
    variants = [{"num_shots": 2, "axes": [1], "spacing": 2.0}, {"severity": (0, 0.5)}]
    identity_arguments = {"translation": 0, "rotation": 0}
    num_outcomes = 8
    invalid = [
        ({"rotation": (0, 400)}, "`rotation` must lie in"),
        ({"translation": (3, 2)}, "low <= high"),
        ({"num_shots": 0}, "`num_shots` must lie in"),
        ({"num_shots": (2, 3.5)}, "`num_shots` must be whole numbers"),
        ({"axes": [3]}, "`axes` must be different spatial axes"),
        ({"axes": []}, "`axes` must be different spatial axes"),
        ({"spacing": 0}, "`spacing` must be positive"),
        ({"severity": (0, 2)}, "`severity` must lie in"),
    ]


def blob(*shape):
    """A smooth object of no symmetry, far from the border."""
    image = np.zeros(shape)
    image[tuple(slice(n // 3, n - n // 3) for n in shape)] = 1
    image[tuple(slice(n // 2, n - n // 3) for n in shape)] = 2
    return ndimage.gaussian_filter(image, 1)[None, ..., None].astype("float32")


def moved(image, translation, degrees, spacing):
    """The image where it is in one shot, by SciPy."""
    ndim = image.ndim
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    if ndim == 2:
        matrix = np.array([[c[0], -s[0]], [s[0], c[0]]])
    else:
        x = np.array([[1, 0, 0], [0, c[0], -s[0]], [0, s[0], c[0]]])
        y = np.array([[c[1], 0, s[1]], [0, 1, 0], [-s[1], 0, c[1]]])
        z = np.array([[c[2], -s[2], 0], [s[2], c[2], 0], [0, 0, 1]])
        matrix = x @ y @ z
    scale = np.broadcast_to(spacing, ndim)
    matrix = matrix * scale / scale[:, None]
    centre = (np.array(image.shape) - 1) / 2
    offset = centre - matrix @ centre + translation / scale
    return ndimage.affine_transform(image, matrix, offset, order=1, mode="nearest")


@pytest.mark.parametrize("shape, spacing", [((20, 17), 1.0), ((12, 15, 13), (1.0, 2.0, 1.5))])
def test_each_shot_fills_its_lines_of_kspace(shape, spacing):
    """Fill k-space line by line from the moved images, then transform it back, by NumPy."""
    image = blob(*shape)
    layer = RandomMotion(rotation=(-10, 10), num_shots=(4, 4), spacing=spacing)
    changes = []
    for number in range(3):
        key = make_keys(number + 1)[-1:]
        draws = layer.sample(key, image.shape)
        draws = {name: to_arrays(x)[0] for name, x in draws.items()}
        axis, ends = int(draws["axis"][0]), np.sort(draws["end"][0])
        size = shape[axis]
        lines = (np.arange(size) + 0.5) / size
        segment = np.searchsorted(ends, lines, side="right")
        centre = segment[size // 2]
        kspace = np.zeros(shape, complex)
        for shot in range(4):
            volume = image[0, ..., 0].astype("float64")
            if shot != centre:
                move = (shot - centre) % 4 - 1
                pose = draws["translation"][0, move], draws["rotation"][0, move]
                volume = moved(volume, *pose, spacing)
            filled = np.fft.fftshift(np.fft.fftn(volume), axes=axis)
            here = (*[slice(None)] * axis, segment == shot)
            kspace[here] = filled[here]
        expected = np.abs(np.fft.ifftn(np.fft.ifftshift(kspace, axes=axis)))
        actual = to_arrays(layer(image, key))[0][0, ..., 0]
        np.testing.assert_allclose(actual, expected, atol=2e-4)
        changes.append(np.abs(actual - image[0, ..., 0]).max())
    assert max(changes) > 0.1


def test_the_object_stays_where_the_centre_of_kspace_sees_it():
    """The shot of the central line is number zero, whose pose is not drawn."""
    layer = RandomMotion(num_shots=(2, 6))
    draws = layer.sample(make_keys(30), (30, 18, 18, 1))
    shots = to_arrays(layer._shot(draws, 18))[0]
    assert (shots[:, 9] == 0).all()
    assert (np.abs(np.diff(shots, axis=1)) > 0).sum(axis=1).max() <= 5
    assert shots.max() == 5


def test_translation_is_in_mm():
    image = blob(16, 16)
    one = RandomMotion(translation=(-4, 4), rotation=0, spacing=2.0, name="same")
    other = RandomMotion(translation=(-2, 2), rotation=0, name="same")
    pair = [to_arrays(layer(image, make_keys(1)))[0] for layer in (one, other)]
    np.testing.assert_allclose(*pair, atol=1e-5)


def test_draws_are_uniform():
    layer = RandomMotion(translation=(-1, 5), rotation=(0, 8), num_shots=(2, 4))
    draws = layer.sample(make_keys(300), (300, 8, 8, 8, 1))
    draws = {name: to_arrays(x)[0] for name, x in draws.items()}
    check_mean(draws["translation"], 2)
    check_mean(draws["rotation"], 4)
    check_mean(draws["num_shots"], 3)
    for axis in range(3):
        check_mean(draws["axis"] == axis, 1 / 3)
    size = 20
    shots = to_arrays(layer._shot(draws, size))[0]
    check_mean((np.diff(shots, axis=1) != 0).any(axis=1)[draws["num_shots"] == 2], 1 - 1 / size)


def test_an_axis_that_the_input_lacks():
    with pytest.raises(ValueError, match="below 2"):
        RandomMotion(axes=[2])(np.zeros((1, 8, 8, 1), "float32"))


def test_severity_scales_all_movements_of_a_sample():
    """The shots are the same; none moves where the severity is 0."""
    draws = [
        RandomMotion(severity=severity, name="motion").sample(make_keys(8), (8, 9, 9, 1))
        for severity in (1, 0.25, 0)
    ]
    for name in ("translation", "rotation"):
        whole, quarter, none = (np.asarray(drawn[name]) for drawn in draws)
        np.testing.assert_allclose(quarter, whole / 4, rtol=1e-6)
        assert np.abs(whole).min() > 0 and not none.any()
    np.testing.assert_array_equal(draws[0]["end"], draws[2]["end"])
