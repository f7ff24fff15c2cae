import csv
import os
import subprocess
import sys

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
    path.write_text("scan\nkept\n")
    with pytest.raises(ValueError, match="unexpected"):
        write_table(path, ["scan"], [{"unexpected": 1}])
    assert path.read_text() == "scan\nkept\n"
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
        [str(tmp_path / "y.nii"), "2"],
        [str(tmp_path / "z.nii"), ""],
    ]


def test_every_row_is_on_disk_at_once(tmp_path):
    table = ScanTable(tmp_path / "v.csv")
    table.begin(["a"])
    table.add("x", {"a": 1})
    assert rows_of(tmp_path / "v.csv")[-1] == [os.path.abspath("x"), "1"]


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
        (b'scan,a\n"x,1\n', "line 2: quotes do not match"),
        (b"\xff\xfe\x00", "must be a text file"),
        (b"scan\0,a\n", "zero bytes"),
        (b"scan;a\nx;1\n", "is no table of scans"),
        (b"scan,scan\nx,1\n", "is no table of scans"),
        (b"scan,a\n,1\n", "line 2: is no table of scans"),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    (tmp_path / "v.csv").write_bytes(content)
    with pytest.raises(ValueError, match=rf"v\.csv.*{message}"):
        ScanTable(tmp_path / "v.csv")


def measured(path, scan, value, columns=("a",), **options):
    table = ScanTable(path, **options)
    table.begin(list(columns))
    table.add(scan, {"a": value})


def test_a_scan_is_where_it_is_whatever_folder_one_is_in(tmp_path, monkeypatch):
    for subject in ("sub-01", "sub-02", "sub-03"):
        (tmp_path / subject).mkdir()
        monkeypatch.chdir(tmp_path / subject)
        measured("../v.csv", "T1.nii.gz", subject)
    assert [row[1] for row in rows_of(tmp_path / "v.csv")] == ["a", "sub-01", "sub-02", "sub-03"]
    # Other names of the same scans.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("sub-02")
    measured("v.csv", "sub-03/T1.nii.gz", "again")
    measured("v.csv", "sub-03/../link/./T1.nii.gz", "linked")
    assert tmp_path / "link" / "T1.nii.gz" in ScanTable("v.csv")
    (tmp_path / "link").unlink()
    (tmp_path / "sub-02" / "inner").mkdir()
    (tmp_path / "link").symlink_to("sub-02/inner")
    measured("v.csv", "link/../T1.nii.gz", "up")
    found = [row[1] for row in rows_of(tmp_path / "v.csv")]
    assert found == ["a", "sub-01", "up", "again"]


def test_two_files_are_two_scans_though_their_content_is_stored_once(tmp_path):
    """As git-annex stores it."""
    for name in ("a.nii", "b.nii"):
        (tmp_path / name).symlink_to("store/x")
        measured(tmp_path / "v.csv", tmp_path / name, name)
    assert [row[1] for row in rows_of(tmp_path / "v.csv")] == ["a", "a.nii", "b.nii"]


def test_relative_paths_in_a_table_start_in_its_folder(tmp_path):
    (tmp_path / "v.csv").write_text("scan,a\nx.nii,1\ny.nii,2\n")
    assert tmp_path / "x.nii" in ScanTable(tmp_path / "v.csv") and "x.nii" not in ScanTable(
        tmp_path / "v.csv"
    )
    measured(tmp_path / "v.csv", tmp_path / "x.nii", "3")
    assert rows_of(tmp_path / "v.csv")[1:] == [[str(tmp_path / "x.nii"), "3"], ["y.nii", "2"]]


def test_tables_that_were_opened_before_others_wrote_lose_nothing(tmp_path):
    tables = [ScanTable(tmp_path / "v.csv") for _ in range(3)]
    for table in tables:
        table.begin(["a"])
    for number, table in enumerate(tables):
        table.add(f"/scans/{number}.nii", {"a": number})
    assert [row[1] for row in rows_of(tmp_path / "v.csv")] == ["a", "0", "1", "2"]


def test_processes_that_write_at_once_lose_nothing(tmp_path):
    code = (
        "import sys; from synthtf.data.tables import ScanTable\n"
        "table = ScanTable(sys.argv[1]); table.begin(['a'])\n"
        "for i in range(12): table.add(f'/{sys.argv[2]}/{i}.nii', {'a': i})"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "v.csv")]
    jobs = [subprocess.Popen([*words, name]) for name in ("x", "y", "z")]
    assert [job.wait() for job in jobs] == [0, 0, 0]
    found = sorted(row[0] for row in rows_of(tmp_path / "v.csv")[1:])
    assert found == sorted(f"/{name}/{i}.nii" for name in "xyz" for i in range(12))


def test_columns_and_rows_of_others_stay(tmp_path):
    path = tmp_path / "v.csv"
    path.write_bytes('\ufeffage,scan,a,note\r\n5.10,/x.nii,1,"an, old"\r\n7,/y.nii,2,\r\n'.encode())
    path.chmod(0o664)
    measured(path, "/x.nii", "3")
    measured(path, "/z.nii", "4")
    assert rows_of(path) == [
        ["age", "scan", "a", "note"],
        ["5.10", "/x.nii", "3", "an, old"],
        ["7", "/y.nii", "2", ""],
        ["", "/z.nii", "4", ""],
    ]
    assert path.stat().st_mode & 0o777 == 0o664


def test_a_scan_may_have_several_rows(tmp_path):
    path = tmp_path / "v.csv"
    path.write_text("scan,label,a,mine\n/x,1,5,keep\n/y,1,6,\n/x,2,7,gone\n")
    table = ScanTable(path, keys=["label"])
    table.begin(["label", "a"])
    table.add("/x", {"label": 3, "a": 8}, {"label": 1, "a": 9})
    table.add("/z")
    expected = [["/x", "3", "8", ""], ["/x", "1", "9", "keep"], ["/y", "1", "6", ""]]
    assert rows_of(path)[1:] == expected


def test_a_link_to_a_table_stays_one(tmp_path):
    (tmp_path / "link.csv").symlink_to("v.csv")
    measured(tmp_path / "link.csv", "/x", 1)
    measured(tmp_path / "v.csv", "/y", 2)
    assert (tmp_path / "link.csv").is_symlink() and len(rows_of(tmp_path / "v.csv")) == 3


@pytest.mark.parametrize("name", [b"M\xfcller.nii", b'a\nb, "c".nii', b"x\ry.nii", b"\xe2\x80\xa8"])
def test_any_name_of_a_file_is_a_row(tmp_path, name):
    scan = os.path.join("/scans", os.fsdecode(name))
    for path in (tmp_path / "v.csv", tmp_path / "v.tsv"):
        for value, other in enumerate((scan, "/b.nii", scan)):
            measured(path, other, value)
        assert scan in ScanTable(path) and "/b.nii" in ScanTable(path)
        assert name.split(b'"')[0] in path.read_bytes()
        assert len(ScanTable(path)._rows) == 2
    assert (tmp_path / "v.tsv").read_text(errors="replace").startswith("scan\ta\n")


def test_a_row_without_values_is_not_measured_yet(tmp_path):
    (tmp_path / "v.csv").write_text("scan,a\n/x,\n/y,1\n")
    table = ScanTable(tmp_path / "v.csv")
    assert "/x" not in table and "/y" in table


def test_tables_of_others_are_never_replaced(tmp_path):
    path = tmp_path / "participants.csv"
    path.write_text("name,age\nx,5\n")
    with pytest.raises(ValueError, match=r"participants\.csv exists and is another table"):
        write_table(path, ["label", "name"], [])
    assert path.read_text() == "name,age\nx,5\n"
    path.write_text("label,name\n")
    write_table(path, ["label", "name"], [{"label": 3}])
    assert rows_of(path) == [["label", "name"], ["3", ""]]


def test_a_table_that_became_another_is_kept(tmp_path):
    path = tmp_path / "v.csv"
    table = ScanTable(path)
    table.begin(["a"])
    path.write_text("scan,b\n/x,1\n")
    with pytest.raises(ValueError, match="holds 2 other columns, as of another model, and not 'a'"):
        table.add("/y", {"a": 1})
    assert path.read_text() == "scan,b\n/x,1\n"
    path.unlink()
    table.add("/y", {"a": 1})
    assert rows_of(path) == [["scan", "a"], ["/y", "1"]]


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
