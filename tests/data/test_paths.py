"""Inputs and outputs: kinds, names, clashes (rows 1, 2, 3, 19, 20, 21, 48)."""

import os
import re

import pytest

from synthtf.data.paths import (
    expand_inputs,
    extension,
    output_folder,
    output_in,
    pair_outputs,
    stem,
    writable_file,
)


@pytest.fixture
def scans(tmp_path):
    folder = tmp_path / "scans ü"
    folder.mkdir()
    for name in ("b.nii", "a 1.nii.gz", "c.MGZ", "notes.txt", "._b.nii", "d.png"):
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("name", "ending", "bare"),
    [
        ("x/a.nii.gz", ".nii.gz", "a"),
        ("a.b.nii", ".nii", "a.b"),
        ("é 1.MGZ", ".mgz", "é 1"),
        ("a.mgh", ".mgh", "a"),
        ("a.npy", "", "a.npy"),
    ],
)
def test_stem_and_extension(name, ending, bare):
    assert (extension(name), stem(name)) == (ending, bare)


def test_folder_is_listed_sorted_without_hidden_and_other_files(scans):
    assert [p.name for p in expand_inputs(scans)] == ["a 1.nii.gz", "b.nii", "c.MGZ"]


def test_links_to_nothing_and_folders_with_such_names_are_listed(scans):
    # Left out, they would be missed by nobody: reading them says what they are.
    (scans / "0.nii.gz").symlink_to(".git/annex/objects/0.nii.gz")
    (scans / "loop.nii").symlink_to("loop.nii")
    (scans / "z.nii").mkdir()
    names = ["0.nii.gz", "a 1.nii.gz", "b.nii", "c.MGZ", "loop.nii", "z.nii"]
    assert [p.name for p in expand_inputs(scans)] == names
    for name in ("0.nii.gz", "loop.nii"):
        with pytest.raises(FileNotFoundError, match=f"{name} is a link to nothing"):
            expand_inputs(scans / name)


@pytest.mark.parametrize("name", ["run.nii.gz", "run.keras", "out.CSV", "page.html"])
def test_a_folder_is_not_called_like_a_file(tmp_path, name):
    with pytest.raises(ValueError, match=r"must be a folder\. Received: the name of a file"):
        output_folder(tmp_path / name, "-o")
    (tmp_path / name).mkdir()
    assert output_folder(tmp_path / name, "-o") == tmp_path / name


def test_file_and_list(scans, tmp_path):
    assert expand_inputs(scans / "b.nii") == [scans / "b.nii"]
    listed = tmp_path / "list.txt"
    listed.write_text(f"# cases\n{scans}/b.nii\n\n  missing ö.nii.gz \n", encoding="utf-8")
    # A missing entry is not an error here: the others must go on.
    assert expand_inputs(listed) == [scans / "b.nii", tmp_path / "missing ö.nii.gz"]


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbfscans/b.nii\r\nscans/c d.nii\r\n",
        "scans/b.nii\r\nscans/c d.nii\r\n".encode("utf-16"),  # as PowerShell writes it
        b'scans/b.nii\r"scans/c d.nii"\r',
        b"  # all\n\tscans/b.nii # a remark\n#scans/x.nii\n\nscans/c d.nii",
        b"./scans/../scans/b.nii\nscans/c d.nii\n",
    ],
)
def test_paths_of_a_list_start_in_its_folder(tmp_path, monkeypatch, text):
    scans = tmp_path / "scans"
    scans.mkdir()
    (tmp_path / "list.txt").write_bytes(text)
    for folder in (tmp_path, scans, scans.parent.parent):
        monkeypatch.chdir(folder)
        found = [file.resolve() for file in expand_inputs(tmp_path / "list.txt")]
        assert found == [scans / "b.nii", scans / "c d.nii"]


def test_a_list_that_is_meant_from_the_current_folder_is_refused(tmp_path, monkeypatch):
    for name in ("scans", "lists"):
        (tmp_path / name).mkdir()
    (tmp_path / "scans" / "b.nii").touch()
    (tmp_path / "lists" / "list.txt").write_text("# all\nscans/b.nii\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"list\.txt, line 2: scans/b\.nii is there from the curr"):
        expand_inputs("lists/list.txt")


def test_any_name_of_a_file_can_be_listed(tmp_path):
    names = [b"M\xfcller.nii", "a\x0bb\u2028c\x85d.nii".encode()]
    (tmp_path / "list.txt").write_bytes(b"\n".join(names))
    assert [os.fsencode(file.name) for file in expand_inputs(tmp_path / "list.txt")] == names


def test_missing_path_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.nii does not exist"):
        expand_inputs(tmp_path / "nowhere.nii")


def test_empty_folder_names_the_endings(tmp_path):
    with pytest.raises(ValueError, match=r"holds no volume.*\.nii\.gz, \.nii, \.mgz, \.mgh"):
        expand_inputs(tmp_path)


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.pkl"])
def test_pickled_and_unknown_files_are_refused(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(ValueError, match=f"{name}: unknown ending; it must be one of"):
        expand_inputs(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"# nothing\n", "empty list"),
        (b"a.nii\na.jpg\n", "list.txt, line 2: a.jpg: unknown"),
        (b"\xff\xfe\x00", "UTF-8"),
    ],
)
def test_bad_lists(tmp_path, text, message):
    (tmp_path / "list.txt").write_bytes(text)
    with pytest.raises(ValueError, match=message):
        expand_inputs(tmp_path / "list.txt")


def test_pair_file_folder_and_list(scans, tmp_path):
    file = scans / "b.nii"
    assert pair_outputs(file, tmp_path / "o.mgz", "_seg") == [tmp_path / "o.mgz"]
    out = tmp_path / "out"
    names = ["a 1_seg.nii.gz", "b_seg.nii", "c_seg.mgz"]
    assert pair_outputs(scans, out, "_seg") == [out / n for n in names]
    inputs = expand_inputs(scans)
    targets, sources = tmp_path / "targets.txt", tmp_path / "sources.txt"
    targets.write_text("1.nii\n2.nii\n3.nii\n")
    sources.write_text("\n".join(map(str, inputs)))
    assert [p.name for p in pair_outputs(sources, targets, "")] == ["1.nii", "2.nii", "3.nii"]
    assert pair_outputs(sources, out, "_seg") == [out / n for n in names]


def test_kinds_that_do_not_match_are_refused(scans, tmp_path):
    with pytest.raises(ValueError, match=r"output o\.nii is a file, but the input is the folder"):
        pair_outputs(scans, "o.nii", "_seg")
    with pytest.raises(ValueError, match=r"is a folder, but the input is the file .*b\.nii"):
        pair_outputs(scans / "b.nii", tmp_path, "_seg")


def test_lists_of_different_length(scans, tmp_path):
    (tmp_path / "t.txt").write_text("1.nii\n")
    sources = tmp_path / "sources.txt"
    sources.write_text("\n".join(map(str, expand_inputs(scans))))
    with pytest.raises(ValueError, match="must list 3 outputs"):
        pair_outputs(sources, tmp_path / "t.txt", "")


def test_output_that_is_an_input_is_refused(scans, tmp_path):
    file = scans / "b.nii"
    with pytest.raises(ValueError, match=r"b\.nii is also an input"):
        pair_outputs(file, file, "")
    with pytest.raises(ValueError, match="is also an input"):
        pair_outputs(scans, scans, "")
    link = tmp_path / "link.nii"
    link.symlink_to(file)
    with pytest.raises(ValueError, match=r"link\.nii is also an input"):
        pair_outputs(file, link, "")


def test_shared_output_names_are_refused(tmp_path):
    inputs = tmp_path / "inputs.txt"
    inputs.write_text("s1/T1.nii\ns2/T1.nii\n")
    with pytest.raises(ValueError, match=r"s1/T1\.nii and .*s2/T1\.nii would both be written"):
        pair_outputs(inputs, tmp_path / "out", "_seg")


@pytest.mark.parametrize("name", ["../../etc/x", "/etc/x", "..", "", "a\\b", "a/b"])
def test_output_names_stay_in_the_folder(tmp_path, name):
    with pytest.raises(ValueError, match=f"output name {re.escape(repr(name))} leaves the folder"):
        output_in(tmp_path, name)


def test_inputs_with_dots_write_into_the_folder(tmp_path):
    (tmp_path / "inputs.txt").write_text("../../etc/x.nii\ny.nii\n")
    out = pair_outputs(tmp_path / "inputs.txt", tmp_path / "out", "_seg")
    assert out == [tmp_path / "out" / "x_seg.nii", tmp_path / "out" / "y_seg.nii"]


def test_a_file_to_write_needs_its_folder(tmp_path):
    assert writable_file(None, "--vol") is None
    assert writable_file(tmp_path / "v.csv", "--vol") == tmp_path / "v.csv"
    with pytest.raises(ValueError, match="--vol must be a file"):
        writable_file(tmp_path, "--vol")
    with pytest.raises(ValueError, match=r"--vol: no such folder: .*absent"):
        writable_file(tmp_path / "absent" / "v.csv", "--vol")
    with pytest.raises(ValueError, match="must not have the ending of a volume"):
        writable_file(tmp_path / "v.nii.gz", "--vol")


def test_a_folder_to_write_to_may_be_made_later(tmp_path):
    assert output_folder(tmp_path / "a" / "b", "-o") == tmp_path / "a" / "b"
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"-o .*must be a folder"):
        output_folder(tmp_path / "file" / "b", "-o")
