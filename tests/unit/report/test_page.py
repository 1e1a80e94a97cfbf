"""The page as a whole: everything given is on it, nothing foreign, well-formed."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from ushape.errors import ShapeError, StorageError
from ushape.report import (
    Card,
    History,
    Overlay,
    ReportContent,
    Setting,
    Table,
    write_report,
)
from ushape.report.page import render_report, view_overlay

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
HOSTILE = """<script>alert("x")</script> & 'quoted' {{ 7 * 7 }}"""


class Page(HTMLParser):
    """Checks the nesting of tags and collects text, attributes and tag names."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.pieces: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.pieces.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.pieces).split())

    def values(self, name: str) -> list[str]:
        return [value or "" for key, value in self.attributes if key == name]


def make_overlay(title: str = "Best: 27", *, num_classes: int = 2, size: int = 24) -> Overlay:
    truth = np.zeros((size, size + 6), np.uint8)
    for index in range(1, num_classes):
        truth[4 * index : 4 * index + 3, 2:12] = index
    prediction = np.roll(truth, 1, axis=1)
    image = (40 * truth[None] + 10).astype(np.uint8)
    names = ("background", *(f"organ {index}" for index in range(1, num_classes)))
    return Overlay(title, f"caption of {title}", image, prediction, truth, names)


def make_content() -> ReportContent:
    return ReportContent(
        title="membrane stack",
        subtitle="unet_padding, widths 32 to 256",
        created="1 March 2025, 12:34",
        cards=(Card("Dice", "0.8431", "0.83 to 0.85"), Card("Parameters", "1,927,073")),
        data_facts=(("Cases", "24 train\n6 validate"), ("Image size", "512 x 512")),
        problems=("images/17.png: no label picture of that name",),
        history=History(
            (1, 2, 3, 4), (1.5, 1.2, 1.0, 0.9), (2, 4), (0.61, 0.7321), (0.1, 0.1, 0.1, 0.0), 4,
            (10.0, 20.0, 30.0, 40.0), "organ Dice",
        ),
        case_table=Table(("Case", "Dice"), (("case 24", "0.8123"),), (("Mean", "0.8124"),)),
        overlays=(make_overlay("Best: 27"), make_overlay("Worst: 29")),
        settings=(
            Setting("batch_size", "4", "fits the probe"),
            Setting("seed", "1234", "any number", is_usual=True),
        ),
        commands=(("Predict", "ushape predict RUN INPUT --out OUT"),),
        environment=(("torch", "2.13.0"), ("Device", "cpu, 2 threads")),
    )  # fmt: skip


def texts_of(value: object) -> list[str]:
    """Every text inside a content, however deep."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, tuple):
        return [text for item in value for text in texts_of(item)]
    if isinstance(value, Card | Setting | Table | History):
        return [text for item in vars(value).values() for text in texts_of(item)]
    if isinstance(value, Overlay):
        return [value.title, value.caption, *value.class_names[1:]]
    return []


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(render_report(make_content()))


def test_every_given_text_is_on_the_page(page: Page) -> None:
    given = [text for value in vars(make_content()).values() for text in texts_of(value)]
    assert len(given) > 35
    assert [text for text in given if " ".join(text.split()) not in page.text] == []


def test_the_best_validation_is_named(page: Page) -> None:
    assert "best 0.7321 at step 4" in page.text


def test_nothing_is_fetched_and_no_script_runs(page: Page) -> None:
    assert "script" not in page.tags
    links = page.values("src") + page.values("href") + page.values("xlink:href")
    assert links
    assert all(link.startswith(("data:", "#")) for link in links)
    html = render_report(make_content())
    assert "@import" not in html
    assert re.findall(r"url\((?!#)", html) == []
    assert re.findall(r"https?://", html) == []


def test_ids_are_unique_and_references_resolve(page: Page) -> None:
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    used = [link[1:] for link in page.values("href") + page.values("xlink:href") if link[:1] == "#"]
    used += re.findall(r"url\(#([^)]+)\)", render_report(make_content()))
    assert set(used) <= set(ids)


def test_every_picture_says_what_it_shows(page: Page) -> None:
    assert len(page.values("role")) >= 10
    assert page.values("role").count("img") == len(
        [label for label in page.values("aria-label") if "Best" in label or "Worst" in label]
    ) + 2  # fmt: skip


def test_rendering_is_repeatable() -> None:
    assert render_report(make_content()) == render_report(make_content())


def test_hostile_names_are_escaped_everywhere() -> None:
    plain = make_content()
    hostile = ReportContent(
        HOSTILE, HOSTILE, HOSTILE,
        cards=(Card(HOSTILE, HOSTILE, HOSTILE),),
        data_facts=((HOSTILE, HOSTILE),),
        problems=(HOSTILE,),
        history=replace(plain.history, score_name=HOSTILE),
        case_table=Table((HOSTILE, HOSTILE), ((HOSTILE, HOSTILE),), ((HOSTILE, HOSTILE),)),
        overlays=(replace(make_overlay(HOSTILE), class_names=("background", HOSTILE)),),
        settings=(Setting(HOSTILE, HOSTILE, HOSTILE),),
        commands=((HOSTILE, HOSTILE),),
        environment=((HOSTILE, HOSTILE),),
    )  # fmt: skip
    page = Page(render_report(hostile))
    assert "script" not in page.tags
    assert page.text.count(HOSTILE) >= 24
    assert HOSTILE in " ".join(page.values("aria-label"))


def test_an_empty_content_says_what_is_missing() -> None:
    page = Page(render_report(ReportContent("data", "net", "now")))
    for sentence in (
        "No validation case has been predicted yet.",
        "No validation case has been evaluated yet.",
        "No problems were found in the data.",
        "No training loss is recorded.",
        "No validation has run yet.",
    ):
        assert sentence in page.text
    assert "None" not in page.text


def test_a_run_without_validation_still_shows_its_loss() -> None:
    history = History((1, 2), (1.0, 0.5))
    page = Page(render_report(ReportContent("data", "net", "now", history=history)))
    assert "Training loss by step" in page.values("aria-label")
    assert "No validation has run yet." in page.text
    assert "best" not in page.text


def test_several_classes_have_a_legend_and_an_outline_each() -> None:
    overlay = make_overlay(num_classes=4)
    page = Page(render_report(replace(make_content(), overlays=(overlay,))))
    assert "wrong class" in page.text
    colors = {entry.color for entry in view_overlay(overlay).classes}
    assert len(colors) == 3
    for color in colors:  # once in the truth, once in the prediction
        assert page.values("stroke").count(color) == 2


def test_two_classes_do_not_mention_confusion(page: Page) -> None:
    assert "wrong class" not in page.text


def test_error_shares_are_counted_on_the_full_picture() -> None:
    truth = np.zeros((2000, 1000), np.uint8)
    truth[:, ::2] = 1  # stripes that no small picture can hold
    prediction = np.zeros_like(truth)
    overlay = Overlay("t", "", truth[None], prediction, truth, ("background", "stripe"))
    view = view_overlay(overlay)
    assert "missed (fn) 50.0%" in [entry.name for entry in view.errors]
    assert view.scale_note == "shown at 36% of the size"


def test_writing_replaces_the_old_page_or_leaves_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.html"
    write_report(path, make_content())
    assert path.read_text(encoding="utf-8") == render_report(make_content())
    assert [entry.name for entry in path.parent.iterdir()] == ["report.html"]
    blocked = path / "report.html"  # a file stands where the folder is needed
    with pytest.raises(StorageError, match="choose another folder"):
        write_report(blocked, make_content())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: History((1, 2), (0.5,)), "1 losses for 2 steps"),
        (lambda: History(val_steps=(1,)), "0 val_scores for 1 val_steps"),
        (lambda: History((1, 2), (0.5, 0.4), learning_rates=(1.0,)), "1 learning_rates for 2"),
        (lambda: History((1, 2), (0.5, 0.4), x_seconds=()), "0 x_seconds for 2 steps"),
        (lambda: Table(("Case", "Dice"), (("24",),)), "1 cells for 2 columns"),
        (lambda: replace(make_overlay(), truth=np.zeros((3, 4), int)), "truth is 3 x 4"),
        (lambda: replace(make_overlay(), image=np.zeros((24, 30))), r"shape \(24, 30\)"),
        (
            lambda: replace(make_overlay(), prediction=np.full((24, 30), 255)),
            "classes 255 to 255, but there are names for 0 to 1",
        ),
    ],
)
def test_content_that_would_draw_wrong_is_refused(make: object, words: str) -> None:
    with pytest.raises(ShapeError, match=words):
        make()  # type: ignore[operator]


def test_settings_that_are_usual_are_folded_away() -> None:
    html = render_report(make_content())
    folded = html[html.index("<details>") : html.index("</details>")]
    assert "seed" in folded
    assert "batch_size" not in folded
    explained = (Setting("batch_size", "4", "fits the probe"),)
    assert "<details>" not in render_report(replace(make_content(), settings=explained))
