"""A report of a made-up run, read as a browser would."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from adapt_core.bundles import Section
from adapt_core.report import write_report

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
