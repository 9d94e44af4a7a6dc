"""No configuration of the installed plugins makes the check raise: their own validators see every kind of value."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapt_core.config.sections import ROOT, SECTIONS
from adapt_core.kinds import Kind
from adapt_core.options import flat_name
from adapt_core.plan.build import check
from adapt_core.plan.choose import option_models
from adapt_core.plugins.registry import Registry

REGISTRY = Registry.load()
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))

TEXTS = st.sampled_from(
    [
        "",
        "{}",
        "{",
        "{a.b}",
        "{0} {}",
        "{:{}}",
        "text",
        "label",
        "(",
        "a\0b",
        "x" * 300,
        "True",
        "1e-4",
        "../..",
        "none",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.text(max_size=6)
VALUES = SCALARS | st.lists(SCALARS, max_size=4) | st.dictionaries(st.integers(0, 3) | TEXTS, SCALARS, max_size=3)


def models(kind: Kind, name: str) -> dict[str, Any]:
    return dict(option_models(REGISTRY.get(kind, name), REGISTRY))


def section(model: Any, fixed: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any values under some of a model's keys."""
    keys = st.dictionaries(st.sampled_from(sorted(model.model_fields) or ["nothing"]), VALUES, max_size=6)
    return keys.map(lambda given: given | fixed)


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    task = draw(st.sampled_from(REGISTRY.names(Kind.TASK)))
    method = draw(st.sampled_from(REGISTRY.names(Kind.METHOD)))
    brought = models(Kind.TASK, task) | models(Kind.METHOD, method)
    named: dict[str, dict[str, Any]] = {"task": {"name": task}, "method": {"name": method}}
    config: dict[str, Any] = {
        name: draw(section(brought.get(name, model), named.get(name, {}))) for name, model in SECTIONS.items()
    }
    flat = [
        flat_name(info)
        for model in (ROOT, *SECTIONS.values(), *brought.values())
        for info in model.model_fields.values()
    ]
    return config | draw(st.dictionaries(st.sampled_from(sorted({name for name in flat if name})), VALUES, max_size=4))


@given(configurations())
@FUZZ
def test_any_values_of_any_options_give_problems_or_a_plan(config: dict[str, Any]) -> None:
    for problem in check(config, (), REGISTRY):
        assert str(problem)


@given(st.sampled_from(["format_string", "format_names", "text_column", "label_names", "path"]), st.text(max_size=20))
@FUZZ
def test_any_text_in_the_options_that_are_read_closely(key: str, text: str) -> None:
    dataset = {"name": "data", "format_string": "{a}", "format_names": ["a"], key: text}
    check({"task": "text_classification", "model": "m", "dataset": dataset, "method": "lora"}, (), REGISTRY)
