import numpy as np
import pytest

from synthtf.evaluation import centre_line_dice
from synthtf.evaluation.centre_lines import centre_line


def test_the_centre_line_of_a_bar_is_its_middle():
    bar = np.zeros((9, 20, 9), bool)
    bar[3:6, 2:18, 3:6] = True
    line = centre_line(bar)
    assert line[4, 4:16, 4].all() and line.sum() <= 16


def test_centre_lines_within_each_other():
    tube = np.zeros((9, 20), bool)
    tube[3:6] = True
    thin = tube & (np.arange(9)[:, None] == 4)
    assert centre_line_dice(thin, tube) == 1  # what Dice calls 0.5
    assert centre_line_dice(tube, np.roll(tube, 3, axis=0)) == 0
    empty = np.zeros_like(tube)
    assert centre_line_dice(tube, empty) == 0 and np.isnan(centre_line_dice(empty, empty))
    assert centre_line(np.ones((4, 4), bool)).sum() == 0  # no border within the volume
    with pytest.raises(ValueError, match="one shape"):
        centre_line_dice(tube, tube[1:])
