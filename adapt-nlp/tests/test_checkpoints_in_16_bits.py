"""Checkpoints that are stored in 16 bits, as most are, train as the same values in 32 bits do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@pytest.fixture(scope="session")
def stored(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Path]]:
    """Two checkpoints of one encoder with the same values: in a precision of 16 bits, and in float32."""
    from transformers import AutoModel

    def write(name: str) -> tuple[Path, Path]:
        folder = tmp_path_factory.mktemp(name)
        for place, dtype in (("half", HALVES[name]), ("float", torch.float32)):
            shutil.copytree(encoder, folder / place, ignore=shutil.ignore_patterns("*.safetensors", "config.json"))
            AutoModel.from_pretrained(encoder).to(HALVES[name]).to(dtype).save_pretrained(folder / place)
        return folder / "half", folder / "float"

    return write


def saved_dtypes(folder: Path) -> set[torch.dtype]:
    return {each.dtype for file in folder.glob("*.safetensors") for each in load_file(file).values()}


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("method", ["full", "last_layer", "lora", "bitfit", "ssf"])
def test_a_run_ends_with_the_metrics_and_weights_of_one_in_32_bits(
    method: str, half: str, stored: Any, quick: Any, tmp_path: Path
) -> None:
    found = []
    for place in stored(half):
        result = quick(model={"path": str(place)}, method={"name": method}, training={"lr": 2e-5})
        weights = {
            name: each
            for file in sorted((tmp_path / "quick" / "model").glob("*.safetensors"))
            for name, each in load_file(file).items()
        }
        found.append((result["metrics"], weights))
        assert saved_dtypes(tmp_path / "quick" / "model") == {torch.float32}
    (metrics, weights), (expected, plain) = found
    assert metrics == expected
    assert weights.keys() == plain.keys()
    assert all(torch.equal(weights[name], plain[name]) for name in weights)


def test_full_fine_tuning_moves_nearly_every_weight(stored: Any, quick: Any, tmp_path: Path) -> None:
    """At this rate 9 in 10 updates of a weight in bfloat16 would round away."""
    place, _ = stored("bfloat16")
    quick(model={"path": str(place)}, training={"lr": 2e-5})
    before, after = load_file(place / "model.safetensors"), load_file(tmp_path / "quick/model/model.safetensors")
    blocks = [name for name in before if "layer." in name and "weight" in name]
    moved = sum(int((before[name].float() != after[f"bert.{name}"]).sum()) for name in blocks)
    assert moved > 0.95 * sum(before[name].numel() for name in blocks)


def test_the_run_says_so_and_what_it_takes(stored: Any, quick: Any, capsys: pytest.CaptureFixture[str]) -> None:
    half, plain = stored("bfloat16")
    quick(model={"path": str(half)})
    said = capsys.readouterr().err
    assert "half is stored in bfloat16. It is loaded in float32 and takes" in said.replace("\n", " ")
    quick(model={"path": str(plain)})
    assert "is stored in" not in capsys.readouterr().err


def test_autocast_goes_on_top(stored: Any, quick: Any, tmp_path: Path) -> None:
    place, _ = stored("bfloat16")
    quick(model={"path": str(place)}, training={"bf16": True})
    assert saved_dtypes(tmp_path / "quick" / "model") == {torch.float32}
