"""Reports as HTML: one page per scan, and a page with a table of scans.

Pages hold all that they show, as text and as embedded PNG pictures: they load nothing, and say so
to the browser by a content security policy. Whatever comes from a file is escaped.
"""

import base64
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from synthtf.figures.drawing import CONVENTION
from synthtf.figures.mosaic import Mosaic, outline_colours, outlines_png, picture_png
from synthtf.reports.markup import SCRIPT, STYLE, escape
from synthtf.reports.measure import Report, Structure

_NUM_SLICES, _SIZE = 6, 320
_NUM_GROUPS = 8  # columns of volumes in the table of scans
_MAX_TEXT = 2000  # characters of a value of the provenance


@dataclass(frozen=True, eq=False)
class ScanRow:
    """A row of the table of scans.

    Attributes:
        name: Of the scan.
        link: Address of its page, percent-encoded; "" without one.
        thumbnail: PNG file, or nothing.
        total: What the total is the volume of, and that in mm³; None if there is no report.
        groups: Tissue or structure to its volume in mm³.
        warnings: One line each.
        error: Why there is no report, or "".
    """

    name: str
    link: str = ""
    thumbnail: bytes = b""
    total: tuple[str, float] | None = None
    groups: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    error: str = ""


def scan_page(report: Report, generator: str, back: str = "") -> str:
    """Write the report of one scan as an HTML page.

    Args:
        report: The report.
        generator: Program that made it, for the foot of the page.
        back: Address of the table of scans, percent-encoded.

    Returns:
        The page.
    """
    kind = "Mask" if report.is_mask else f"Segmentation; {report.total_name}"
    body = [
        f'<p><a href="{escape(back)}">All scans</a></p>' if back else "",
        f"<h1>{escape(report.name)}</h1>",
        f"<p>{escape(kind)}: {_number(report.total / 1000, ',.1f')} mL "
        f"({_number(report.total)} mm³)</p>",
        _warnings(report.warnings),
        "<h2>Pictures</h2>",
        _pictures(report),
        "<h2>Volumes</h2>",
        _structures(report.structures),
        "<h2>Geometry</h2>",
        _geometry(report.geometry),
        _provenance(report.provenance),
    ]
    return _page(report.name, "\n".join(body), generator)


def scans_page(rows: Sequence[ScanRow], title: str, generator: str) -> str:
    """Write a table of scans as an HTML page; it is sorted by a click on the head of a column.

    Columns of volumes are those of the largest groups.

    Args:
        rows: One per scan.
        title: Of the page.
        generator: Program that made it, for the foot of the page.

    Returns:
        The page.
    """
    sums: dict[str, float] = {}
    for row in rows:
        for group, volume in row.groups.items():
            sums[group] = sums.get(group, 0.0) + volume
    # By size, but in the order of the label table.
    largest = sorted((group for group in sums if sums[group]), key=sums.get)[-_NUM_GROUPS:]
    groups = [group for group in sums if group in largest]
    totals = list(dict.fromkeys(row.total[0] for row in rows if row.total))
    heads = ["Scan", "Warnings", *(f"{name}, mL" for name in [*totals, *groups])]
    cells = [
        f'<th scope="col"><button type="button">{escape(head)}</button></th>' for head in heads
    ]
    lines = "\n".join(_scan_row(row, totals, groups) for row in rows)
    failed = sum(bool(row.error) for row in rows)
    warned = sum(bool(row.warnings) for row in rows)
    body = f"""<h1>{escape(title)}</h1>
<p>{_counted(len(rows), "scan")}; {warned} with warnings; {failed} without a report. A click on the
head of a column sorts the table. {escape(CONVENTION)}.</p>
<div class="wide"><table id="scans"><thead><tr>{"".join(cells)}</tr></thead>
<tbody>
{lines}
</tbody></table></div>"""
    return _page(title, body, generator, SCRIPT)


def _page(title: str, body: str, generator: str, script: str = "") -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = f"script-src 'sha256-{digest}'; " if script else ""
    policy = f"default-src 'none'; {allowed}img-src data:; style-src 'unsafe-inline'"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="{escape(generator)}">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
{body}
<footer>{escape(generator)}. Not for clinical use.</footer>
{f"<script>{script}</script>" if script else ""}
</body>
</html>
"""


def _warnings(lines: Sequence[str]) -> str:
    if not lines:
        return '<p class="good">No warnings.</p>'
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<div class="bad"><p>{_counted(len(lines), "warning")}</p><ul>{items}</ul></div>'


def _pictures(report: Report) -> str:
    found = report.view.mosaics(_NUM_SLICES, _SIZE)
    width = max(mosaic.picture.shape[1] for mosaic in found)
    figures = "\n".join(_figure(mosaic, report.view.captions(mosaic), width) for mosaic in found)
    low, high = report.view.window
    return f"""<input type="checkbox" id="outlines" checked>
<label for="outlines">Outlines of the labels</label>
{figures}
<p class="note">{escape(CONVENTION)}. Letters and numbers in the corners: axis of the scan's file
and index of the slice along it, from 0. Black to white: {low:.4g} to {high:.4g}.</p>"""


def _figure(mosaic: Mosaic, captions: Sequence[str], width: int) -> str:
    rows, columns = mosaic.picture.shape
    size = f'width="{columns}" height="{rows}"'
    name = mosaic.plane.capitalize()
    picture, outlines = _embedded(picture_png(mosaic, captions)), _embedded(outlines_png(mosaic))
    return f"""<figure><figcaption>{name}, {mosaic.order}</figcaption>
<div class="stack" style="width:{100 * columns / width:.2f}%">
<img src="{picture}" {size} alt="{name} slices of the scan">
<img class="outlines" src="{outlines}" {size} alt="Outlines of the labels on these slices">
</div></figure>"""


def _structures(structures: Sequence[Structure]) -> str:
    if not structures:
        return "<p>There are no labels.</p>"
    paired = any(len(structure.labels) > 1 for structure in structures)
    colours = outline_colours([label for s in structures for label in s.labels])
    heads = ["Structure", "Label"]
    heads += ["Left, mm³", "Right, mm³", "Asymmetry, %"] if paired else []
    lines = "\n".join(_structure(structure, colours, paired) for structure in structures)
    columns = "".join(f'<th scope="col">{head}</th>' for head in [*heads, "mm³", "mL"])
    note = "Asymmetry: left minus right, over the mean of both."
    return f"""<div class="wide"><table><thead><tr>{columns}</tr></thead>
<tbody>
{lines}
</tbody></table></div>
{f'<p class="note">{note}</p>' if paired else ""}"""


def _structure(structure: Structure, colours: dict[int, tuple[float, ...]], paired: bool) -> str:
    boxes = "".join(_box(colours[label]) for label in structure.labels)
    numbers = [", ".join(map(str, structure.labels))]
    if paired:
        sides = structure.volumes if len(structure.labels) > 1 else (math.nan, math.nan)
        numbers += [*map(_number, sides), _number(structure.asymmetry, "+.1f")]
    numbers += [_number(structure.volume), _number(structure.volume / 1000, ".3f")]
    cells = "".join(f"<td>{number}</td>" for number in numbers)
    return f'<tr><th scope="row">{boxes}{escape(structure.name)}</th>{cells}</tr>'


def _box(colour: tuple[float, ...]) -> str:
    rgb = ",".join(f"{255 * part:.0f}" for part in colour[:3])
    return f'<span class="box" style="background:rgb({rgb})"></span>'


def _geometry(geometry: dict[str, tuple[str, str]]) -> str:
    lines = "\n".join(
        f'<tr><th scope="row">{escape(key.capitalize())}</th>'
        f"{''.join(f'<td>{escape(value)}</td>' for value in values)}</tr>"
        for key, values in geometry.items()
    )
    return f"""<div class="wide"><table class="text"><thead><tr><td></td><th scope="col">Scan</th>
<th scope="col">Segmentation</th></tr></thead>
<tbody>
{lines}
</tbody></table></div>"""


def _provenance(content: dict[str, object] | None) -> str:
    if content is None:
        return ""
    lines = "\n".join(
        f'<tr><th scope="row">{escape(key)}</th><td>{escape(_short(value))}</td></tr>'
        for key, value in content.items()
    )
    table = f'<div class="wide"><table class="text"><tbody>\n{lines}\n</tbody></table></div>'
    return f"<h2>Provenance</h2>\n{table if content else '<p>The file is empty.</p>'}"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…"


def _scan_row(row: ScanRow, totals: Sequence[str], groups: Sequence[str]) -> str:
    name = escape(row.name)
    thumbnail = f'<img src="{_embedded(row.thumbnail)}" alt="">' if row.thumbnail else ""
    label = f'<a href="{escape(row.link)}">{thumbnail}{name}</a>' if row.link else name
    if row.error:
        # Sorted above any number of warnings.
        state = f'<td data-value="Infinity" class="bad">{escape(row.error)}</td>'
    else:
        count = str(len(row.warnings))
        items = "".join(f"<li>{escape(line)}</li>" for line in row.warnings)
        shown = f"<details><summary>{count}</summary><ul>{items}</ul></details>" if items else "0"
        state = f'<td data-value="{count}">{shown}</td>'
    volumes = [row.total[1] if row.total and row.total[0] == total else None for total in totals]
    volumes += [row.groups.get(group) for group in groups]
    cells = "".join(
        '<td data-value="">-</td>'
        if volume is None
        else f'<td data-value="{volume:.3f}">{_number(volume / 1000, ",.1f")}</td>'
        for volume in volumes
    )
    return f'<tr><th scope="row" data-value="{name}">{label}</th>{state}{cells}</tr>'


def _embedded(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _number(value: float, style: str = ",.0f") -> str:
    """A number; a small one, which the style would round to next to nothing, with three digits."""
    if math.isnan(value):
        return "-"
    small = 0 < abs(value) < 10 and style.startswith(",")
    return format(value, ".3g" if small else style)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
