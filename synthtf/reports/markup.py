"""Escaping, style and script of the pages of reports."""

import html
import re

# HTML allows no control characters but white space, and UTF-8 no halves of surrogate pairs, which
# stand for bytes of a file name that are no UTF-8.
_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1d2228; background: #fff;
  max-width: 1500px; margin: 1.5rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 1.8rem 0 .5rem; }
a { color: #0b5cad; }
figure { margin: .6rem 0; break-inside: avoid; }
figcaption { font-weight: 600; }
.stack { position: relative; background: #000; }
.stack img { display: block; width: 100%; height: auto; }
.stack .outlines { position: absolute; inset: 0; }
#outlines:not(:checked) ~ figure .outlines { visibility: hidden; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #d9dee4; text-align: right;
  vertical-align: top; }
thead th { border-bottom: 2px solid #8a95a1; vertical-align: bottom; }
th[scope=row] { text-align: left; font-weight: 400; overflow-wrap: anywhere; }
thead th:first-child { text-align: left; }
.text td, .text th { text-align: left; overflow-wrap: anywhere; white-space: pre-wrap; }
.text th[scope=row] { white-space: nowrap; }
tr { break-inside: avoid; }
.box { display: inline-block; width: .8em; height: .8em; margin-right: .3em; border: 1px solid #555;
  print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.bad { border-left: 4px solid #c2410c; background: #fff3ea; padding: .4rem .8rem; }
.good { border-left: 4px solid #2f855a; background: #edf8f1; padding: .4rem .8rem; }
.bad p, .bad ul { margin: 0; }
.note, footer { color: #5b6570; font-size: .87rem; }
footer { margin-top: 2rem; border-top: 1px solid #d9dee4; padding-top: .5rem; }
#scans th[scope=row] { min-width: 17rem; }
#scans th img { display: block; max-width: 20rem; background: #000; }
#scans td.bad { min-width: 11rem; max-width: 34rem; overflow-wrap: anywhere; }
#scans tbody td, #scans tbody th { vertical-align: middle; }
#scans th:nth-child(2), #scans td:nth-child(2) { text-align: left; }
#scans details { max-width: 30rem; }
#scans summary { cursor: pointer; }
#scans button { font: inherit; font-weight: 600; color: inherit; background: none; border: 0;
  padding: 0; cursor: pointer; text-align: inherit; }
#scans button::after { content: " ↕"; color: #8a95a1; }
#scans [aria-sort=ascending] button::after { content: " ↑"; color: inherit; }
#scans [aria-sort=descending] button::after { content: " ↓"; color: inherit; }
@media print {
  body { margin: 0; max-width: none; font-size: 10pt; }
  input, label, #scans button::after { display: none; }
  .wide { overflow: visible; }
  #scans { font-size: 8pt; }
  #scans th, #scans td { padding: .15rem .3rem; }
  #scans th[scope=row] { min-width: 9rem; }
  #scans th img { max-width: 11rem; }
  .stack, .bad, .good { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""

SCRIPT = """
"use strict";
const table = document.getElementById("scans");
const heads = [...table.tHead.rows[0].cells];
const value = (row, column) => row.cells[column].dataset.value;
function compare(a, b) {
  if (a === "" || b === "") return 0;
  const x = Number(a), y = Number(b);
  if (isNaN(x) || isNaN(y)) return a.localeCompare(b, undefined, {numeric: true});
  return x === y ? 0 : x < y ? -1 : 1;
}
heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
  const down = head.getAttribute("aria-sort") === "ascending";
  heads.forEach(other => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const rows = [...table.tBodies[0].rows];
  rows.sort((one, two) => {
    const a = value(one, column), b = value(two, column);
    if ((a === "") !== (b === "")) return a === "" ? 1 : -1;
    return down ? compare(b, a) : compare(a, b);
  });
  table.tBodies[0].append(...rows);
}));
"""


def escape(text: object) -> str:
    """Make any text harmless in HTML, in elements and in quoted attributes.

    Args:
        text: Text, or what is turned into it.

    Returns:
        The text, with what HTML does not allow replaced.

    Example:
        >>> escape('<script>"&')
        '&lt;script&gt;&quot;&amp;'
    """
    return html.escape(printable(text), quote=True)


def printable(text: object) -> str:
    """Replace invalid characters, such as bytes of a file name that are not UTF-8."""
    return _FORBIDDEN.sub("\ufffd", str(text))
