import numpy as np
import pytest

from synthtf.inference.locate import locate

MARGIN = (3, 3, 3)


class Finder:
    """Finds a box of structures, and remembers in which windows it was asked to."""

    def __init__(self, shape, *boxes):
        self.volume = np.zeros(shape, bool)
        for low, high in boxes:
            self.volume[tuple(map(slice, low, high))] = True
        self.windows = []

    def __call__(self, window):
        self.windows.append(window)
        return self.volume[window]

    @property
    def outer(self):
        return tuple(slice(0, n) for n in self.volume.shape)


def sizes(box):
    return tuple(part.stop - part.start for part in box)


def test_a_field_of_view_like_that_of_the_training_is_taken_as_it_is():
    find = Finder((32, 43, 33), ((10, 10, 10), (20, 20, 20)))
    assert locate(find, find.outer, (30, 40, 32), MARGIN) == find.outer
    assert not find.windows


@pytest.mark.parametrize("low", [(20, 30, 50), (12, 20, 30), (20, 30, 4)])
def test_the_window_is_centred_on_what_is_found_wherever_it_is(low):
    high = tuple(a + 20 for a in low)
    find = Finder((60, 80, 90), (low, high))
    window = locate(find, find.outer, (30, 40, 30), MARGIN)
    assert sizes(window) == (30, 40, 30)
    for part, a, b, limit in zip(window, low, high, find.outer, strict=True):
        assert part.start <= a
        assert part.stop >= b
        centred = abs((part.start + part.stop) - (a + b)) <= 2 * 1 + 1
        assert centred or part.start == limit.start or part.stop == limit.stop
    assert find.windows[0][2].stop == 90, "the search starts at the top of the head"


def test_a_small_piece_far_away_is_ignored():
    alone = Finder((60, 80, 90), ((20, 30, 50), (40, 50, 70)))
    disturbed = Finder((60, 80, 90), ((20, 30, 50), (40, 50, 70)), ((16, 22, 80), (18, 24, 82)))
    boxes = [locate(f, f.outer, (30, 40, 30), MARGIN) for f in (alone, disturbed)]
    assert boxes[0] == boxes[1]


def test_an_axis_grows_where_what_is_found_reaches_its_ends():
    find = Finder((60, 80, 90), ((12, 30, 50), (48, 50, 70)))
    window = locate(find, find.outer, (30, 40, 30), MARGIN)
    assert sizes(window) == (36, 40, 30)


def test_a_network_that_was_trained_on_parts_sees_everything():
    find = Finder((60, 80, 90), ((5, 5, 5), (55, 75, 85)))
    assert locate(find, find.outer, (30, 40, 30), MARGIN) == find.outer


def test_where_nothing_is_found_nothing_is_cut_off():
    find = Finder((60, 80, 90))
    assert locate(find, find.outer, (30, 40, 30), MARGIN) == find.outer
    covered = np.zeros(90, bool)
    for window in find.windows:
        covered[window[2]] = True
    assert covered.all()


def test_windows_stay_in_the_outer_box():
    find = Finder((60, 80, 90), ((20, 30, 60), (40, 50, 74)))
    outer = (slice(18, 50), slice(10, 72), slice(5, 75))
    window = locate(find, outer, (40, 40, 30), MARGIN)
    for seen in (*find.windows, window):
        for part, limit in zip(seen, outer, strict=True):
            assert limit.start <= part.start < part.stop <= limit.stop
    assert sizes(window) == (32, 40, 30)
