import numpy as np
import pytest

from synthtf.data.points import PointTable, read_points, write_points


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


SLICER = (
    "# Markups fiducial file version = 4.13\n# CoordinateSystem = {}\n"
    "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\n"
)
# Each holds the points (1, 2, 3) and (4, 5, -6) in RAS mm, or has x and y of the other sign.
TABLES = {
    "x,y,z": "x,y,z\n1,2,3\n4,5,-6e0\n",
    "no names": "1 2 3\n 4   5 -6 \n",
    "no names, but a label": "AC,1,2,3\nPC,4,5,-6\n",
    "tabs and a remark": '# mm\nx\ty\tz\tname\n1\t2\t3\tAC\n\n4\t5\t-6\t"PC, left"\n',
    "blanks after commas": "\ufeffx, y, z, name\r\n1, 2, 3, ü\r\n4, 5, -6, b\r\n",
    "dataframe index": ",x,y,z\n0,1,2,3\n1,4,5,-6\n",
    "id column": "id,x,y,z\n101,1,2,3\n102,4,5,-6\n",
    "other order": "z,y,x\n3,2,1\n-6,5,4\n",
    "x in between": "label,size,x,y,z\n7,5,1,2,3\n8,5,4,5,-6\n",
    "R": '"","X","Y","Z"\n"1",1,2,3\n"2",4,5,-6\n',
    "semicolons": "z;x;y\n3;1;2\n-6;4;5\n",
    "BIDS": "name\tx\ty\tz\tsize\nA\t1\t2\t3\tn/a\nB\t4\t5\t-6\t2\n",
    "units": "id,x (mm),y_mm,Z [mm]\na,1,2,3\nb,4,5,-6\n",
    "Slicer's columns": "# columns = id,x,y,z,ow\n1,1,2,3,0\n2,4,5,-6,0\n",
    "Slicer 4.5": "# CoordinateSystem = 0\n# columns = id,x,y,z,ow\n1,1,2,3,0\n2,4,5,-6,0\n",
    "Slicer 4.10, 1": "# CoordinateSystem = 1\n# columns = id,x,y,z\n1,-1,-2,3\n2,-4,-5,-6\n",
    "Slicer 5": SLICER.format("LPS") + '0,-1,-2,3,0,0,0,1,1,1,0,"F-1, left",,,2,0\n'
    "1,-4,-5,-6,0,0,0,1,1,1,0,F-2,,,2,0\n",
    "Slicer's RAS": SLICER.format("RAS") + "0,1,2,3,0\n1,4,5,-6,0\n",
    "names say LPS": "label,l,p,s\na,-1,-2,3\nb,-4,-5,-6\n",
    "names say RAS": "label,R,A,S\na,1,2,3\nb,4,5,-6\n",
    "ANTs with a remark": "# coordinate system: lps\nx,y,z,t\n-1,-2,3,0\n-4,-5,-6,0\n",
    "NumPy": "# z x y\n3 1 2\n-6 4 5\n",
    "filled up by a spreadsheet": "# CoordinateSystem = LPS,,\nx,y,z\n-1,-2,3\n-4,-5,-6\n",
}


@pytest.mark.parametrize("text", TABLES.values(), ids=TABLES)
def test_tables(tmp_path, text):
    path = write(tmp_path / "a.csv", text)
    table = read_points(path)
    np.testing.assert_array_equal(table.points, [[1, 2, 3], [4, 5, -6]])
    out = tmp_path / "new" / "b.csv"
    write_points(out, table.with_points(table.points + np.array([10, 20, -30])))
    again = read_points(out)
    np.testing.assert_array_equal(again.points, [[11, 22, -27], [14, 25, -36]])
    assert [p.name for p in out.parent.iterdir()] == ["b.csv"]
    # All but the points is as it was.
    kept = [i for i in range(len(table.cells[0])) if i not in table.places]
    assert [[row[i] for i in kept] for row in again.cells] == [
        [row[i] for i in kept] for row in table.cells
    ]
    assert (again.header, again.remarks) == (table.header, table.remarks)


def test_points_of_a_caller_who_says_what_they_are(tmp_path):
    path = write(tmp_path / "a.csv", "x,y,z,t,label\n1,2,3,0,7\n")
    with pytest.raises(ValueError, match="columns x, y, z, t are those of ANTs, which means LPS"):
        read_points(path)
    np.testing.assert_array_equal(read_points(path, "LPS").points, [[-1, -2, 3]])
    np.testing.assert_array_equal(read_points(path, "RAS").points, [[1, 2, 3]])
    write_points(tmp_path / "b.csv", read_points(path, "LPS"))
    assert (tmp_path / "b.csv").read_text().splitlines()[1] == "1.000000,2.000000,3.000000,0,7"
    write(path, "# CoordinateSystem = RAS\nx,y,z,t\n1,2,3,0\n")
    with pytest.raises(ValueError, match="are said to be LPS and RAS"):
        read_points(path, "LPS")
    with pytest.raises(ValueError, match="coordinates must be one of"):
        read_points(path, "RAI")


@pytest.mark.parametrize(("name", "delimiter"), [("b.tsv", "\t"), ("b.fcsv", ","), ("b.txt", " ")])
def test_an_ending_means_what_stands_between_columns(tmp_path, name, delimiter):
    table = read_points(write(tmp_path / "a.txt", "x y z name\n1 2 3 ab\n"))
    write_points(tmp_path / name, table)
    assert (
        delimiter.join(("1.000000", "2.000000", "3.000000", "ab")) in (tmp_path / name).read_text()
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no point"),
        ("# a remark\n", "holds no point"),
        ("x,y,z\n", "holds no point"),
        ("x,y,z\nmore,of,it\n1,2,3\n", "line 2: x, y and z must be three numbers"),
        ("1,2,3\n4,5\n", "line 2: .* three numbers. Received: '4 5'"),
        ("1,2,3\n4,nan,6\n", "line 2"),
        ("x,y,z\n1,2,inf\n", "line 2"),
        ("x,y,z\n\n1,2,1_0\n", "line 3"),
        ("x;y;z\n1,5;2;3\n", "line 2: x, y and z must be three numbers"),
        ("1,5;2,5;3,5\n1,5;2,5;3,5\n", "one of the sets of columns"),
        ("a,b,c\n1,2,3\n", "one of the sets of columns x, y, z; .* Received: a, b, c"),
        ("i,j,k\n1,2,3\n", "one of the sets of columns"),
        ("x (cm),y (cm),z (cm)\n1,2,3\n", "one of the sets of columns"),
        ("x,y,z,r,a,s\n1,2,3,4,5,6\n", "one of the sets of columns"),
        ("x,X,y,z\n1,2,3,4\n", "two columns are called x"),
        ("101,1,2,3\n102,4,5,6\n", "line 1: without names of columns, a row must have exactly"),
        (",0,1,2\n0,1,2,3\n", "line 2: without names of columns"),
        ('"x" "y" "z"\n"1" 1 2 3\n', "line 2: the row must have 3 cells"),
        ("# CoordinateSystem = IJK\nx,y,z\n1,2,3\n", "must be one of .* Received: 'IJK'"),
        ("# CoordinateSystem = 2\nx,y,z\n1,2,3\n", "must be one of .* Received: '2'"),
        ("# CoordinateSystem = RAS\nl,p,s\n1,2,3\n", "are said to be LPS and RAS"),
        ("# CoordinateSystem = RAS\n# CoordinateSystem = LPS\nx,y,z\n1,2,3", "two lines say"),
        ('x,y,z\n1,2,"3\n', "line 2: quotes do not match"),
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


def test_points_that_are_from_no_file_can_be_written(tmp_path):
    write_points(tmp_path / "a.csv", PointTable(np.arange(6.0).reshape(2, 3)))
    np.testing.assert_array_equal(read_points(tmp_path / "a.csv").points, [[0, 1, 2], [3, 4, 5]])
