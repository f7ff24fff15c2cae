import math

import pytest

from synthtf.evaluation.averages import mean_over_labels, mean_over_scans


def row(label, dice, distance=1.0):
    return {
        "label": label,
        "name": f"label {label}",
        "dice": dice,
        "hausdorff95_mm": distance,
        "volume_mm3": 100.0 * label,
        "reference_volume_mm3": 10.0,
    }


def test_labels_are_averaged_over_the_scans_that_have_them():
    tables = [[row(1, 0.5), row(3, 0.2, math.nan)], [row(1, 0.7, 3.0)]]
    first, second = mean_over_scans(tables)
    assert (first["label"], first["scans"], second["label"], second["scans"]) == (1, 2, 3, 1)
    assert first["dice"] == pytest.approx(0.6)
    assert first["hausdorff95_mm"] == pytest.approx(2.0)
    assert math.isnan(second["hausdorff95_mm"])


def test_the_mean_over_labels_skips_what_is_no_number():
    result = mean_over_labels([row(1, 0.5, 4.0), row(2, 0.0, math.nan)])
    assert result == {"name": "mean", "dice": 0.25, "hausdorff95_mm": 4.0}
    assert math.isnan(mean_over_labels([])["dice"])
