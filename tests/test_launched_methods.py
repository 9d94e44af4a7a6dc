"""Every method trains in several processes as in one where it says so, and is refused where it does not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from launched_methods import STEPS, MethodRun, train_all
from safetensors.torch import load_file

from adapt_core.interfaces import Launcher, World
from adapt_core.kinds import Kind, MethodSpec
from adapt_core.options import Options
from adapt_core.plan.build import check
from adapt_core.plugins.registry import Registry
from adapt_core.testing.models import MODELS
from adapt_core.testing.settings import SETTINGS

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

REGISTRY = Registry.load()
METHODS: dict[str, MethodSpec] = {
    entry.spec.name: entry.spec for entry in REGISTRY.entries(Kind.METHOD) if entry.spec.support == "tested"
}
LAUNCHERS = {entry.spec.name: entry for entry in REGISTRY.entries(Kind.LAUNCHER) if entry.spec.parallel}
OWN = ("full", "lora", "dora", "ssf", "bottleneck")
"""Methods that are tried on an encoder too where they are sharded."""

OPTIONS: dict[str, dict[str, Any]] = {"adalora": {"tinit": 1, "tfinal": 1, "dropout": 0.0}}
"""Where the settings of the contract suite need more steps."""

STARTS = {"pissa": 8, "pissa_niter_4": 8, "olora": 8, "orthogonal": 8, "eva": 4, "loftq": 8}
"""Ways in which LoRA's update starts, and the rank."""

ROUGHLY = {"pvera": 5e-2}
"""It adds noise in training, which each process draws by itself."""

SPARE = "lora, with a layer to spare"
"""A case in which the update of a layer is trained that no step uses."""

WHOLE: dict[str, Any] = {"sharding": None, "unused_parameters": None}
"""A world in which no launcher has said anything else."""

CASES: dict[str, tuple[str, dict[str, Any], str]] = {}
"""A method, its options and a tiny model, by name."""

CELLS: list[tuple[str, str]] = []
"""A launcher and a case each."""


def _fill() -> None:
    for name, spec in METHODS.items():
        settings = SETTINGS[name]
        options = OPTIONS.get(name, settings.get("options", {}))
        first, *more = [each for each in ("causal_lm", "encoder") if each in settings.get("works_on", MODELS)]
        CASES[name] = (name, options, first)
        for launcher, entry in LAUNCHERS.items():
            if entry.spec.parallel in spec.parallel:
                CELLS.append((launcher, name))
        if more and name in OWN:
            CASES[f"{name}, {more[0]}"] = (name, options, more[0])
            CELLS.append(("fsdp", f"{name}, {more[0]}"))
    for start, rank in STARTS.items():
        CASES[f"lora, {start}"] = ("lora", {"init_lora_weights": start, "r": rank, "dropout": 0.0}, "causal_lm")
        CELLS.append(("fsdp", f"lora, {start}"))
    CASES[SPARE] = ("lora", {"target_modules": "all-linear", "dropout": 0.0}, "causal_lm")
    CELLS.append(("ddp", SPARE))


_fill()


class Runs:
    """All that is compared: each case in one process, and every cell in two processes that are started once.

    Attributes:
        folder: of the runs.
        failures: what went wrong with a case, or with a launcher and a case; None for nothing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        one = {name: self.run("one", name) for name in CASES}
        several = {cell: self.run(*cell) for cell in CELLS}
        several = {cell: replace(run, world=WHOLE | made(cell[0]).settings()) for cell, run in several.items()}
        self.failures: dict[Any, str | None] = dict(zip(one, train_all(list(one.values()), World()), strict=True))
        found = made("fsdp").launch(train_all, list(several.values()))
        self.failures |= dict(zip(several, found, strict=True))

    def run(self, launcher: str, case: str) -> MethodRun:
        method, options, model = CASES[case]
        return MethodRun(method, options, model, self.folder / launcher / case, spare=case == SPARE)


def made(launcher: str) -> Any:
    """A launcher of two processes."""
    entry = LAUNCHERS[launcher]
    options: type[Options] = REGISTRY.options(entry.spec)
    kind: type[Launcher] = REGISTRY.load_target(entry)
    return kind(options(num_processes=2, use_cpu=True))  # type: ignore[call-arg]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # as each process has
    try:
        yield Runs(tmp_path_factory.mktemp("methods"))
    finally:
        torch.set_num_threads(before)


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {name: each for path in (folder / "model").rglob("*.safetensors") for name, each in load_file(path).items()}


def assert_the_same(one: Path, other: Path, tolerance: float = 1e-5) -> None:
    assert len(losses(one)) == STEPS and losses(other) == pytest.approx(losses(one), abs=tolerance)
    expected, found = weights(one), weights(other)
    assert found.keys() == expected.keys() and found
    off = [name for name, each in found.items() if not torch.allclose(each, expected[name], atol=tolerance)]
    assert not off


@pytest.mark.parametrize(("launcher", "case"), CELLS, ids=[f"{launcher}: {case}" for launcher, case in CELLS])
def test_losses_and_what_is_saved_are_those_of_one_process(launcher: str, case: str, runs: Runs) -> None:
    assert runs.failures[case] is None and runs.failures[launcher, case] is None
    assert_the_same(runs.folder / "one" / case, runs.folder / launcher / case, ROUGHLY.get(case, 1e-5))


def test_ddp_looks_for_parameters_that_a_step_does_not_use_only_where_there_are_some(runs: Runs) -> None:
    replicated = [case for launcher, case in CELLS if launcher == "ddp"]
    looks = {case for case in replicated if (runs.folder / "ddp" / case / "looks.txt").read_text() == "True"}
    assert looks == {SPARE}


@pytest.mark.parametrize("case", ["dora", "ssf", "lora, pissa", "lora, eva", "lora, loftq"])
def test_one_process_goes_on_from_the_checkpoint_of_a_sharded_method(case: str, runs: Runs, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(runs.folder / "fsdp" / case, folder)
    shutil.rmtree(folder / "model")
    assert train_all([replace(runs.run("one", case), folder=folder, resume=True)], World()) == [None]
    assert_the_same(runs.folder / "one" / case, folder)


@pytest.mark.parametrize("name", [name for name, spec in METHODS.items() if "sharded" not in spec.parallel])
def test_a_method_that_is_not_sharded_is_refused_with_what_to_take_instead(name: str, tmp_path: Path) -> None:
    config: Mapping[str, Any] = {
        "task": "text_classification",
        "model": {"path": str(tmp_path)},
        "dataset": {"path": str(tmp_path)},
        "method": {"name": name, **SETTINGS[name].get("options", {})},
        "launch": {"name": "fsdp", "num_processes": 2},
        "output_dir": str(tmp_path / "run"),
    }
    (problem,) = [each for each in check(config) if each.key == "launch.name"]
    assert f"the method {name} does not train with sharded models" in problem.message
    assert "launch.name: ddp" in problem.message and " lora," in problem.message


def test_every_method_that_is_tested_has_a_cell_of_each_launcher_that_it_declares() -> None:
    assert {CASES[case][0] for launcher, case in CELLS if launcher == "ddp"} == set(METHODS)
