"""Pictures of registrations: panels, folds and errors."""

import numpy as np
import pytest
from matplotlib.image import imread

from synthtf import figures


def coordinates(shape, scale=1.0):
    return scale * np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)


def panel(path, column, columns):
    picture = imread(path)[..., :3]
    width = picture.shape[1] / columns
    return picture[:, round(column * width) : round((column + 1) * width)]


def blueness(path):
    last = panel(path, 3, 4)
    # Above the colour bar.
    last = last[: round(0.85 * len(last))]
    return (last[..., 2] - last[..., 0]).mean()


@pytest.mark.parametrize("shape", [(40, 40), (40, 40, 40)])
def test_growth_is_blue_and_shrinking_red(shape, tmp_path):
    image = np.random.default_rng(0).random(shape)
    paths = {
        scale: figures.registration(
            image, image, image, tmp_path / f"{scale}.png", coordinates(shape, scale)
        )
        for scale in (0.8, 1.0, 1.2)
    }
    colours = {scale: blueness(path) for scale, path in paths.items()}
    assert colours[0.8] < -0.05 < abs(colours[1.0]) + 0.05 < 0.06
    assert colours[1.2] > 0.05


def test_folds_are_black(tmp_path):
    shape = (40, 40)
    mirrored = coordinates(shape)[::-1]
    image = np.ones(shape)
    folded = figures.registration(image, image, image, tmp_path / "f.png", mirrored)
    plain = figures.registration(image, image, image, tmp_path / "p.png", coordinates(shape))
    middle = np.s_[100:200, 60:200]
    assert panel(folded, 3, 4)[middle].mean() < 0.1 < panel(plain, 3, 4)[middle].mean()


def test_a_checkerboard_shows_both(tmp_path):
    """Fixed black and moving white: about half of the first panel, and all black in the second."""
    black, white = np.zeros((48, 48)), np.ones((48, 48))
    black[0, 0], white[0, 0] = 1, 0
    path = figures.registration(black, white, black, tmp_path / "x.png")
    shares = [(panel(path, column, 2) > 0.9).mean() for column in range(2)]
    assert shares[0] > 0.3
    assert shares[1] < 0.05


def test_the_lines_of_the_grid_are_ten_mm_apart(tmp_path):
    image = np.zeros((100, 100))
    image[0, 0] = 1
    path = figures.registration(image, image, image, tmp_path / "x.png", coordinates((100, 100)))
    yellow = panel(path, 2, 4)
    yellow = (yellow[..., 0] > 0.5) & (yellow[..., 2] < 0.5)
    upright = yellow.mean(0) > 0.3 * yellow.mean(0).max() + 0.05
    lines = np.flatnonzero(np.diff(upright.astype(int)) == 1)
    assert 9 <= len(lines) <= 11


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"after": np.zeros((8, 9))}, "`after` must be on the grid"),
        ({"coordinates": np.zeros((8, 8, 3))}, "`coordinates` must have the shape"),
    ],
)
def test_refuses(change, message, tmp_path):
    images = {name: np.zeros((8, 8)) for name in ("fixed", "before", "after")}
    with pytest.raises(ValueError, match=message):
        figures.registration(**{**images, "path": tmp_path / "x.png", **change})
