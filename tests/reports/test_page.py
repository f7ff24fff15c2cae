"""Pages of reports: valid, harmless, self-contained."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from synthtf.data.volumes import Volume
from synthtf.reports.markup import SCRIPT, escape
from synthtf.reports.measure import Report, Structure
from synthtf.reports.page import ScanRow, scan_page, scans_page
from synthtf.reports.view import View

EVIL = "</script><script>alert('1')</script>\"><img src=x onerror=alert(2)>&\x00\udcff"
VOID = {"meta", "img", "input"}


class Page(HTMLParser):
    """Elements of a page, in order; a page whose tags do not match is refused."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.words = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        assert len(attributes) == len(dict(attributes))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] not in (["script"], ["style"]):
            self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self):
        return " ".join("".join(self.words).split())


@pytest.fixture
def report():
    labels = np.zeros((20, 20, 20), np.int32)
    labels[4:9, 5:15, 5:15] = 10
    labels[11:16, 5:15, 5:15] = 49
    image = Volume(labels.astype(np.float32), np.eye(4))
    return Report(
        name=EVIL,
        is_mask=False,
        structures=(Structure(EVIL, (10, 49), (1100.0, 900.0)), Structure("stem", (16,), (4.2,))),
        groups={EVIL: 2000.0},
        total_name="brain",
        total=1_234_567.0,
        warnings=(EVIL, "second"),
        geometry={"file": (EVIL, EVIL), "voxels": ("20", "20")},
        provenance={EVIL: EVIL, "nested": {EVIL: [1, None]}, "long": "x" * 5000},
        view=View.of(image, Volume(labels, np.eye(4)))[0],
    )


def check_harmless(text, scripts):
    page = Page(text)
    assert text.startswith("<!DOCTYPE html>")
    assert text.encode()
    assert len(page.all("script")) == scripts
    assert not any(name.startswith("on") for _, found in page.elements for name in found)
    sources = [found["src"] for found in page.all("img")]
    assert all(source.startswith("data:image/png;base64,iVBOR") for source in sources)
    assert all("alt" in found for found in page.all("img"))
    assert not page.all("link")
    assert "url(" not in text
    assert "@import" not in text
    policy = next(m["content"] for m in page.all("meta") if "http-equiv" in m)
    assert policy.startswith("default-src 'none'")
    return page, policy


def test_the_page_of_a_scan(report):
    page, policy = check_harmless(scan_page(report, f"made by {EVIL}"), 0)
    assert "script-src" not in policy
    assert page.text.count("alert('1')") == 10
    assert "Segmentation; brain: 1,234.6 mL (1,234,567 mm³)" in page.text
    assert "2 warnings" in page.text
    assert "1,100 900 +20.0 2,000 2.000" in " ".join(page.words)
    assert "16 - - - 4.2 0.004" in " ".join(page.words)
    assert "Neurological convention: left of the picture is left of the head" in page.text
    assert "x" * 2000 + "…" in page.text
    assert not page.all("a")


def test_outlines_can_be_hidden_without_a_script(report):
    text = scan_page(report, "x")
    page = Page(text)
    images = page.all("img")
    assert [found.get("class") for found in images] == [None, "outlines"] * 3
    for picture, outlines in zip(images[::2], images[1::2], strict=True):
        assert (picture["width"], picture["height"]) == (outlines["width"], outlines["height"])
    assert page.all("label")[0]["for"] == page.all("input")[0]["id"] == "outlines"
    assert "#outlines:not(:checked) ~ figure .outlines" in text


def test_a_report_without_pairs_warnings_or_provenance(report):
    fields = {**vars(report), "warnings": (), "provenance": None, "is_mask": True}
    fields["structures"] = (Structure("mask", (1,), (2e6,)),)
    page = Page(scan_page(Report(**fields), "x", back="../all%20scans.html"))
    assert "No warnings." in page.text
    assert "Asymmetry" not in page.text
    assert "Provenance" not in page.text
    assert "Mask: 1,234.6 mL" in page.text
    assert page.all("a") == [{"href": "../all%20scans.html"}]


def rows():
    png = b"\x89PNG"
    return [
        ScanRow(
            "b", "x_scans/b.html", png, ("brain", 1.5e6), {"WM": 5e5, "none": 0.0}, ("w1", "w2")
        ),
        ScanRow(EVIL, "x_scans/a.html", png, ("mask", 1.4e6)),
        ScanRow("bad", error=EVIL),
    ]


def test_the_table_of_scans():
    text = scans_page(rows(), EVIL, "x")
    page, policy = check_harmless(text, 1)
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL).group(1)
    assert script == SCRIPT
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy
    assert "3 scans; 1 with warnings; 1 without a report" in page.text
    assert [found["href"] for found in page.all("a")] == ["x_scans/b.html", "x_scans/a.html"]
    heads = re.findall(r'<button type="button">(.*?)</button>', text)
    assert heads == ["Scan", "Warnings", "brain, mL", "mask, mL", "WM, mL"]


def test_cells_hold_what_they_are_sorted_by():
    cells = [
        [found.get("data-value") for found in Page(part).all("td")]
        for part in re.findall(
            r"<tr><th scope=\"row\".*?</tr>", scans_page(rows(), "", ""), re.DOTALL
        )
    ]
    assert cells == [
        ["2", "1500000.000", "", "500000.000"],
        ["0", "", "1400000.000", ""],
        ["Infinity", "", "", ""],
    ]


def test_columns_are_those_of_the_largest_volumes():
    groups = {f"g{number}": float(number * 1000) for number in range(12)}
    text = scans_page([ScanRow("a", "a", b"", ("brain", 1.0), groups)], "", "")
    heads = re.findall(r'<button type="button">(.*?)</button>', text)
    assert heads[3:] == [f"g{number}, mL" for number in range(4, 12)]


def test_escape_leaves_nothing_that_html_does_not_allow():
    assert escape("a\x00b\x85\udcff\ufffe'") == "a\ufffdb\ufffd\ufffd\ufffd&#x27;"
    assert escape("é 日本\n") == "é 日本\n"
