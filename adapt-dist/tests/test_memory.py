"""What the weights of a base take in memory does not grow with the processes of a machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jobs
import pytest

from adapt_dist.fsdp_options import FsdpOptions
from adapt_dist.launcher import Fsdp


@pytest.mark.slow
def test_no_process_but_the_main_one_has_room_for_weights_that_are_to_be_sharded(tmp_path: Path) -> None:
    """Where each is to have all of them, they are mapped from the file, in memory that all processes share."""
    from transformers import BertConfig, BertModel

    sizes: Any = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    for name, vocabulary in (("small", 8), ("base", 200_000)):
        BertModel(BertConfig(vocab_size=vocabulary, **sizes)).save_pretrained(tmp_path / name)
    size = (tmp_path / "base" / "model.safetensors").stat().st_size
    launcher: Any = Fsdp(FsdpOptions(num_processes=2, use_cpu=True))
    replicated, sharded = launcher.launch(jobs.memory_of_a_base, (str(tmp_path / "small"), str(tmp_path / "base")))
    assert [there for _, there in replicated] == [True, True]
    assert [there for _, there in sharded] == [True, False]
    assert max(own for own, _ in (*replicated, *sharded)) < size / 4
