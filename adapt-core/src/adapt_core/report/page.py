"""Puts the page together: what it shows, in which order and in which words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from adapt_core.bundles import Section
from adapt_core.config.yaml_writer import to_yaml
from adapt_core.report.curves import charts, evaluations, finite, readable, training_log
from adapt_core.report.facts import facts_of
from adapt_core.report.parts import Grid, cell, part_of
from adapt_core.report.svg import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, draw
from adapt_core.utils.files import write_text
from adapt_core.utils.units import bytes_text, number_text, seconds_text

MOST_LOG_LINES = 400
"""The most lines of the training log that are shown; of more, every second, third, … one."""

MAIN_PACKAGES = ("torch", "transformers", "peft", "accelerate", "datasets", "tokenizers", "safetensors", "numpy")
"""Packages whose versions are shown at once, beside Adapt's own; the others can be unfolded."""


@dataclass(frozen=True)
class Fact:
    """A named value, with a remark in small print."""

    name: str
    value: str
    remark: str = ""


def write_report(
    path: Path,
    *,
    config: Mapping[str, Any],
    environment: Mapping[str, Any],
    data: Mapping[str, Any],
    metrics: Sequence[Mapping[str, Any]],
    result: Mapping[str, Any],
    sections: Sequence[Section],
) -> None:
    """Writes the report of a run as one HTML file that needs nothing beside it.

    Args:
        path: the file to write.
        config: the canonical configuration.
        environment: the content of ``environment.json``.
        data: the content of ``data.json``.
        metrics: the lines of ``metrics.jsonl``.
        result: the content of ``result.json``.
        sections: the task's own parts.
    """
    template = _templates().get_template("report.html.j2")
    html = template.render(
        title=_title(config),
        status=str(result.get("status", "unfinished")),
        about=_about(config, environment),
        scores=_scores(result),
        notices=result.get("notices", ()),
        costs=_costs(result),
        stages=_stages(result),
        drawings=[draw(chart) for chart in charts(metrics)],
        frame={"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT, "top": TOP, "bottom": BOTTOM},
        evaluations=_grid(evaluations(metrics)),
        log=_grid(training_log(metrics), MOST_LOG_LINES),
        parts=[part_of(section) for section in sections],
        data=facts_of(data),
        config=to_yaml(config),
        environment=_environment(environment),
        packages=_packages(environment),
        percent=lambda share: "–" if share is None else f"{share:.1%}",
    )
    write_text(path, html)


def write_sections(path: Path, title: str, sections: Sequence[Section]) -> None:
    """Writes sections as one HTML file that needs nothing beside it.

    Args:
        path: the file to write.
        title: its heading.
        sections: what it shows, in their order.
    """
    template = _templates().get_template("sections.html.j2")
    html = template.render(
        title=title,
        parts=[part_of(section) for section in sections],
        percent=lambda share: "–" if share is None else f"{share:.1%}",
    )
    write_text(path, html)


@cache
def _templates() -> Any:
    """The page's templates; made once, since compiling them takes longer than filling them in."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("adapt_core.report", "templates"),
        autoescape=True,  # whatever a data set holds, it is text here
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


# ---- head -----------------------------------------------------------------------------------------------------


def _title(config: Mapping[str, Any]) -> str:
    names = [readable(str(name)) for section in ("task", "method") if (name := _of(config, section).get("name"))]
    return " · ".join([names[0].capitalize(), *names[1:]]) if names else "Run"


def _about(config: Mapping[str, Any], environment: Mapping[str, Any]) -> list[Fact]:
    facts = []
    for section, name in (("model", "Model"), ("dataset", "Data")):
        chosen = _of(config, section)
        source = chosen.get("name") or chosen.get("path")
        if source:
            facts.append(Fact(name, _short(str(source)), str(chosen.get("config") or "")))
    if "seed" in config:
        facts.append(Fact("Seed", str(config["seed"])))
    if environment.get("time"):
        facts.append(Fact("Started", str(environment["time"]).replace("T", " ").replace("+00:00", " UTC")))
    return facts


def _short(source: str) -> str:
    """A name or path; of an absolute path the end, since the configuration has all of it."""
    return "/".join(["…", *Path(source).parts[-2:]]) if Path(source).is_absolute() else source


def _scores(result: Mapping[str, Any]) -> list[Fact]:
    """The result's metrics, losses last. One that is no finite number is shown as such, and not left out."""
    metrics = _of(result, "metrics")
    # In the result, unlike in the log, what has no prefix is of the evaluation.
    names = {"loss": "evaluation loss", "train_loss": "training loss"}
    shown = [name for name, value in metrics.items() if not isinstance(value, (list, dict))]
    return [
        Fact(names.get(name) or readable(name), _measured(metrics[name]))
        for name in sorted(shown, key=lambda name: "loss" in name)
    ]


def _costs(result: Mapping[str, Any]) -> list[Fact]:
    facts = []
    parameters = _of(result, "parameters")
    if parameters.get("total"):
        total, trainable = parameters["total"], parameters["trainable"]
        facts.append(
            Fact("trained parameters", number_text(trainable), f"{trainable / total:.2%} of {number_text(total)}")
        )
    if result.get("steps"):
        facts.append(Fact("steps", number_text(result["steps"])))
    for name, value in _of(result, "throughput").items():
        facts.append(Fact(readable(name), number_text(value, digits=3)))
    if memory := _of(result, "memory"):
        quantized = memory["weights"] + memory["constants"]
        facts.append(
            Fact("quantized weights", bytes_text(quantized), f"{8 * quantized / memory['parameters']:.2f} bits each")
        )
    if result.get("peak_memory_bytes"):
        facts.append(Fact("peak memory", bytes_text(result["peak_memory_bytes"])))
    if result.get("artifact"):
        facts.append(Fact("saved model", str(result["artifact"])))
    return facts


def _stages(result: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    """Name, time in words and share of the whole of every stage that took time."""
    seconds = {name: value for name, value in _of(result, "timing_s").items() if finite(value)}
    whole = sum(seconds.values())
    return [(readable(name), seconds_text(value), round(value / whole, 4)) for name, value in seconds.items()]


# ---- tables ---------------------------------------------------------------------------------------------------


def _grid(lines: Sequence[Mapping[str, Any]], most: int | None = None) -> Grid:
    keys = list(dict.fromkeys(key for line in lines for key in line))
    order = [key for key in ("step", "epoch") if key in keys] + [key for key in keys if key not in ("step", "epoch")]
    stride = -(-len(lines) // most) if most and lines else 1
    # Counted from the end, so that the last line is always there.
    shown = lines[::-1][::stride][::-1]
    note = f"One line in {stride} is shown; metrics.jsonl has all {len(lines)}." if stride > 1 else ""
    rows = [[_placed(key, line[key]) if key in line else "" for key in order] for line in shown]
    return Grid([readable(key) for key in order], rows, note)


def _placed(key: str, value: Any) -> str:
    """A cell of a log. Epochs, and results of evaluations, have as many decimals as the others in their column."""
    if key == "epoch" and finite(value) is not None:
        return f"{value:.2f}"
    return _measured(value) if key.startswith("eval_") else cell(value)


def _measured(value: Any) -> str:
    """A result, in four decimals unless it is large, whole or minute."""
    number = finite(value)
    if number is None or isinstance(value, int) or abs(number) >= 100 or 0 < abs(number) < 1e-3:
        return cell(value)
    return f"{number:.4f}"


# ---- environment ----------------------------------------------------------------------------------------------


def _environment(environment: Mapping[str, Any]) -> list[Fact]:
    facts = [Fact(name, str(environment[key])) for key, name in _NAMES.items() if environment.get(key)]
    device = _of(environment, "device")
    if device:
        unit = "GPUs" if device.get("type") == "cuda" else "cores"
        memory = bytes_text(device["memory_bytes"]) if device.get("memory_bytes") else "memory unknown"
        facts.append(Fact("Device", str(device.get("name")), f"{device.get('count')} {unit}, {memory}"))
        facts.append(Fact("Threads", str(device.get("threads"))))
    git = _of(environment, "git")
    if git:
        facts.append(Fact("Commit", str(git.get("commit")), "with changes" if git.get("dirty") else ""))
    return facts


_NAMES = {"adapt_core": "Adapt", "python": "Python", "platform": "System"}


def _packages(environment: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Versions by name: the ``main`` ones and the ``other`` ones."""
    packages = [(str(name), str(version)) for name, version in _of(environment, "packages").items()]
    main = [item for item in packages if item[0] in MAIN_PACKAGES or item[0].startswith("adapt-")]
    return {"main": main, "other": [item for item in packages if item not in main]}


def _of(mapping: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The mapping under a key; empty when there is none, such as the throughput of a run that did not train."""
    value = mapping.get(key)
    return value if isinstance(value, Mapping) else {}
