"""The core's toy task, which needs no package but the core."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CORE = Path(__file__).parents[2] / "adapt-core" / "tests"


def _core_module(name: str) -> Any:
    """One of the modules of the core's tests."""
    spec = importlib.util.spec_from_file_location(f"core_{name}", CORE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A configuration of the toy task on a model without dropout, for this process and those that it starts.

    250 rows of token ids, so that the last batch of 16 has 10, and 61 to evaluate on.
    """
    import random

    from transformers import BertConfig, BertForSequenceClassification, set_seed

    site = tmp_path_factory.mktemp("toy-site")
    sources = {name: (CORE / "toy" / f"{name}.py").read_text() for name in ("toy_plugin", "toy_task")}
    _core_module("fake_distributions").install(site, "toy-task", "1.0", sources, {"toy": "toy_plugin"})
    folder = tmp_path_factory.mktemp("toy")
    draw = random.Random(0)
    rows = []
    for _ in range(311):
        ids = [draw.randrange(3, 100) for _ in range(draw.randrange(4, 13))]
        rows.append({"ids": ids, "label": int(sum(each > 50 for each in ids) * 2 > len(ids))})
    (folder / "data.json").write_text(json.dumps({"train": rows[:250], "validation": rows[250:]}))
    set_seed(0)
    sizes: Any = {"vocab_size": 100, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    none: Any = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    settings = BertConfig(**sizes, **none, intermediate_size=32, max_position_embeddings=32)
    BertForSequenceClassification(settings).bert.save_pretrained(folder / "model")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        patch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
        patch.setenv("OMP_NUM_THREADS", "1")
        yield {
            "task": "toy",
            "model": {"path": str(folder / "model")},
            "dataset": {"path": str(folder / "data.json")},
            "method": {"name": "lora", "dropout": 0.0},
            "training": {"epochs": 2, "num_workers": 0, "lr": 1e-2, "logging_steps": 1, "batch_size": 8},
            "save": "none",
            "launch": {"name": "ddp", "num_processes": 2, "use_cpu": True},
        }
    for name in ("toy_plugin", "toy_task"):
        sys.modules.pop(name, None)
