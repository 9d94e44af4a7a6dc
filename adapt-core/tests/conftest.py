"""A third party's task and a tiny model to run the whole pipeline with, without any package but the core."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_distributions import Install, install
from toy_runs import TINY

TOY = Path(__file__).parent / "toy"


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Installs the toy task, in this process and those it starts, and gives a configuration for it.

    256 training rows of 4 to 12 token ids, label 1 where ids above 50 are in the majority; a BERT of 2 layers, 16 wide,
    with dropout.
    """
    from transformers import BertConfig, BertForSequenceClassification, set_seed

    site = tmp_path_factory.mktemp("toy-site")
    modules = {name: (TOY / f"{name}.py").read_text() for name in ("toy_plugin", "toy_task")}
    install(site, "toy-task", "1.0", modules, {"toy": "toy_plugin"})
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(site)
    patch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)

    folder = tmp_path_factory.mktemp("toy")
    draw = random.Random(0)
    rows = []
    for _ in range(320):
        ids = [draw.randrange(3, 100) for _ in range(draw.randrange(4, 13))]
        rows.append({"ids": ids, "label": int(sum(each > 50 for each in ids) * 2 > len(ids))})
    (folder / "data.json").write_text(json.dumps({"train": rows[:256], "validation": rows[256:]}))
    set_seed(0)
    BertForSequenceClassification(BertConfig(**TINY)).bert.save_pretrained(folder / "model")
    yield {
        "task": "toy",
        "model": {"path": str(folder / "model")},
        "dataset": {"path": str(folder / "data.json")},
        "method": "lora",
        "training": {"epochs": 1, "num_workers": 0, "lr": 1e-3},
        "save": "none",
    }
    patch.undo()


@pytest.fixture
def toy_config(toy: dict[str, Any], tmp_path: Path) -> Any:
    """Makes a configuration of the toy task out of changes: ``toy_config(training={"lr": 1})``."""

    def make(**changes: Any) -> dict[str, Any]:
        config = {**toy, "output_dir": str(tmp_path / "run")}
        for key, value in changes.items():
            merges = isinstance(value, dict) and isinstance(config.get(key), dict)
            config[key] = {**config[key], **value} if merges else value
        return config

    return make


@pytest.fixture
def reload_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was saved is loaded and compared in this process: a new one takes many times as long."""
    from adapt_core.pipeline import saving, verify

    def here(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert command[-3] == verify.__name__
        verify.main(*command[-2:])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(saving, "subprocess", SimpleNamespace(run=here))


@pytest.fixture
def without_biases(toy_config: Any, tmp_path: Path) -> Any:
    """Makes configurations of the toy task on a model whose layers have no biases, by its type.

    The class of ``llama`` can have them where its configuration says so, that of ``qwen2`` not in every layer.
    """
    from transformers import AutoConfig, AutoModel, set_seed

    def make(kind: str, **changes: Any) -> dict[str, Any]:
        base = tmp_path / kind
        set_seed(0)
        settings = AutoConfig.for_model(kind, **TINY, num_key_value_heads=1, pad_token_id=0)
        AutoModel.from_config(settings).save_pretrained(base)
        return dict(toy_config(model={"path": str(base)}, **changes))

    return make


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for fake distributions; their modules are forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for module in set(sys.modules) - before:
        del sys.modules[module]


@pytest.fixture
def fake(site: Path) -> Install:
    """Installs fake distributions."""

    def install_here(name: str, modules: dict[str, str], point: str | None = None, version: str = "1.0") -> None:
        install(site, name, version, modules, {name: point or next(iter(modules))})

    return install_here
