import csv

import pytest

from synthtf.inference.tables import format_table, volume_columns, write_table


def test_names_with_commas_and_missing_values_survive(tmp_path):
    path = tmp_path / "table.csv"
    write_table(path, ["scan", "a, b"], [{"scan": "ü.nii", "a, b": 1.5}, {"scan": "y"}])
    with path.open(encoding="utf-8", newline="") as stream:
        assert list(csv.reader(stream)) == [["scan", "a, b"], ["ü.nii", "1.5"], ["y", ""]]
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]


def test_an_existing_table_survives_a_failure(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("kept")
    with pytest.raises(ValueError, match="unexpected"):
        write_table(path, ["scan"], [{"unexpected": 1}])
    assert path.read_text() == "kept"
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]


def test_the_background_is_no_column():
    assert volume_columns({0: "background", 4: "ventricle"}, (0, 4)) == {4: "ventricle"}


def test_numbers_stand_to_the_right_and_missing_ones_are_hyphens():
    rows = [{"name": "a", "x": 1.0}, {"name": "longer", "x": float("nan")}, {"x": 12.345}]
    lines = format_table({"name": "", "x": ".1f"}, rows).splitlines()
    assert lines == ["name       x", "a        1.0", "longer     -", "-       12.3"]
