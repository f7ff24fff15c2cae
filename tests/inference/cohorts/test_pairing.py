import os

import pytest

from synthtf.inference.cohorts.pairing import ScanPairs
from synthtf.usage import UsageError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two folders of two scans each, an image, and a data set."""
    for name in ("moving/a.nii.gz", "moving/b.nii", "fixed/c.mgz", "fixed/d.nii.gz", "one.nii.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    anat = tmp_path / "raw/sub-1/anat"
    anat.mkdir(parents=True)
    for suffix in ("T1w", "FLAIR"):
        (anat / f"sub-1_{suffix}.nii.gz").touch()
    (tmp_path / "raw/dataset_description.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(found):
    return [(moving.name, fixed.name) for moving, fixed in found.pairs]


def test_one_pair_gets_files(folder):
    found = ScanPairs.of("moving/b.nii", "one.nii.gz")
    assert (names(found), found.names) == ([("b.nii", "one.nii.gz")], ["b_to_one"])
    assert found.single and found.root is None


def test_many_move_to_one_or_each_to_its_own(folder):
    found = ScanPairs.of("moving", "one.nii.gz")
    assert found.names == ["a_to_one", "b_to_one"] and not found.single
    (folder / "list.txt").write_text("fixed/d.nii.gz\nfixed/c.mgz\n")
    assert ScanPairs.of("moving", "list.txt").names == ["a_to_d", "b_to_c"]
    assert ScanPairs.of("moving", "fixed").names == ["a_to_c", "b_to_d"]


def test_a_table_names_pairs_and_outputs(folder):
    (folder / "t.tsv").write_text(
        "fixed\tmoving\tname\none.nii.gz\tmoving/a.nii.gz\tfirst\nfixed/c.mgz\tgone.nii\t\n"
    )
    found = ScanPairs.of(table="t.tsv")
    assert names(found) == [("a.nii.gz", "one.nii.gz"), ("gone.nii", "c.mgz")]
    assert found.names == ["first", "gone_to_c"] and not found.single
    (folder / "t.csv").write_text("moving,fixed\nmoving/b.nii,one.nii.gz\n")
    assert ScanPairs.of(table="t.csv").names == ["b_to_one"]


def test_a_table_of_pairs_is_read_as_others_write_it(folder, monkeypatch):
    expected = [(folder / "moving" / "b.nii", folder / "one.nii.gz")]
    for name, content in {
        "t.tsv": b"\xef\xbb\xbf# mine\r\nmoving\tfixed\r\nmoving/b.nii\tone.nii.gz\r\n",
        "t.csv": b'"Fixed"; "Moving"\n"one.nii.gz"; "moving/b.nii"\n',
        "t.txt": "fixed,name,moving\none.nii.gz,x,moving/b.nii\n".encode("utf-16"),
    }.items():
        (folder / name).write_bytes(content)
        for place in (folder, folder / "moving"):
            monkeypatch.chdir(place)
            assert ScanPairs.of(table=folder / name).pairs == expected
    (folder / "lists").mkdir()
    (folder / "lists" / "t.csv").write_bytes(b"moving,fixed\nM\xfcller.nii,../one.nii.gz\n")
    ((moving, _),) = ScanPairs.of(table=folder / "lists" / "t.csv").pairs
    assert os.fsencode(moving.name) == b"M\xfcller.nii"
    (folder / "lists" / "t.csv").write_text("moving,fixed\nmoving/b.nii,one.nii.gz\n")
    monkeypatch.chdir(folder)
    with pytest.raises(UsageError, match=r"t\.csv, line 2: moving/b\.nii is there"):
        ScanPairs.of(table="lists/t.csv")


def test_data_sets_pair_their_scans(folder):
    found = ScanPairs.of("raw", moving_suffix="T1w", fixed_suffix="FLAIR")
    assert names(found) == [("sub-1_T1w.nii.gz", "sub-1_FLAIR.nii.gz")]
    assert found.root.name == "raw" and not found.single
    assert names(ScanPairs.of("raw")) == [("sub-1_T1w.nii.gz", "sub-1_FLAIR.nii.gz")]
    assert len(ScanPairs.of("raw", "one.nii.gz").pairs) == 2


@pytest.mark.parametrize(
    ("words", "options", "message"),
    [
        ((), {}, "either MOVING and FIXED, or a table"),
        (("moving",), {"table": "t.tsv"}, "either MOVING and FIXED, or a table"),
        (("moving",), {}, "expected FIXED as well"),
        (("moving", "gone.nii"), {}, "gone.nii does not exist"),
        (("one.nii.gz", "fixed"), {}, "expected one FIXED, or as many as MOVING. Received: 1 and"),
        (("moving", "one.nii.gz"), {"fixed_suffix": "T1w"}, "suffixes choose among the scans of"),
        (("raw", "fixed"), {}, "expected one FIXED for the scans of a data set. Received 2"),
        (("raw", "one.nii.gz"), {"fixed_suffix": "T1w"}, "suffix of fixed scans, or one.nii.gz"),
        (("raw",), {"fixed_suffix": "T2w"}, "no session has a moving scan and a fixed one called"),
        (("same.txt", "one.nii.gz"), {}, "two pairs have scans of the same names"),
        ((), {"table": "gone.tsv"}, "gone.tsv"),
        ((), {"table": "columns.tsv"}, "expected the columns moving and fixed"),
        ((), {"table": "empty.tsv"}, "expected at least one pair"),
        ((), {"table": "line.tsv"}, "line 3: expected a moving and a fixed volume"),
        ((), {"table": "long.tsv"}, "line 2: expected a moving and a fixed volume"),
    ],
)
def test_what_makes_no_pairs_is_wrong_usage(folder, words, options, message):
    (folder / "same.txt").write_text("moving/a.nii.gz\nother/a.nii.gz\n")
    (folder / "columns.tsv").write_text("moving\tfixd\na.nii\tb.nii\n")
    (folder / "empty.tsv").write_text("moving\tfixed\n")
    (folder / "line.tsv").write_text("moving\tfixed\na.nii\tb.nii\na.nii\n")
    (folder / "long.tsv").write_text("moving\tfixed\na.nii\tb.nii\tc.nii\n")
    with pytest.raises(UsageError, match=message):
        ScanPairs.of(*words, **options)
