"""A mixture of experts is classified with, and the run says what of it is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny_checkpoints import SIZES, write_model, write_tokenizer


@pytest.mark.parametrize("method", [{"name": "lora"}, {"name": "lora", "target_parameters": ["mlp.experts.down_proj"]}])
def test_the_run_says_that_experts_get_no_update(
    method: dict[str, Any], quick: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experts = {"num_key_value_heads": 2, "num_local_experts": 4, "num_experts_per_tok": 2, "eos_token_id": 2}
    write_model(tmp_path / "base", "mixtral", vocab_size=60, **SIZES, **experts)
    write_tokenizer(tmp_path / "base", eos_token="</s>")
    asked = {"target_modules": "all-linear", "dropout": 0.0} if len(method) > 1 else {}
    quick(model={"path": str(tmp_path / "base")}, method={**method, **asked})
    said = " ".join(capsys.readouterr().err.split())
    assert ("method.target_parameters: [mlp.experts.gate_up_proj, mlp.experts.down_proj]" in said) is (not asked)
