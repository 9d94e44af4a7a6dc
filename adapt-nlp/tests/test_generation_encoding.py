"""Texts as tokens and labels: what is learnt, what pads, and what is cut."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import pytest
import torch
from tiny_language_model import MARKED, TEMPLATE, write_tokenizer
from transformers import PreTrainedTokenizerFast

from adapt_core.errors import AdaptError
from adapt_nlp.text_generation.chat import ChatWriter
from adapt_nlp.text_generation.encoding import IGNORED, EncodedTexts, encode
from adapt_nlp.text_generation.packing import Collation, packed

TURNS = [
    {"role": "system", "content": "Be short."},
    {"role": "user", "content": "What colour is the sky?"},
    {"role": "assistant", "content": "It is blue."},
    {"role": "user", "content": "What colour is the sun?"},
    {"role": "assistant", "content": "It is yellow."},
]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    return write_tokenizer(tmp_path_factory.mktemp("tokenizer"))


def encoded(tokenizer: Any, *examples: dict[str, Any], limit: int = 64, only: bool = False) -> EncodedTexts:
    return encode(tokenizer, examples, limit, completion_only=only, place=lambda rows: f"rows {rows}", source="data")


def learnt(tokenizer: Any, rows: EncodedTexts, row: int = 0) -> list[str]:
    """The runs of a row that are learnt; its first token is predicted from nothing."""
    tokens = zip(rows.input_ids[row][1:], rows.labels[row][1:], strict=True)
    runs = [(mine, [token for token, _ in run]) for mine, run in groupby(tokens, key=lambda pair: pair[1] != IGNORED)]
    return [tokenizer.decode(run) for mine, run in runs if mine]


def test_a_text_begins_as_the_tokenizer_has_it_and_ends_with_its_end(tokenizer: Any) -> None:
    rows = encoded(tokenizer, {"text": "the sky"})
    assert rows.input_ids[0] == [1, *tokenizer("the sky", add_special_tokens=False)["input_ids"], 2]
    assert rows.labels == rows.input_ids
    assert rows.learnt == len(rows.input_ids[0]) - 1, "the first token is predicted from nothing"


def test_a_completion_alone_is_learnt_on_demand(tokenizer: Any) -> None:
    example = {"prompt": "What colour is the sky?\n", "completion": "It is blue."}
    assert learnt(tokenizer, encoded(tokenizer, example, only=True)) == ["It is blue.</s>"]
    assert learnt(tokenizer, encoded(tokenizer, example)) == ["What colour is the sky?\nIt is blue.</s>"]
    ids = encoded(tokenizer, example, only=True).input_ids[0]
    assert ids == encoded(tokenizer, example).input_ids[0]
    prompt = tokenizer("What colour is the sky?\n")["input_ids"]
    assert ids[: len(prompt)] == prompt, "a model has seen just this when it is given the prompt"


@pytest.mark.parametrize("template", [TEMPLATE, MARKED])
def test_the_assistants_turns_alone_are_learnt_on_demand(tokenizer: Any, template: str) -> None:
    """Told by the template's marks, or by the places of turns: both give the same."""
    tokenizer.chat_template = template
    rows = encoded(tokenizer, {"messages": TURNS}, limit=200, only=True)
    assert learnt(tokenizer, rows) == ["It is blue.</s>", "It is yellow.</s>"]
    assert rows.input_ids == encoded(tokenizer, {"messages": TURNS}, limit=200).input_ids
    assert tokenizer.decode(rows.input_ids[0]) == (
        "<|system|>Be short.<|user|>What colour is the sky?<|assistant|>It is blue.</s>"
        "<|user|>What colour is the sun?<|assistant|>It is yellow.</s>"
    )


def test_a_template_that_trl_knows_is_marked_by_trl(tokenizer: Any) -> None:
    from trl.chat_template_utils import qwen3_chat_template

    tokenizer.chat_template = qwen3_chat_template
    write = ChatWriter(tokenizer, completion_only=True)
    assert "generation" in str(write.marked)
    ids, own = write(TURNS)
    said = tokenizer.decode([token for token, mine in zip(ids, own, strict=True) if mine])
    assert "It is blue.<|im_end|>" in said and "It is yellow.<|im_end|>" in said and "colour" not in said


def test_a_template_that_writes_a_turn_otherwise_when_others_follow_is_refused(tokenizer: Any) -> None:
    tokenizer.chat_template = TEMPLATE.replace(
        "{{ message['content'] }}", "{{ message['content'] if loop.last else message['content'] | upper }}"
    )
    with pytest.raises(AdaptError, match=r"conversation at rows \[0\] cannot be written: .* turn 3 in another way"):
        encoded(tokenizer, {"messages": TURNS}, only=True)
    assert encoded(tokenizer, {"messages": TURNS}, limit=200).learnt > 0, "all of it can be learnt"


def test_what_a_template_refuses_is_said_with_its_row(tokenizer: Any) -> None:
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('No system turns.') }}{% endif %}"
        "{{ m['content'] }}{% endfor %}"
    )
    with pytest.raises(AdaptError, match=r"at rows \[1\] cannot be written: the chat template refuses it: No system"):
        encoded(tokenizer, {"messages": TURNS[1:]}, {"messages": TURNS})


def test_rows_without_a_token_to_learn_are_left_out_and_counted(tokenizer: Any) -> None:
    long = {"prompt": "the sky " * 20, "completion": "blue"}
    short = {"prompt": "the sky\n", "completion": "blue"}
    rows = encoded(tokenizer, long, short, long, limit=12, only=True)
    assert (rows.numbers, rows.left_out, len(rows)) == ([1], [0, 2], 1)
    assert encoded(tokenizer, long, short, limit=12).cut == 1
    assert encoded(tokenizer, long, limit=12).lengths == [12]
    with pytest.raises(AdaptError, match=r"no row has a token to learn within its first 12 tokens .* at rows \[0, 1\]"):
        encoded(tokenizer, long, long, limit=12, only=True)


def test_padding_is_not_learnt_and_the_end_is_though_both_are_one_token(tokenizer: Any) -> None:
    assert tokenizer.pad_token is None
    rows = encoded(tokenizer, {"text": "the sky"}, {"text": "the sky is blue and the grass is green"})
    end = tokenizer.eos_token_id
    batch = Collation(end, layout="padded", takes=None)([rows[0], rows[1]])
    size = rows.lengths[0]
    assert batch["labels"][0, size - 1] == end
    assert (batch["labels"][0, size:] == IGNORED).all() and (batch["input_ids"][0, size:] == end).all()
    assert (batch["attention_mask"].sum(-1) == torch.tensor(rows.lengths)).all()


def test_packed_rows_hold_every_token_once_and_whole_texts(tokenizer: Any) -> None:
    examples = [{"text": "the sky is blue " * (1 + row % 4)} for row in range(9)]
    rows = encoded(tokenizer, *examples, limit=40)
    made = packed(rows, 40)
    assert len(made) < len(rows)
    pieces = []
    for row in made:
        assert len(row["input_ids"]) == sum(row["seq_lengths"]) <= 40
        start = 0
        for length in row["seq_lengths"]:
            pieces.append(row["input_ids"][start : start + length])
            start += length
    assert sorted(pieces) == sorted(rows.input_ids)
    for layout in ("packed", "flat"):
        batch = Collation(0, layout=layout, takes=None)([made[0], made[-1]])
        starts = batch["position_ids"] == 0
        padding = batch["input_ids"].numel() - sum(made[0]["seq_lengths"]) - sum(made[-1]["seq_lengths"])
        assert int(starts.sum()) == len(made[0]["seq_lengths"]) + len(made[-1]["seq_lengths"]) + padding
        assert (batch["labels"][starts] == IGNORED).all(), "no text's first word is learnt from another's last"
        assert "attention_mask" not in batch and batch["use_cache"] is False
        assert batch["input_ids"].shape[0] == {"packed": 2, "flat": 1}[layout]
