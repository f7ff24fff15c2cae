import errno

import pytest

from synthtf.data.whole_files import write_whole, written_aside


def test_replaces_and_makes_folders(tmp_path):
    path = tmp_path / "a" / "b.txt"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert [file.name for file in path.parent.iterdir()] == ["b.txt"]


def test_a_failure_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "model.nii.gz"
    write_whole(path, b"one")
    with pytest.raises(RuntimeError), written_aside(path) as aside:
        assert aside.parent == tmp_path and aside.name.endswith(".nii.gz") and aside != path
        aside.write_bytes(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"one"
    assert [file.name for file in tmp_path.iterdir()] == ["model.nii.gz"]


@pytest.mark.parametrize("name", [None, "other.txt", "own"])
def test_what_the_system_refuses_names_the_file(tmp_path, name):
    path = tmp_path / "file.txt"
    with pytest.raises(OSError) as caught, written_aside(path) as aside:
        raise OSError(errno.ENOSPC, "No space left", *([str(aside) if name == "own" else name]))
    assert caught.value.filename == ("other.txt" if name == "other.txt" else str(path))
