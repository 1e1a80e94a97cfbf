"""Write `report.html`: one self-contained page that says what was trained, on what, how well.

* `content`: what a page shows, as frozen dataclasses (names, texts, numbers, label maps);
* `curves`: the learning curves as inline SVG;
* `pictures`: image arrays as PNG, label maps as vector outlines and error maps;
* `page`: the page itself, from the template `report.html.j2` and `report.css`.

Nothing here reads a run folder or computes a metric: the caller fills `ReportContent`.
"""

from ushape.report.content import (
    Card,
    History,
    Overlay,
    ReportContent,
    Setting,
    Table,
)
from ushape.report.page import write_report

__all__ = ["Card", "History", "Overlay", "ReportContent", "Setting", "Table", "write_report"]
