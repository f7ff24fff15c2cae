import os
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from synthtf.cli.main import main
from synthtf.data.volume_writer import write_volume

DATA = Path(os.environ.get("SYNTHTF_DATA", Path(__file__).parents[3] / "shared" / "data"))


def save(path, kind=np.float32, place=(4, 5, 4)):
    data = np.zeros((20, 24, 16), kind)
    data[tuple(slice(a, a + 8) for a in place)] = 4
    data[14:18, 16:20, 6:10] = 9
    path.parent.mkdir(exist_ok=True)
    write_volume(path, data, affine=np.diag([1, 1, 2, 1.0]))
    return str(path)


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "a.nii.gz")
    save(tmp_path / "a_seg.nii.gz", np.int32)
    Path("labels.tsv").write_text("id\tname\n4\tventricle\n9\tcaudate\n")
    return tmp_path


def report(*words):
    return main(["report", *words])


def test_a_page_of_one_scan(files, capsys):
    Path("a_seg.json").write_text('{"model": "heads"}')
    assert report("a.nii.gz", "a_seg.nii.gz", "-o", "a.html", "--labels", "labels.tsv") == 0
    assert capsys.readouterr() == ("", "")
    text = Path("a.html").read_text()
    assert "<td>1,024</td>" in text  # 8³ voxels of 2 mm³
    for words in ("ventricle", "caudate", "heads", "small volume (brain): 1.152 mL"):
        assert words in text


def test_a_picture_of_one_scan(files):
    assert report("a.nii.gz", "a_seg.nii.gz", "-o", "a.png") == 0
    assert min(imread("a.png").shape[:2]) > 300


def test_folders(files, capsys):
    for name in ("a", "b", "<script>alert(1)", "alone"):
        save(files / "scans" / f"{name}.nii.gz")
    for name in ("a_seg", "b_mask", "<script>alert(1)_seg", "other"):
        save(files / "segs" / f"{name}.nii.gz", np.int32)
    broken = files / "segs" / "b_mask.nii.gz"
    broken.write_bytes(broken.read_bytes()[:-20])
    assert report("scans", "segs", "-o", "all.html", "--labels", "labels.tsv") == 1
    errors = capsys.readouterr().err.splitlines()
    assert errors[0].startswith("synthtf report: scans/b.nii.gz: segs/b_mask.nii.gz is truncated")
    assert [line.split(": ")[1] for line in errors[1:]] == [
        "segs/other.nii.gz",
        "scans/alone.nii.gz",
    ]
    text = Path("all.html").read_text()
    names = re.findall(r'<tr><th scope="row" data-value="(.*?)"', text)
    assert names == ["&lt;script&gt;alert(1)", "a", "b", "other", "alone"]
    assert text.count("no file of the same name") == 2
    assert "3 without a report" in text
    assert sorted(os.listdir("all_scans")) == ["<script>alert(1).html", "a.html"]


def test_lists(files):
    save(files / "other.nii.gz", np.int32)
    Path("scans.txt").write_text("a.nii.gz\ngone.nii.gz\n")
    Path("segs.txt").write_text("other.nii.gz\nother.nii.gz\n")
    assert report("scans.txt", "segs.txt", "-o", "all.htm") == 1
    assert "gone.nii.gz does not exist" in Path("all.htm").read_text()
    assert os.listdir("all_scans") == ["a.html"]


def test_one_bad_scan_leaves_no_page(files, capsys):
    save(files / "far.nii.gz", np.int32)
    affine = np.diag([1, 1, 1, 1.0])
    affine[0, 3] = 900
    write_volume(files / "far.nii.gz", np.ones((9, 9, 9), np.int32), affine=affine)
    assert report("a.nii.gz", "far.nii.gz", "-o", "a.html") == 1
    assert "no label lies in its field of view" in capsys.readouterr().err
    assert not Path("a.html").exists()


@pytest.mark.parametrize(
    "words, message",
    [
        (["gone.nii", "a_seg.nii.gz", "-o", "a.html"], "gone.nii does not exist"),
        (["a.nii.gz", ".", "-o", "a.html"], "must be two files, two folders"),
        (["a.nii.gz", "a_seg.nii.gz", "-o", "a.pdf"], "ends in .html or .htm or .png"),
        ([".", ".", "-o", "a.png"], "ends in .html or .htm for several scans"),
        (["a.nii.gz", "a_seg.nii.gz", "-o", "gone/a.html"], "no such folder: gone"),
        (["a.nii.gz", "a_seg.nii.gz", "-o", "a.html", "--labels", "b.tsv"], "b.tsv does not exist"),
    ],
)
def test_wrong_usage(files, capsys, words, message):
    assert report(*words) == 2
    assert message in capsys.readouterr().err


def test_an_oblique_scan_of_thick_slices(tmp_path):
    if not DATA.is_dir():
        pytest.skip(f"no data in {DATA}")
    scans = DATA / "scans"
    inputs = [str(scans / f"e_FLAIR_{part}.nii.gz") for part in ("head", "brainmask")]
    assert report(*inputs, "-o", str(tmp_path / "e.html")) == 0
    text = (tmp_path / "e.html").read_text()
    assert "Mask: 1,440.6 mL" in text
    assert "LPS, oblique by 6°" in text
    assert "touches the inferior border" in text
