import numpy as np
import pytest

from synthtf.data.points import PointTable, read_points, write_points

COLUMNS = ("# mm", "x\ty\tz\tname")


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text, delimiter, header, rest",
    [
        ("x,y,z\n1,2,3\n4,5,-6e0\n", ",", ("x,y,z",), ("", "")),
        (
            "# mm\nx\ty\tz\tname\n1\t2\t3\tAC\n\n4\t5\t-6\tPC, left\n",
            "\t",
            COLUMNS,
            ("\tAC", "\tPC, left"),
        ),
        ("1 2 3\n 4   5 -6 \n", " ", (), ("", "")),
        ("﻿x, y, z, name\n1, 2, 3, ü\n4, 5, -6, b\n", ",", ("x, y, z, name",), (", ü", ", b")),
    ],
)
def test_tables(tmp_path, text, delimiter, header, rest):
    table = read_points(write(tmp_path / "a.csv", text))
    np.testing.assert_array_equal(table.points, [[1, 2, 3], [4, 5, -6]])
    assert (table.delimiter, table.header, table.rest) == (delimiter, header, rest)
    out = tmp_path / "new" / "b.csv"
    write_points(out, table.with_points(table.points + 0.5))
    again = read_points(out)
    np.testing.assert_array_equal(again.points, table.points + 0.5)
    assert (again.header, again.rest) == (header, rest)
    assert [p.name for p in out.parent.iterdir()] == ["b.csv"]


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "holds no point"),
        ("x,y,z\n", "holds no point"),
        ("x,y,z\nmore,of,it\n1,2,3\n", "line 2: the row must start with three numbers"),
        ("1,2,3\n4,5\n", "line 2: .* three numbers. Received: '4,5'"),
        ("1,2,3\n4,nan,6\n", "line 2"),
    ],
)
def test_malformed_tables_are_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_points(write(tmp_path / "a.csv", text))
    assert str(caught.value).startswith(str(tmp_path / "a.csv"))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_points(tmp_path / "gone.csv")
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="must be a text file"):
        read_points(tmp_path / "a.csv")


def test_points_of_another_number_are_refused():
    with pytest.raises(ValueError, match=r"`points` must have the shape \(2, 3\)"):
        PointTable(np.zeros((2, 3))).with_points(np.zeros((3, 3)))
