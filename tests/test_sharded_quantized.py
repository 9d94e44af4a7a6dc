"""Bases in 4 bits, sharded over two processes: they train, save and go on as in one, and each process has its part."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from launched_methods import MethodRun, train_all
from launched_parts import ROOT
from launched_quantized import claim, run_resume_and_train
from safetensors.torch import load_file
from test_launched_methods import CASES, METHODS, made
from test_launched_methods import assert_the_same as assert_the_same_method
from test_launchers import LORA, STEADY, assert_the_same, assert_the_same_end, cut, launched

import adapt_core
from adapt_core.api import plan_of
from adapt_core.interfaces import World
from adapt_core.pipeline import saving
from adapt_core.plan.build import check

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SHARDED = [name for name, spec in METHODS.items() if 4 in spec.quantization and "sharded" in spec.parallel]
EXACT = {"compute_dtype": "float32", "double_quant": True}

WAYS: dict[str, tuple[str, dict[str, Any], dict[str, Any], float]] = {
    # Products are in float16, and round otherwise for another number of rows.
    "defaults": ("lora", {}, STEADY, 1e-3),
    "fp4": ("lora", {"compute_dtype": "float32", "quant_type": "fp4"}, {"gradient_checkpointing": True}, 1e-5),
    # Products are in bfloat16, and so are norms under FSDP. Codes cast to it would be others.
    "bf16": ("lora", {**EXACT, "compute_dtype": "bfloat16"}, {"bf16": True}, 4e-3),
    # These start by batches that the base has seen, or quantize it anew.
    "eva": ("lora, eva", EXACT, {}, 1e-5),
    "loftq": ("lora, loftq", EXACT, {}, 1e-5),
}
"""LoRA in further ways: the case, options of the quantizer and of ``training``, and the tolerance."""


NO_RELOAD = lambda *_: {"model": 0.0, "export": 0.0}  # noqa: E731


@dataclass
class Runs:
    """What was trained.

    Attributes:
        folder: of the runs of ``text_generation`` (``one``, ``two``, ``again``), and of methods.
        failures: what went wrong with a method in two processes, or None.
    """

    folder: Path
    failures: dict[str, str | None]


def method_runs(folder: Path) -> dict[str, MethodRun]:
    runs = {name: MethodRun(*CASES[name], folder / name, quantization=EXACT) for name in SHARDED}
    for name, (case, quantization, training, _) in WAYS.items():
        runs[name] = MethodRun(*CASES[case], folder / name, quantization=quantization, training=training)
    return runs


def written(folder: Path) -> dict[str, Any]:
    """A run of text generation on a tiny Llama in 4 bits, whose last evaluation generates."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "adapt-nlp" / "tests")
        language = importlib.import_module("tiny_language_model")
        language.write_llama(folder / "llama")
        language.write_split(folder / "facts", "prompt_completion")
        sys.modules.pop("tiny_language_model")
    return {
        "task": {"name": "text_generation", "max_seq_length": 32, "samples": 2, "sample_tokens": 8},
        "model": {"path": str(folder / "llama")},
        "dataset": {"path": str(folder / "facts")},
        "method": LORA,
        "quantization": {"name": "bnb_4bit", **EXACT},
        "save": "safetensors",
        "training": {"num_workers": 0, "logging_steps": 1, "batch_size": 4, "epochs": 2, "lr": 5e-3},
    }


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    folder = tmp_path_factory.mktemp("quantized")
    config = written(folder)
    alone = method_runs(folder / "methods of one")
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # as each process has
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(saving, "_differences", NO_RELOAD)
            adapt_core.run({**config, "output_dir": str(folder / "one")})
        assert train_all(list(alone.values()), World()) == [None] * len(alone)
    finally:
        torch.set_num_threads(before)
    fsdp = {"name": "fsdp", "state_dict_type": "FULL_STATE_DICT"}
    first = claim(plan_of(launched(config, folder / "two", fsdp)))
    again = plan_of(launched(config, folder / "again", fsdp), ["training.resume=true"])
    several = method_runs(folder / "methods")
    settings = made("fsdp").settings()  # each process writes its part of a checkpoint
    jobs = (first, again, [replace(run, world=settings) for run in several.values()])
    failures = first.launcher.make().launch(run_resume_and_train, jobs)
    yield Runs(folder, dict(zip(several, failures, strict=True)))


def result(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "result.json").read_text())
    return found


def test_a_run_in_two_processes_has_the_losses_the_adapter_and_the_texts_of_one(runs: Runs) -> None:
    one, two = runs.folder / "one", runs.folder / "two"
    assert_the_same(one, two)
    assert_the_same_end(one, two)
    assert result(two)["parameters"] == result(one)["parameters"] and result(two)["memory"] == result(one)["memory"]
    texts = [(run / "report.html").read_text().partition("Generated texts</h2>")[2] for run in (one, two)]
    assert "What colour is the sky?" in texts[0]
    assert texts[1].partition("</section>")[0] == texts[0].partition("</section>")[0]


def test_what_two_processes_saved_loads_in_a_new_one_and_the_export_is_that_of_one(runs: Runs) -> None:
    one, two = runs.folder / "one", runs.folder / "two"
    assert set(result(two)["reload_difference"]) == {"model", "export"}
    assert max(result(two)["reload_difference"].values()) < 1e-4
    exported, expected = (load_file(next((run / "export").rglob("*.safetensors"))) for run in (two, one))
    off = {name: float((exported[name] - each).abs().max()) for name, each in expected.items()}
    assert exported.keys() == expected.keys() and max(off.values()) < 1e-5, off


def test_two_processes_go_on_from_their_checkpoint_and_come_to_its_end(runs: Runs) -> None:
    assert_the_same(runs.folder / "one", runs.folder / "again")
    assert_the_same_end(runs.folder / "one", runs.folder / "again")


def test_one_process_goes_on_from_a_checkpoint_of_two_and_comes_to_its_end(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "_differences", NO_RELOAD)
    run = cut(runs.folder / "two", tmp_path / "run")
    adapt_core.run(run, ["launch.name=local", "training.batch_size=4"], resume=True)
    assert_the_same(runs.folder / "one", run)
    assert_the_same_end(runs.folder / "one", run)


@pytest.mark.parametrize("name", [*SHARDED, *WAYS])
def test_losses_and_what_is_saved_are_those_of_one_process(name: str, runs: Runs) -> None:
    assert runs.failures[name] is None
    tolerance = WAYS[name][3] if name in WAYS else 1e-5
    assert_the_same_method(runs.folder / "methods of one" / name, runs.folder / "methods" / name, tolerance)


@pytest.mark.parametrize("name", ["dora", "loftq"])
def test_one_process_goes_on_from_parts_that_two_have_written(name: str, runs: Runs, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(runs.folder / "methods" / name, folder)
    shutil.rmtree(folder / "model")
    run = method_runs(runs.folder / "methods of one")[name]
    assert train_all([replace(run, folder=folder, resume=True)], World()) == [None]
    assert_the_same_method(run.folder, folder)


@pytest.mark.parametrize("name", [*SHARDED, *WAYS])
def test_each_process_has_its_part_of_the_codes(name: str, runs: Runs) -> None:
    alone = json.loads((runs.folder / "methods of one" / name / "shares-0.json").read_text())
    assert alone and all(own == whole for own, whole in alone.values())
    for rank in (0, 1):
        shares = json.loads((runs.folder / "methods" / name / f"shares-{rank}.json").read_text())
        assert shares == {weight: [whole / 2, whole] for weight, (_, whole) in alone.items()}


@pytest.mark.parametrize(("quantizer", "refused"), [("bnb_4bit", False), ("bnb_8bit", True)])
def test_a_base_in_8_bits_is_not_sharded_and_the_refusal_says_why(
    quantizer: str, refused: bool, tmp_path: Path
) -> None:
    config = {
        "task": "text_generation",
        "model": {"path": str(tmp_path)},
        "dataset": {"path": str(tmp_path)},
        "method": "lora",
        "quantization": quantizer,
        "launch": {"name": "fsdp", "num_processes": 2},
        "output_dir": str(tmp_path / "run"),
    }
    found = [each.message for each in check(config) if each.key == "quantization"]
    message = (
        "the quantizer bnb_8bit does not make sharded models, as the launcher fsdp has them: bitsandbytes' 8-bit "
        "layers take their codes and scales from attributes of the parameter, which sharding replaces; choose "
        "launch.name: ddp, or a quantizer that does: bnb_4bit"
    )
    assert found == ([message] if refused else [])
