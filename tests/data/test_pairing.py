from pathlib import Path

import pytest

from synthtf.data.pairing import match_names, pair_files


@pytest.fixture
def folders(tmp_path):
    def make(**names):
        for folder, files in names.items():
            (tmp_path / folder).mkdir()
            for name in files:
                (tmp_path / folder / name).touch()
        return [tmp_path / folder for folder in names]

    return make


def test_names_match_without_their_endings(folders):
    found, wanted = folders(
        found=["a.nii.gz", "b_seg.mgz", "c_mask.nii", "x.nii"],
        wanted=["a.nii", "b.nii.gz", "c.nii"],
    )
    pairs, alone = pair_files(found, wanted)
    assert pairs == [
        (found / "a.nii.gz", wanted / "a.nii"),
        (found / "b_seg.mgz", wanted / "b.nii.gz"),
        (found / "c_mask.nii", wanted / "c.nii"),
    ]
    assert alone == [found / "x.nii"]


def test_a_reference_is_used_once_and_the_rest_is_named():
    references = [Path("a.nii"), Path("c.nii")]
    pairs, alone = match_names([Path("a.nii"), Path("a_seg.nii")], references)
    assert pairs == [(Path("a.nii"), Path("a.nii"))]
    assert alone == [Path("a_seg.nii"), Path("c.nii")]


def test_two_files_belong_together_whatever_their_names(folders):
    found, wanted = folders(found=["x.nii"], wanted=["y.mgz"])
    assert pair_files(found / "x.nii", wanted / "y.mgz") == (
        [(found / "x.nii", wanted / "y.mgz")],
        [],
    )


def test_lists_are_paired_line_by_line(tmp_path):
    (tmp_path / "a.txt").write_text("1/seg.nii\n2/seg.nii\n")
    (tmp_path / "b.txt").write_text("1/truth.nii\n2/truth.nii\n")
    pairs, _ = pair_files(tmp_path / "a.txt", tmp_path / "b.txt")
    assert pairs == [
        (tmp_path / "1/seg.nii", tmp_path / "1/truth.nii"),
        (tmp_path / "2/seg.nii", tmp_path / "2/truth.nii"),
    ]
    (tmp_path / "b.txt").write_text("1/truth.nii\n")
    with pytest.raises(ValueError, match=r"equal length. Received: 2 lines .* and 1 in"):
        pair_files(tmp_path / "a.txt", tmp_path / "b.txt")


def test_a_file_and_a_folder_do_not_go_together(folders):
    found, wanted = folders(found=["a.nii"], wanted=["a.nii"])
    with pytest.raises(ValueError, match=r"Received: the file .* and the folder"):
        pair_files(found / "a.nii", wanted)


def test_nothing_in_common_is_an_error_with_an_example(folders):
    found, wanted = folders(found=["a.nii"], wanted=["b.nii"])
    with pytest.raises(ValueError, match=r"for instance a.nii and b.nii: rename them"):
        pair_files(found, wanted)
