"""The parts of the report: curves, matrices, tables and facts."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from report_page import DATA, MATRIX, METRICS, RESULT, report

from adapt_core.bundles import Section
from adapt_core.report.curves import Chart, Point, Series, charts
from adapt_core.report.facts import facts_of
from adapt_core.report.matrix import matrix_of
from adapt_core.report.svg import BOTTOM, HEIGHT, LEFT, MOST_HOVERS, MOST_VERTICES, RIGHT, TOP, WIDTH, draw

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
