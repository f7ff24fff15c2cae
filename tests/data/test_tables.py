import csv

import pytest

from synthtf.data.tables import ScanTable, format_table, volume_columns, write_table


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


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))


def test_rows_of_other_scans_are_kept_and_those_of_the_same_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "v.csv"
    table = ScanTable(path)
    table.begin(["a, b"])
    assert rows_of(path) == [["scan", "a, b"]]
    table.add("x ü.nii", {"a, b": 1})
    table.add("y.nii", {"a, b": 2})
    again = ScanTable(path)
    again.begin(["a, b"])
    assert "./x ü.nii" in again and tmp_path / "y.nii" in again and "z.nii" not in again
    again.add(tmp_path / "x ü.nii", {"a, b": 3})
    again.add("z.nii", {})
    assert rows_of(path) == [
        ["scan", "a, b"],
        [str(tmp_path / "x ü.nii"), "3"],
        ["y.nii", "2"],
        ["z.nii", ""],
    ]


def test_every_row_is_on_disk_at_once(tmp_path):
    table = ScanTable(tmp_path / "v.csv")
    table.begin(["a"])
    table.add("x", {"a": 1})
    assert rows_of(tmp_path / "v.csv")[-1] == ["x", "1"]


def test_tables_of_other_columns_are_refused_and_kept(tmp_path):
    path = tmp_path / "v.csv"
    path.write_text("scan,cortex\nx.nii,5\n")
    with pytest.raises(ValueError, match="holds 2 other columns, as of another model"):
        ScanTable(path).begin(["thalamus"])
    assert path.read_text() == "scan,cortex\nx.nii,5\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name,age\nx,5\n", "is no table of scans"),
        (b"scan,a\nx,1,2\n", "is no table of scans"),
        (b'scan,a\n"x,1\n', "not a CSV file"),
        (b"\xff\xfe\x00", "not a CSV file"),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    (tmp_path / "v.csv").write_bytes(content)
    with pytest.raises(ValueError, match=rf"v\.csv.*{message}"):
        ScanTable(tmp_path / "v.csv")


def test_an_empty_file_becomes_a_table(tmp_path):
    (tmp_path / "v.csv").touch()
    ScanTable(tmp_path / "v.csv").begin(["a"])
    assert rows_of(tmp_path / "v.csv") == [["scan", "a"]]


def test_the_background_is_no_column():
    assert volume_columns({0: "background", 4: "ventricle"}, (0, 4)) == {4: "ventricle"}


def test_numbers_stand_to_the_right_and_missing_ones_are_hyphens():
    rows = [{"name": "a", "x": 1.0}, {"name": "longer", "x": float("nan")}, {"x": 12.345}]
    lines = format_table({"name": "", "x": ".1f"}, rows).splitlines()
    assert lines == ["name       x", "a        1.0", "longer     -", "-       12.3"]
