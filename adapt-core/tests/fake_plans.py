"""Plans of the fake plugins, and what is wrong with a configuration of theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fake_plugins

from adapt_core.errors import Problem
from adapt_core.plan.build import build_plan, check
from adapt_core.plan.run_plan import RunPlan

REGISTRY = fake_plugins.registry()
BASE = "task: read\nmodel: hub/model\ndataset: hub-data\nmethod: low_rank\n"


def plan_of(data: Any, *overrides: str) -> RunPlan:
    return build_plan(data, overrides, REGISTRY)


def problems_of(text: str, tmp_path: Path, *overrides: str) -> list[Problem]:
    file = tmp_path / "run.yaml"
    file.write_text(text, encoding="utf-8")
    return check(file, overrides, REGISTRY)


def said(text: str, tmp_path: Path, *overrides: str) -> list[tuple[int | None, str, str, str | None]]:
    return [
        (problem.line, problem.key, problem.code, problem.suggestion)
        for problem in problems_of(text, tmp_path, *overrides)
    ]
