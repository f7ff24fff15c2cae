"""Tests of where published weights are looked for."""

import pytest

from synthtf.published.weight_files import find_weights


@pytest.fixture(autouse=True)
def _no_folders(monkeypatch):
    monkeypatch.delenv("SYNTHTF_MODELS", raising=False)
    monkeypatch.delenv("FREESURFER_HOME", raising=False)


def test_nothing_is_found_without_folders():
    assert find_weights("net.h5") is None


def test_own_folder_comes_before_freesurfers(tmp_path, monkeypatch):
    theirs, own = tmp_path / "freesurfer" / "models" / "net.h5", tmp_path / "own" / "net.h5"
    for path in (theirs, own):
        path.parent.mkdir(parents=True)
    theirs.write_bytes(b"")
    monkeypatch.setenv("SYNTHTF_MODELS", str(own.parent))
    monkeypatch.setenv("FREESURFER_HOME", str(tmp_path / "freesurfer"))
    assert find_weights("net.h5") == theirs
    own.write_bytes(b"")
    assert find_weights("net.h5") == own


def test_a_folder_is_searched_and_a_file_is_taken_as_it_is(tmp_path):
    (tmp_path / "second.h5").write_bytes(b"")
    assert find_weights("first.h5", "second.h5", model=tmp_path) == tmp_path / "second.h5"
    file = tmp_path / "second.h5"
    assert find_weights("first.h5", model=file) == file
    with pytest.raises(FileNotFoundError, match=r"none of the published weights first\.h5"):
        find_weights("first.h5", model=tmp_path)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        find_weights("first.h5", model=tmp_path / "absent")
