"""Token classification on architectures and tokenizers of other kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_checkpoints import SIZES, WORDS, write_model, write_tokenizer

from adapt_core.api import plan_of
from adapt_core.errors import AdaptError
from adapt_nlp.windows import require_windows

INFO = {"label_names": ["A", "B", "C"], "tags": {"A": 1, "B": 2, "C": 3}, "scheme": "plain", "notices": []}

KINDS: dict[str, dict[str, Any]] = {
    "bert": SIZES,
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4},
    "llama": {**SIZES, "num_key_value_heads": 4},
    "xlnet": {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64},  # it is padded in front
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_sentence_is_tagged_alike_alone_and_in_a_batch(kind: str, tmp_path: Path) -> None:
    byte_level = kind in ("gpt2", "llama")
    special = ("<unk>", "<s>", "</s>", "<pad>")
    tokenizer = write_tokenizer(tmp_path, special, byte_level=byte_level, pad_token="<pad>", eos_token="</s>")
    write_model(tmp_path, kind, vocab_size=len(tokenizer), pad_token_id=3, **KINDS[kind])
    plan = plan_of(
        {
            "task": {"name": "token_classification", "subtask": "pos", "max_length": 12},
            "model": {"path": str(tmp_path)},
            "dataset": {"path": str(tmp_path / "config.json")},
            "method": "full",
            "output_dir": str(tmp_path / "run"),
        }
    )
    task = plan.make_task()
    model = task.load_model(INFO)
    assert model.processor.padding_side == ("left" if kind == "xlnet" else "right")
    rows = [{"tokens": list(WORDS[:count])} for count in (3, 17, 1, 9)]  # some in windows
    together = task.outputs(model, rows, INFO)
    assert [len(each) for each in together] == [3, 17, 1, 9]
    for row, expected in zip(rows, together, strict=True):
        (alone,) = task.outputs(model, [row], INFO)
        assert np.allclose(alone, expected, atol=1e-4)
    found = list(task.predict(model, rows, INFO, None))
    assert [each["tags"] for each in found] == [[INFO["label_names"][t] for t in each.argmax(-1)] for each in together]


def test_a_tokenizer_that_does_not_know_places_is_refused() -> None:
    from transformers import ByT5Tokenizer

    with pytest.raises(AdaptError, match="ByT5Tokenizer does not know where its tokens stand"):
        require_windows(ByT5Tokenizer(), size=10, overlap=2)
