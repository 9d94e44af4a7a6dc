"""The report: one file, offline, readable by people and by machines, whatever a data set puts into it."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml
from report_page import CONFIG, MATRIX, RESULT, SAMPLES, report

from adapt_core.bundles import Section
from adapt_core.config.yaml_writer import to_yaml


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
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


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


def test_what_a_person_should_know_of_the_result_stands_with_it(tmp_path: Path) -> None:
    said = "The model predicts '<neg>' for every one of 66 evaluation rows."
    text = report(tmp_path, result={**RESULT, "notices": [said]}).text
    assert text.index("accuracy 0.8125") < text.index(said) < text.index("trained parameters")
    assert "evaluation rows" not in report(tmp_path).text


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
