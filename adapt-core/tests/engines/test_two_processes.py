"""Two processes train as one does: the same loss at every step, and one stops when the other is told to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_distributions import install
from toy_runs import TINY, losses

import adapt_core

pytestmark = pytest.mark.slow

TWINS = Path(__file__).parents[1] / "twins"
LORA = {"name": "lora", "dropout": 0.0}


@pytest.fixture(scope="module")
def twins(toy: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Installs the launcher, and gives a configuration of the toy task on a model without dropout.

    250 training rows: the last batch of 16 has 10. 61 evaluation rows.
    """
    from transformers import BertConfig, BertForSequenceClassification, set_seed

    site = tmp_path_factory.mktemp("twins-site")
    modules = {name: (TWINS / f"{name}.py").read_text() for name in ("twins_plugin", "twins_launcher")}
    install(site, "twins", "1.0", modules, {"twins": "twins_plugin"})
    folder = tmp_path_factory.mktemp("twins")
    data = json.loads(Path(toy["dataset"]["path"]).read_text())
    (folder / "data.json").write_text(json.dumps({"train": data["train"][:250], "validation": data["validation"][:61]}))
    set_seed(0)
    settings = BertConfig(**TINY, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    BertForSequenceClassification(settings).bert.save_pretrained(folder / "model")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        patch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
        patch.setenv("OMP_NUM_THREADS", "1")
        yield {
            **toy,
            "model": {"path": str(folder / "model")},
            "dataset": {"path": str(folder / "data.json")},
            "method": LORA,
            "training": {"epochs": 2, "num_workers": 0, "lr": 1e-2, "logging_steps": 1},
        }


def changed(config: dict[str, Any], folder: Path, **changes: Any) -> dict[str, Any]:
    made = {**config, "output_dir": str(folder), **changes}
    made["training"] = {**config["training"], **changes.get("training", {})}
    return made


@pytest.mark.parametrize("group", [1, 2], ids=["every batch a step", "two batches a step"])
def test_the_loss_is_that_of_one_process_at_every_step(twins: dict[str, Any], tmp_path: Path, group: int) -> None:
    """The uneven last batches included; so are the evaluation, and the rows counted."""
    one = {"batch_size": 16, "gradient_accumulation_steps": group}
    two = {"batch_size": 8, "gradient_accumulation_steps": group}
    alone = adapt_core.run(changed(twins, tmp_path / "one", training=one))
    both = adapt_core.run(changed(twins, tmp_path / "two", training=two, launch="twins"))
    expected, found = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert [line["step"] for line in found] == [line["step"] for line in expected]
    assert len(found) == 32 // group
    for line, other in zip(expected, found, strict=True):
        assert other["loss"] == pytest.approx(line["loss"], abs=2e-5), f"step {line['step']}"
    for name, value in alone["metrics"].items():
        assert both["metrics"][name] == pytest.approx(value, abs=2e-5), name
    environment = json.loads((tmp_path / "two" / "environment.json").read_text())
    assert environment["world"] == {"processes": 2, "backend": "gloo"}


def test_a_batch_with_fewer_rows_than_processes_counts_them_once(twins: dict[str, Any], tmp_path: Path) -> None:
    """The second process stands by with a row that does not count."""
    folder = tmp_path / "data.json"
    data = json.loads(Path(twins["dataset"]["path"]).read_text())
    folder.write_text(json.dumps({"train": data["train"][:17], "validation": data["validation"][:3]}))
    dataset = {"path": str(folder)}
    alone = adapt_core.run(changed(twins, tmp_path / "one", dataset=dataset, training={"batch_size": 8}))
    both = adapt_core.run(changed(twins, tmp_path / "two", dataset=dataset, training={"batch_size": 4}, launch="twins"))
    assert both["metrics"] == pytest.approx(alone["metrics"], abs=2e-5)
    for line, other in zip(losses(tmp_path / "one"), losses(tmp_path / "two"), strict=True):
        assert other["loss"] == pytest.approx(line["loss"], abs=2e-5), f"step {line['step']}"


@pytest.mark.parametrize("told", ["the parent", "the second process"])
def test_a_signal_to_any_process_stops_all_with_a_checkpoint(twins: dict[str, Any], tmp_path: Path, told: str) -> None:
    long = {"epochs": 40, "batch_size": 8, "interval": "steps", "interval_steps": 20, "do_eval": False}
    config = changed(twins, tmp_path / "run", training=long, launch="twins")
    (tmp_path / "config.json").write_text(json.dumps(config))
    process = subprocess.Popen(
        [sys.executable, "-m", "adapt_core.cli", "run", str(tmp_path / "config.json")],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 300
    while not list((tmp_path / "run").glob("checkpoints/*/complete.json")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    workers = [pid for pid in children if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]
    assert len(workers) == 2
    os.kill(process.pid if told == "the parent" else int(workers[1]), signal.SIGTERM)
    _, shown = process.communicate(timeout=120)
    assert process.returncode == 130, shown[-3000:]
    steps = sorted(
        int(each.parent.name.split("-")[1]) for each in (tmp_path / "run").glob("checkpoints/*/complete.json")
    )
    assert steps and steps[-1] < 640
    assert f"step {steps[-1]}" in " ".join(shown.split())
