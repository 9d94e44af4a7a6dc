"""The report: one file, offline, readable by people and by machines, whatever a data set puts into it."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapt_core.interfaces import Section
from adapt_core.report import write_report
from adapt_core.report.curves import Chart, Point, Series, charts
from adapt_core.report.facts import facts_of
from adapt_core.report.matrix import matrix_of
from adapt_core.report.svg import BOTTOM, HEIGHT, LEFT, MOST_HOVERS, MOST_VERTICES, RIGHT, TOP, WIDTH, draw
from adapt_core.yaml_writer import to_yaml

VOID = {"meta", "link", "br", "hr", "img", "input", "col", "line", "path", "circle"}

CONFIG: dict[str, Any] = {
    "task": {"name": "text_classification"},
    "model": {"name": "some/model", "path": None},
    "dataset": {"name": None, "path": "data/reviews"},
    "method": {"name": "lora", "r": 8},
    "seed": 56,
}
ENVIRONMENT: dict[str, Any] = {
    "time": "2026-01-02T03:04:05+00:00",
    "adapt_core": "0.1.0",
    "python": "3.11.9",
    "platform": "Linux",
    "packages": {"adapt-core": "0.1.0", "click": "8.1.8", "torch": "2.13.0"},
    "device": {"type": "cpu", "name": "Some CPU", "count": 2, "memory_bytes": 8_000_000_000, "threads": 2},
    "git": {"commit": "abc123", "dirty": True},
}
DATA: dict[str, Any] = {
    "fingerprint": "f00d",
    "columns": ["text", "label"],
    "rows": {"train": 8530, "evaluation": 1066},
    "label_counts": {"train": {"bad": 4000, "good": 4530}, "evaluation": {"bad": 533, "good": 533}},
}
METRICS: list[dict[str, Any]] = [
    {"step": 10, "epoch": 0.5, "loss": 0.7, "learning_rate": 1e-4},
    {"step": 20, "epoch": 1.0, "loss": 0.5, "learning_rate": 5e-5},
    {"step": 20, "epoch": 1.0, "eval_loss": 0.55, "eval_accuracy": 0.75},
    {"step": 30, "epoch": 1.5, "loss": 0.4, "learning_rate": 2e-5},
    {"step": 40, "epoch": 2.0, "loss": 0.3, "learning_rate": 0.0},
    {"step": 40, "epoch": 2.0, "eval_loss": 0.45, "eval_accuracy": 0.8125},
]
RESULT: dict[str, Any] = {
    "status": "completed",
    "metrics": {"train_loss": 0.475, "loss": 0.45, "accuracy": 0.8125},
    "steps": 40,
    "parameters": {"total": 22_713_216, "trainable": 443_906},
    "timing_s": {"load": 2.0, "prepare": 0.0, "train": 70.0, "evaluate": 3.0, "save": 1.0},
    "throughput": {"rows_per_second": 121.5},
    "peak_memory_bytes": 1_234_567_890,
    "artifact": "model",
}
MATRIX = Section("Confusion matrix", "matrix", ["bad", "good"], [[400, 133], [100, 433]])
SAMPLES = Section(
    "Sample predictions",
    "table",
    ["text", "true", "predicted", "score", "correct"],
    [["a fine film", "good", "good", 0.98, True], ["dull", "bad", "good", 0.51, False]],
)


class Page(HTMLParser):
    """A parsed page: its elements with their attributes, its text, and whether its tags are balanced."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == [], "tags that are never closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str, style: str = "") -> list[dict[str, str]]:
        return [
            found for name, found in self.elements if name == tag and style in [*found.get("class", "").split(), ""]
        ]


def report(path: Path, **changed: Any) -> Page:
    parts: dict[str, Any] = {
        "config": CONFIG,
        "environment": ENVIRONMENT,
        "data": DATA,
        "metrics": METRICS,
        "result": RESULT,
        "sections": [MATRIX, SAMPLES],
    }
    file = path / "report.html"
    write_report(file, **{**parts, **changed})
    return Page(file.read_text(encoding="utf-8"))


# ---- the page as a whole --------------------------------------------------------------------------------------------


def test_the_page_needs_nothing_beside_it_and_runs_nothing(tmp_path: Path) -> None:
    page = report(tmp_path)
    for tag in ("script", "link", "img", "iframe", "object", "embed", "form", "base", "image", "use"):
        assert page.all(tag) == []
    for _, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes)
        assert "src" not in attributes
        assert attributes.get("href", "#").startswith("#")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "url(" not in html
    assert "@import" not in html
    assert "http://" not in html.replace("http-equiv", "")
    assert "https://" not in html


def test_the_page_forbids_browsers_to_load_or_run_anything(tmp_path: Path) -> None:
    policies = [meta["content"] for meta in report(tmp_path).all("meta") if "http-equiv" in meta]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_the_page_shows_what_was_run_and_what_came_out(tmp_path: Path) -> None:
    text = report(tmp_path).text
    for expected in (
        "Text classification · lora",
        "completed",
        "some/model",
        "data/reviews",
        "0.4500",
        "0.8125",
        "443,906",
        "1.95% of 22,713,216",
        "1.2 GB",
        "train 1 min 10 s",
        "f00d",
        "8,530",
        "Some CPU",
        "abc123",
        "torch 2.13.0",
        "1 other installed packages",
        "2026-01-02 03:04:05 UTC",
    ):
        assert expected in text


def test_the_first_number_is_what_the_task_measures_and_losses_come_last(tmp_path: Path) -> None:
    text = report(tmp_path).text
    assert text.index("accuracy 0.8125") < text.index("training loss 0.4750") < text.index("evaluation loss 0.4500")


def test_of_an_absolute_path_the_head_shows_the_end(tmp_path: Path) -> None:
    model = tmp_path / "models" / "mine"
    page = report(tmp_path, config={**CONFIG, "model": {"name": None, "path": str(model)}})
    head = page.text[: page.text.index("Results")]
    assert "…/models/mine" in head
    assert str(model) not in head
    assert str(model) in page.text


def test_the_configuration_on_the_page_is_the_configuration(tmp_path: Path) -> None:
    text = "".join(report(tmp_path).texts)
    assert to_yaml(CONFIG) in text
    assert yaml.safe_load(to_yaml(CONFIG)) == CONFIG


def test_the_page_can_be_read_with_a_screen_reader(tmp_path: Path) -> None:
    page = report(tmp_path, sections=[MATRIX, SAMPLES, MATRIX])
    assert all(cell.get("scope") in ("col", "row") for cell in page.all("th"))
    identifiers = [found["id"] for _, found in page.elements if "id" in found]
    assert [name for name, count in Counter(identifiers).items() if count > 1] == []
    targets = [found["href"][1:] for found in page.all("a")]
    targets += [name for _, found in page.elements for name in found.get("aria-labelledby", "").split()]
    assert set(targets) <= set(identifiers)
    headings = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert headings.count(1) == 1
    assert headings[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(headings))
    for graphic in page.all("svg"):
        assert graphic.get("role") == "img" or "aria-labelledby" not in graphic
    assert dict(page.elements)["html"]["lang"] == "en"


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_texts_and_curves_stand_out_from_their_background(tmp_path: Path, scheme: str) -> None:
    report(tmp_path)
    roots = re.findall(r":root \{(.*?)\}", (tmp_path / "report.html").read_text(encoding="utf-8"), re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", roots[["light", "dark", "print"].index(scheme)]))
    for background in ("page", "card"):
        for text in ("text", "soft", "accent", "good", "bad"):
            assert contrast(colours[text], colours[background]) >= 4.5, (text, background)
    assert contrast(colours["text"], colours["track"]) >= 4.5
    for curve in range(6):
        assert contrast(colours[f"s{curve}"], colours["card"]) >= 3, curve


@pytest.mark.parametrize(
    "hostile", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</style>{{ 7*7 }}"]
)
def test_whatever_a_data_set_or_a_configuration_holds_is_shown_as_text(tmp_path: Path, hostile: str) -> None:
    page = report(
        tmp_path,
        config={**CONFIG, "dataset": {"path": hostile}, "task": {"name": hostile}},
        data={"fingerprint": hostile, "label_counts": {hostile: 3, "b": 4}, hostile: [hostile]},
        result={**RESULT, "metrics": {hostile: 0.5}, "artifact": hostile},
        metrics=[{"step": 1, "loss": 1.0, f"eval_{hostile}": 0.5}, {"step": 2, "loss": 1.0, f"eval_{hostile}": 0.6}],
        sections=[
            Section(hostile, "table", [hostile], [[hostile]]),
            Section(hostile, "matrix", [hostile, "b"], [[1, 2], [3, 4]]),
        ],
    )
    assert page.all("script") == []
    assert page.all("img") == []
    assert "49" not in page.text.replace("0.49", "")
    assert page.text.count(hostile) >= 10


def test_a_run_that_neither_trained_nor_was_evaluated_still_has_a_report(tmp_path: Path) -> None:
    page = report(tmp_path, metrics=[], result={"status": "completed", "throughput": None}, sections=[], data={})
    assert "has not been evaluated" in page.text
    assert page.all("figure") == []


# ---- curves ---------------------------------------------------------------------------------------------------------


def test_losses_share_a_chart_shares_another_and_the_rest_have_their_own() -> None:
    found = {chart.title: [series.name for series in chart.series] for chart in charts(METRICS)}
    assert found == {
        "Loss": ["training loss", "evaluation loss"],
        "Evaluation": ["accuracy"],
        "Learning rate": ["learning rate"],
    }


def test_the_parts_of_a_loss_are_drawn_with_it_and_a_metric_above_one_by_itself() -> None:
    lines = [{"step": step, "loss": 2.0, "loss_bbox": 1.0, "eval_perplexity": 7.0 + step} for step in (1, 2)]
    found = {chart.title: [series.name for series in chart.series] for chart in charts(lines)}
    assert found == {"Loss": ["training loss", "loss bbox"], "Perplexity": ["perplexity"]}


def test_a_single_evaluation_makes_no_chart_of_its_own() -> None:
    titles = [chart.title for chart in charts(METRICS[:3])]
    assert titles == ["Loss", "Learning rate"]


def test_a_curve_runs_through_its_values(tmp_path: Path) -> None:
    series = Series("s", tuple(Point(step, None, value) for step, value in ((0, 0.0), (50, 10.0), (100, 5.0))))
    drawing = draw(Chart("c", (series,)))
    places = [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", drawing.curves[0].path)]
    assert [x for x, _ in places] == [LEFT, (LEFT + WIDTH - RIGHT) / 2, WIDTH - RIGHT]
    lowest, highest, middle = (y for _, y in places)
    assert lowest == HEIGHT - BOTTOM  # never below zero, so zero lies on the axis
    assert TOP < highest < middle < lowest
    assert middle == pytest.approx((lowest + highest) / 2, abs=0.1)
    at = {tick.label: tick.at for tick in drawing.y_ticks}
    assert at["10"] == highest
    assert at["0"] == lowest
    assert [hover.text for hover in drawing.curves[0].hovers] == ["s, step 0: 0", "s, step 50: 10", "s, step 100: 5"]


@pytest.mark.parametrize("low, high", [(0, 1e-9), (-3, -1), (5, 5), (0, 0), (1e6, 3e7), (0.4, 0.7), (1e-5, 5e-4)])
def test_every_axis_has_distinct_labels_within_the_drawing(low: float, high: float) -> None:
    drawing = draw(Chart("c", (Series("s", (Point(1, None, low), Point(500, None, high))),)))
    labels = [tick.label for tick in drawing.y_ticks]
    assert 2 <= len(labels) == len(set(labels)) <= 8
    assert max(len(label) for label in labels) <= 7
    assert all(TOP <= tick.at <= HEIGHT - BOTTOM for tick in drawing.y_ticks)
    for tick in drawing.y_ticks:  # a label says its place
        share = (HEIGHT - BOTTOM - tick.at) / (HEIGHT - BOTTOM - TOP)
        spread = (high - low) or abs(high) or 1.0
        bottom = max(low - 0.05 * spread, 0) if low >= 0 else low - 0.05 * spread
        top = high + 0.05 * spread
        assert float(tick.label.replace(",", "")) == pytest.approx(
            bottom + share * (top - bottom), abs=0.01 * (top - bottom)
        )


def test_a_run_of_one_step_can_be_drawn() -> None:
    drawing = draw(Chart("c", (Series("s", (Point(7, 1.0, 0.5),)),)))
    assert [hover.text for hover in drawing.curves[0].hovers] == ["s, step 7 (epoch 1.00): 0.5"]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, None])
def test_a_loss_that_is_no_number_breaks_the_curve_and_is_pointed_out(tmp_path: Path, bad: float | None) -> None:
    lines = [dict(line) for line in METRICS]
    lines[1]["loss"] = bad
    page = report(tmp_path, metrics=lines, result={**RESULT, "metrics": {"loss": bad}})
    assert "Not a finite number after step 20." in page.text
    assert "step 20: not a finite number" in page.text
    assert "nan" not in page.text.lower().split()
    loss = draw(charts(lines)[0]).curves[0]
    assert loss.path.count("M") == 2
    assert len(loss.hovers) == 3


def test_a_loss_that_never_was_a_number_is_left_out(tmp_path: Path) -> None:
    page = report(tmp_path, metrics=[{"step": step, "loss": math.nan} for step in (1, 2)])
    assert page.all("figure") == []
    assert "not a number" in page.text


def test_a_long_run_stays_a_small_file_and_keeps_its_spike(tmp_path: Path) -> None:
    lines = [{"step": step, "loss": 100.0 if step == 33_333 else 1.0} for step in range(1, 100_001)]
    drawing = draw(charts(lines)[0])
    curve = drawing.curves[0]
    assert len(curve.hovers) <= MOST_HOVERS + 1
    assert len(re.findall("[ML]", curve.path)) <= MOST_VERTICES + 2
    heights = [float(y) for y in re.findall(r" ([\d.]+)", curve.path)]
    assert sum(height < (HEIGHT - BOTTOM) / 2 for height in heights) == 1
    report(tmp_path, metrics=lines)
    assert (tmp_path / "report.html").stat().st_size < 200_000
    assert "One line in 250 is shown; metrics.jsonl has all 100000." in (tmp_path / "report.html").read_text()


# ---- matrices, tables and facts -------------------------------------------------------------------------------------


def test_a_matrix_says_how_well_each_class_is_told() -> None:
    good = matrix_of(MATRIX).labels[1]
    # By hand: of 533 good rows 433 were found, among 133 + 433 that were called good.
    assert good.rows == 533
    assert good.recall == pytest.approx(433 / 533)
    assert good.precision == pytest.approx(433 / 566)
    assert good.f1 == pytest.approx(2 * (433 / 566) * (433 / 533) / (433 / 566 + 433 / 533))


def test_a_class_that_never_occurs_divides_by_nothing(tmp_path: Path) -> None:
    section = Section("m", "matrix", ["a", "b", "c"], [[3, 0, 0], [1, 0, 0], [0, 0, 0]])
    absent = matrix_of(section).labels[2]
    assert (absent.rows, absent.recall, absent.precision, absent.f1) == (0, None, None, None)
    assert matrix_of(section).labels[1].precision is None
    assert "–" in report(tmp_path, sections=[section]).text


def test_the_most_confused_pairs_come_first() -> None:
    section = Section("m", "matrix", ["a", "b", "c"], [[90, 8, 2], [3, 5, 2], [0, 3, 97]])
    found = [(pair.truth, pair.predicted, pair.count, pair.share) for pair in matrix_of(section).pairs]
    assert found[:3] == [("a", "b", 8, 0.08), ("b", "a", 3, 0.3), ("c", "b", 3, 0.03)]
    assert len(found) == 5


def test_a_matrix_of_two_classes_shows_its_counts_and_one_of_77_every_name(tmp_path: Path) -> None:
    small = report(tmp_path)
    assert [cell["title"] for cell in small.all("td") if "title" in cell] == [
        "bad → bad: 400 (75.0% of 533)",
        "bad → good: 133 (25.0% of 533)",
        "good → bad: 100 (18.8% of 533)",
        "good → good: 433 (81.2% of 533)",
    ]
    names = [f"class_number_{number}" for number in range(77)]
    counts = [[40 if row == column else int(row == column + 1) for column in range(77)] for row in range(77)]
    large = report(tmp_path, sections=[Section("Confusion matrix", "matrix", names, counts)])
    assert len(large.all("table", "compact")) == len(large.all("table", "turned")) == 1
    assert len(large.all("td", "hit")) == 77
    assert len(large.all("td", "miss")) == 76
    assert all(large.text.count(name) >= 2 for name in names)
    assert "Most confused" in large.text


def test_truth_in_a_table_is_a_mark_and_a_word(tmp_path: Path) -> None:
    page = report(tmp_path)
    assert len(page.all("td", "yes")) == len(page.all("td", "no")) == 1
    assert "✓ yes" in page.text


def test_facts_go_by_the_shape_of_the_values() -> None:
    facts = facts_of(
        {
            **DATA,
            "labels": ["bad", "good"],
            "nested": {"made": True, "share": 0.1, "deep": [{"a": 1}], "left": None},
            "out": [],
        }
    )
    assert dict(facts.values) == {
        "fingerprint": "f00d",
        "columns": "text, label",
        "labels": "bad, good",
        "nested: made": "yes",
        "nested: share": "0.1",
        "nested: deep": '[{"a": 1}]',
    }
    rows, labels = facts.counts
    assert [(bar.name, bar.counts) for bar in rows.bars] == [("train", (8530,)), ("evaluation", (1066,))]
    assert labels.columns == ("train", "evaluation")
    assert [(bar.name, bar.counts, bar.shares) for bar in labels.bars] == [
        ("bad", (4000, 533), (0.883, 1.0)),
        ("good", (4530, 533), (1.0, 1.0)),
    ]


def test_very_many_labels_are_cut_with_a_word_about_it(tmp_path: Path) -> None:
    page = report(tmp_path, data={"label_counts": {f"label {number}": number for number in range(1000)}})
    assert "800 more are in data.json." in page.text
