"""Files of reports: links that lead somewhere, names that do not clash, pictures."""

import re
from html import unescape
from urllib.parse import unquote

import numpy as np
import pytest
from matplotlib.image import imread

from synthtf.data.volume_writer import write_volume
from synthtf.reports.files import ScansReport, write_report
from synthtf.reports.measure import report


def save(path, like_labels=False):
    labels = np.zeros((20, 24, 16), np.int32)
    labels[4:9, 5:15, 4:12] = 10
    labels[11:16, 5:15, 4:12] = 49
    path.parent.mkdir(parents=True, exist_ok=True)
    data = labels if like_labels else labels.astype(np.float32)
    write_volume(path, data, affine=np.eye(4))
    return path


def pair(folder, name):
    return save(folder / f"{name}.nii.gz"), save(folder / f"{name}_seg.nii.gz", like_labels=True)


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch):
    monkeypatch.setattr("synthtf.reports.page._SIZE", 40)


NAMES = ["a/x", "b/x", "b/X", "a/<script>alert(1)", "a/100%2F #? ü $x$ 'q'", "a/x-2"]


def test_every_link_leads_to_the_page_of_its_scan(tmp_path):
    table = ScansReport(tmp_path / "all scans.html", "synthtf", None)
    for name in NAMES:
        table.add(*pair(tmp_path, name))
    table.write()
    text = (tmp_path / "all scans.html").read_text(encoding="utf-8")
    links = [unescape(link) for link in re.findall(r'<a href="(.*?)"', text)]
    pages = [tmp_path / unquote(link) for link in links]
    assert len(set(pages)) == len({str(page).lower() for page in pages}) == len(NAMES)
    for name, page in zip(NAMES, pages, strict=True):
        content = page.read_text(encoding="utf-8")
        assert unescape(re.search("<title>(.*?)</title>", content).group(1)) == name.split("/")[1]
        back = unquote(unescape(re.search('<a href="(.*?)">All scans', content).group(1)))
        assert (page.parent / back).resolve() == tmp_path / "all scans.html"
    assert {page.parent for page in pages} == {tmp_path / "all scans_scans"}


def test_a_bad_scan_has_a_row_and_no_page(tmp_path):
    table = ScansReport(tmp_path / "all.html", "synthtf", None)
    with pytest.raises(FileNotFoundError):
        table.add(tmp_path / "gone.nii", tmp_path / "gone_seg.nii")
    table.refuse(tmp_path / "gone.nii", "it is gone")
    table.write()
    text = (tmp_path / "all.html").read_text()
    assert "it is gone" in text
    assert "<a href" not in text
    assert not (tmp_path / "all_scans").exists()


def test_a_picture(tmp_path):
    found = report(*pair(tmp_path, "$a$ 日本 \udcff"))
    write_report(found, tmp_path / "a.PNG", "synthtf")
    picture = imread(tmp_path / "a.PNG")[..., :3]
    assert picture.shape[1] > picture.shape[0] > 300
    assert np.ptp(picture, axis=-1).max() > 0.5  # outlines
    assert [path.name for path in tmp_path.glob("*.p*")] == []


def test_a_page(tmp_path):
    found = report(*pair(tmp_path, "a"))
    write_report(found, tmp_path / "a.html", "synthtf 1")
    assert "synthtf 1" in (tmp_path / "a.html").read_text()
    with pytest.raises(ValueError, match=r"ends in \.html or \.png"):
        write_report(found, tmp_path / "a.pdf", "synthtf")
