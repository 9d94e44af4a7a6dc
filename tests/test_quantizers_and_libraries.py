"""A quantizer works with the libraries that it names: bitsandbytes with transformers, and not with timm."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapt_core.errors import ConfigError
from adapt_core.plan import build_plan


@pytest.mark.parametrize("quantizer", ["bnb_4bit", "bnb_8bit"])
def test_bitsandbytes_refuses_timm(quantizer: str, tmp_path: Path) -> None:
    config = {
        "task": "image_classification",
        "model": {"path": str(tmp_path)},
        "dataset": {"path": str(tmp_path)},
        "method": "lora",
        "quantization": quantizer,
        "output_dir": str(tmp_path / "run"),
    }
    with pytest.raises(ConfigError, match=r"works with models from transformers, and this one is from timm"):
        build_plan(config)
    build_plan({**config, "model": {**config["model"], "library": "transformers"}})
