import pytest

from synthtf.data.delimited import append_rows, number, split_rows, write_rows
from synthtf.data.text_files import read_text

ROWS = [["a", "b, c", 'say "x"'], ["1", "", " 2 "], ["M\udcfcller", "x\ry\nz", "# no remark"]]


@pytest.mark.parametrize("name", ["t.csv", "t.tsv"])
def test_what_is_written_is_read(tmp_path, name):
    path = tmp_path / name
    write_rows(path, ROWS[:2])
    append_rows(path, ROWS[2:])
    text = read_text(path, paths=True)
    delimiter = "\t" if name == "t.tsv" else ","
    assert [cells for _, cells in split_rows(text, delimiter, path, exact=True)] == ROWS
    assert b"M\xfcller" in path.read_bytes()


def test_rows_know_their_lines():
    text = '# x\n\na, "b\nc"\r\n\r d ,e\n"#", f\n'
    assert list(split_rows(text, ",", "t")) == [
        (3, ["a", "b\nc"]),
        (6, ["d", "e"]),
        (7, ["#", "f"]),
    ]
    assert list(split_rows('1 \t "a b"  \n', " ", "t")) == [(1, ["1", "a b"])]
    with pytest.raises(ValueError, match="t, line 2: quotes do not match"):
        list(split_rows('a\n"b\nc\n', ",", "t"))
    with pytest.raises(ValueError, match="t, line 1: quotes do not match"):
        list(split_rows('"a"b\n', ",", "t"))


@pytest.mark.parametrize("text", ["1_0", "nan", "inf", "1e999", "", "1,5", "٣", "0x1", "a"])
def test_what_is_no_number(text):
    assert number(text) is None


def test_files_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "t.csv"
    for content, message in ((b"a\0b", "zero bytes"), (b"a\n\xfc\n", "line 2: must be a text")):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            read_text(path)
    assert read_text(path, paths=True) == "a\n\udcfc\n"
