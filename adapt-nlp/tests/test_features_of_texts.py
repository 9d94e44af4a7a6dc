"""Where only the head is trained, what goes into it is computed once; the weights are as without that."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import BertModel

import adapt_core
from adapt_core.errors import AdaptError, Interrupted
from adapt_core.methods.last_layer.method import LastLayer

pytestmark = pytest.mark.usefixtures("no_reload")


@pytest.fixture(scope="module")
def without_dropout(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("without") / "dropout"
    shutil.copytree(encoder, folder)
    settings = json.loads((folder / "config.json").read_text())
    settings |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture
def shapes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Rows and tokens of every pass through the encoder."""
    seen: list[tuple[int, int]] = []
    forward = BertModel.forward

    def counting(self: Any, input_ids: torch.Tensor, *args: Any, **named: Any) -> Any:
        seen.append(tuple(input_ids.shape))
        return forward(self, input_ids, *args, **named)

    monkeypatch.setattr(BertModel, "forward", counting)
    return seen


def rows_of(shapes: list[tuple[int, int]]) -> int:
    return sum(rows for rows, _ in shapes)


def changed(config: dict[str, Any], folder: Path, model: Path, cache: Any, **training: Any) -> dict[str, Any]:
    settings = {**config["training"], "lr": 1e-2, "epochs": 3, "cache_features": cache, **training}
    own = {"model": {"path": str(model)}, "method": "last_layer", "training": settings, "output_dir": str(folder)}
    return {**config, **own}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    (file,) = (folder / "model").glob("*.safetensors")
    return load_file(file)


def test_three_epochs_take_one_pass_and_give_the_same_weights(
    config: dict[str, Any], without_dropout: Path, tmp_path: Path, shapes: list[tuple[int, int]]
) -> None:
    results = {}
    counts = {}
    for cache in ("auto", False):
        shapes.clear()
        results[cache] = adapt_core.run(changed(config, tmp_path / str(cache), without_dropout, cache))
        counts[cache] = rows_of(shapes)
    assert counts["auto"] < 300 + 5 * 32 + 64  # all rows once, a few batches to try it, and the checks of what is saved
    assert counts[False] >= 3 * 300
    assert results["auto"]["metrics"] == pytest.approx(results[False]["metrics"], abs=1e-5)
    kept, ever = weights(tmp_path / "auto"), weights(tmp_path / "False")
    assert kept.keys() == ever.keys()
    for name, value in ever.items():
        assert torch.allclose(kept[name], value, atol=1e-5), name
    lines = [(tmp_path / str(cache) / "metrics.jsonl").read_text().splitlines() for cache in ("auto", False)]
    for one, other in zip(*(map(json.loads, each) for each in lines), strict=True):
        assert one == pytest.approx(other, abs=1e-4)


def test_dropout_before_the_head_keeps_it_off_until_it_is_asked_for(
    config: dict[str, Any], encoder: Path, tmp_path: Path, shapes: list[tuple[int, int]]
) -> None:
    adapt_core.run(changed(config, tmp_path / "auto", encoder, "auto"))
    assert rows_of(shapes) >= 3 * 300
    shapes.clear()
    adapt_core.run(changed(config, tmp_path / "true", encoder, True))
    assert rows_of(shapes) < 600


def test_texts_of_like_length_go_through_the_model_together(
    config: dict[str, Any], without_dropout: Path, tmp_path: Path, shapes: list[tuple[int, int]]
) -> None:
    training = {"eval_batch_size": 16, "do_eval": False}
    adapt_core.run(changed(config, tmp_path / "run", without_dropout, True, **training))
    number = math.ceil(300 / 16)
    kept = shapes[-number - 1 : -1]  # before the check of what was saved
    assert rows_of(kept) == 300
    widths = [tokens for _, tokens in kept]
    assert widths == sorted(widths)
    assert widths[0] < widths[-1]


def test_a_run_that_is_stopped_goes_on_to_the_same_weights(
    config: dict[str, Any], without_dropout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"max_steps": 40, "interval": "steps", "interval_steps": 20}
    adapt_core.run(changed(config, tmp_path / "whole", without_dropout, True, **settings))
    parts = changed(config, tmp_path / "parts", without_dropout, True, **settings)

    def interrupted(self: LastLayer, module: Any, step: int) -> None:
        if step == 25:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LastLayer, "after_step", interrupted)
        with pytest.raises(Interrupted, match="the state of step 20 is saved"):
            adapt_core.run(parts)
    adapt_core.run(parts, resume=True)
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("method", "reason"),
    [("full", "more than the model's head is trained"), ("lora", "more than the model's head is trained")],
)
def test_what_cannot_be_is_refused_where_it_is_asked_for(
    method: str, reason: str, config: dict[str, Any], encoder: Path, tmp_path: Path
) -> None:
    with pytest.raises(AdaptError, match=f"training.cache_features: {reason}"):
        adapt_core.run(changed(config, tmp_path / "run", encoder, True) | {"method": method})
