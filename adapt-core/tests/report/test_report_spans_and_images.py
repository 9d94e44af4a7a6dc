"""Texts with marked ranges, and images, in the report and on a terminal."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from pathlib import Path

import pytest
from report_page import report
from rich.console import Console

from adapt_core.bundles import Section
from adapt_core.terminal.tables import print_sections

TEXT = "Ada met <b>Bo</b> in Oslo."
SPANS = Section(
    "Entities", "spans", ["person"], [(TEXT, [(0, 3, "person"), (11, 13, "person"), (21, 25, "place")], "2 of 3")]
)


def png() -> bytes:
    """One white pixel, by the format's own rules (PNG specification, second edition)."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\x00\xff")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def html_of(folder: Path, section: Section) -> str:
    report(folder, sections=[section])  # which reads it as a browser would
    return (folder / "report.html").read_text(encoding="utf-8")


def test_marked_ranges_stand_in_their_text_with_their_labels(tmp_path: Path) -> None:
    html = html_of(tmp_path, SPANS)
    assert '<mark class="m0" title="person">Ada<small>person</small></mark> met &lt;b&gt;' in html
    assert '<mark class="m0" title="person">Bo<small>person</small></mark>' in html
    assert '<mark class="m1" title="place">Oslo<small>place</small></mark>.' in html
    assert "2 of 3" in html


def test_ranges_that_overlap_are_cut_where_they_do(tmp_path: Path) -> None:
    section = Section("Both", "spans", [], [("abcdef", [(0, 4, "x"), (2, 6, "y")], "")])
    html = html_of(tmp_path, section)
    for piece in (">ab<small>x</small>", ">cd<small>x, y</small>", ">ef<small>y</small>"):
        assert piece in html


def test_an_image_is_in_the_page_itself(tmp_path: Path) -> None:
    html = html_of(tmp_path, Section("Samples", "images", [], [(png(), "one <white> pixel")]))
    assert f'src="data:image/png;base64,{base64.b64encode(png()).decode()}"' in html
    assert "one &lt;white&gt; pixel" in html


def test_what_a_page_cannot_show_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="PNG, JPEG or SVG"):
        html_of(tmp_path, Section("Samples", "images", [], [(b"GIF89a", "")]))


def test_on_a_terminal_labels_stand_behind_their_ranges_and_images_are_counted() -> None:
    stream = io.StringIO()
    print_sections([SPANS, Section("Samples", "images", [], [(png(), "")])], Console(file=stream, width=100))
    shown = stream.getvalue()
    assert "Ada [person] met <b>Bo [person]</b> in Oslo [place].  2 of 3" in shown
    assert "Samples: 1 images, see the report" in shown
