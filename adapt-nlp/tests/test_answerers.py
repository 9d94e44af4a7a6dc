"""Question answering on architectures and tokenizers of other kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_checkpoints import SIZES, WORDS, write_model, write_tokenizer

from adapt_core.api import plan_of
from adapt_core.bundles import Data
from adapt_nlp.question_answering.options import QuestionAnsweringPrediction
from adapt_nlp.question_answering.questions import Questions

INFO = {"unanswerable": True, "notices": [], "answers": {"without": 1}}
ROBERTA = {"max_position_embeddings": 40, "pad_token_id": 3}  # 36 of use: it counts from behind the padding token
KINDS: dict[str, dict[str, Any]] = {
    "bert": SIZES,
    "roberta": {**SIZES, **ROBERTA},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4},
    "llama": {**SIZES, "num_key_value_heads": 4},
    "xlnet": {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64},  # it is padded in front
    "bart": {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64,
             "encoder_attention_heads": 4, "decoder_attention_heads": 4, "decoder_start_token_id": 2},
}  # fmt: skip


def made(kind: str, folder: Path) -> tuple[Any, Any]:
    """The task and a tiny model of a kind, which reads windows of 20 tokens."""
    byte_level = kind in ("gpt2", "llama")
    special = ("<unk>", "<s>", "</s>", "<pad>")
    template = None if byte_level else "$A <s>" if kind == "xlnet" else "<s> $A </s>"
    names = {} if byte_level else {"cls_token": "<s>"}
    tokenizer = write_tokenizer(
        folder, special, template, byte_level, pad_token="<pad>", eos_token="</s>", bos_token="<s>", **names
    )
    write_model(folder, kind, **{"vocab_size": len(tokenizer), "pad_token_id": 3, **KINDS[kind]})
    plan = plan_of(
        {
            "task": {"name": "question_answering", "max_length": 20, "doc_stride": 3},
            "model": {"path": str(folder)},
            "dataset": {"path": str(folder / "config.json")},
            "method": "full",
            "output_dir": str(folder / "run"),
        }
    )
    task = plan.make_task()
    torch.manual_seed(1)
    return task, task.load_model(INFO)


@pytest.mark.parametrize("kind", KINDS)
def test_a_question_is_answered_alike_alone_and_in_a_batch(kind: str, tmp_path: Path) -> None:
    task, model = made(kind, tmp_path)
    assert model.processor.padding_side == ("left" if kind == "xlnet" else "right")
    contexts = [" ".join(WORDS[:count]) for count in (3, 17, 1, 9)]  # some in windows
    rows = [{"question": "song", "context": context} for context in contexts]
    together = task.outputs(model, rows, INFO)
    for row, expected in zip(rows, together, strict=True):
        (alone,) = task.outputs(model, [row], INFO)
        assert np.allclose(alone, expected, atol=1e-4)
    options = QuestionAnsweringPrediction(n_best=20, null_threshold=1e6)
    for context, found in zip(contexts, task.predict(model, rows, INFO, options), strict=True):
        assert found["n_best"]
        for each in found["n_best"]:
            assert context[each["start"] : each["end"]] == each["answer"].strip() != ""


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_of_a_batch_is_that_of_its_windows(kind: str, tmp_path: Path) -> None:
    task, model = made(kind, tmp_path)
    contexts = [" ".join(WORDS[:count]) for count in (3, 17, 9)]
    answers = [[(0, 4)], [(contexts[1].index("cheese"), contexts[1].index("cheese") + 6)], []]
    rows = Questions(["song"] * 3, contexts, answers)
    inputs = task.engine_inputs(Data(rows, None, {**INFO, "unanswerable": True}), model)
    windows = [inputs.train[number] for number in range(len(inputs.train))]
    model.module.eval()
    with torch.no_grad():
        batch = inputs.collate(windows)
        together = float(inputs.step(model.module, batch)["loss"])
        # Without padding, it is what transformers computes.
        alone = [float(model.module(**inputs.collate([window])).loss) for window in windows]
    assert together == pytest.approx(np.mean(alone), rel=1e-4)
    # The places are those of the answers' own tokens.
    for line, window in enumerate(windows):
        first, last = int(batch["start_positions"][line]), int(batch["end_positions"][line])
        assert batch["input_ids"][line, first : last + 1].tolist() == window["input_ids"][
            window["start_positions"] : window["end_positions"] + 1
        ]  # fmt: skip
    first, last = int(batch["start_positions"][0]), int(batch["end_positions"][0])
    assert model.processor.decode(batch["input_ids"][0, first : last + 1]).strip() == "rain"
