"""The pipeline, the savers and the launchers know no task, method or engine: their sources name none."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import adapt_core

ROOT = Path(adapt_core.__file__).parent
NEUTRAL = [
    *sorted((ROOT / "pipeline").glob("*.py")),
    ROOT / "runs" / "loading.py",
    ROOT / "runs" / "evaluation.py",
    *sorted((ROOT / "savers").glob("*.py")),
    *sorted((ROOT / "launchers").glob("*.py")),
]


def names() -> set[str]:
    """Names of all first-party tasks, methods and engines, and of the modules and classes behind them."""
    listed = json.loads((ROOT / "plugins" / "catalogue.json").read_text())
    found = {each["name"] for each in listed if each["kind"] in ("task", "method")}
    engines = {path.name for path in (ROOT / "engines").iterdir() if path.is_dir() and path.name[0] != "_"}
    return {*found, *engines, "TrainerEngine", "Trainer", "Runner", "mmengine", "peft"}


def test_there_is_something_to_look_for() -> None:
    assert {"text_classification", "lora", "full", "last_layer", "trainer"} <= names()
    assert len(NEUTRAL) >= 10


@pytest.mark.parametrize("path", NEUTRAL, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_it_names_no_task_method_or_engine(path: Path) -> None:
    source = path.read_text()
    for name in names():
        if name == "full":  # a word of English, and of the saver's own name
            assert not re.search(r"""["']full["']|methods\.full""", source)
        else:
            assert not re.search(rf"\b{re.escape(name)}\b", source), name


def test_names_of_transformers_are_those_of_the_installed_version() -> None:
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK
    from transformers.trainer_utils import SchedulerType
    from transformers.training_args import OptimizerNames

    from adapt_core.engines.trainer import names as ours

    assert set(ours.OPTIMIZERS) == {each.value for each in OptimizerNames}
    assert set(ours.SCHEDULERS) == {each.value for each in SchedulerType}
    assert set(ours.TRACKERS) == set(INTEGRATION_TO_CALLBACK)
