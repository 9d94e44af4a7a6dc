"""Data that cannot be trained on: refused in words, with the row, before the model's weights are looked for."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny_language_model import TEMPLATE, configuration, rows, write_llama, write_rows, write_split

from adapt_core.cli.app import command_line


@pytest.fixture(scope="module")
def tokenizer_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's folder without its weights: whoever loads it fails."""
    folder = write_llama(tmp_path_factory.mktemp("model"))
    (folder / "model.safetensors").unlink()
    return folder


def chat(*turns: Any) -> dict[str, Any]:
    return {"messages": list(turns)}


HI, HELLO = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}
PAIR = {"prompt": "the sky", "completion": "blue"}

REFUSED: dict[str, tuple[list[Any], dict[str, Any], str]] = {
    # The rows, changes of the configuration, and what is said; a good row comes first, so that line 2 is the bad one.
    "no text": ([{"text": "a"}, {"text": None}], {}, r"column 'text' is empty at line 2"),
    "blank text": ([{"text": "a"}, {"text": " \n"}], {}, r"column 'text' is empty at line 2"),
    "a number for a text": ([{"text": "a"}, {"text": 7}], {}, r"not text at line 2, the first of them 7"),
    "half a surrogate": ([{"text": "a"}, {"text": "\ud83d"}], {}, r"not valid Unicode at line 2"),
    "no known column": ([{"a": "x", "b": "y"}], {}, r"no columns of a text.*The columns there are: a, b"),
    "no such column": ([{"text": "a"}], {"dataset": {"text_column": "txt"}}, r"no column 'txt'.*Did you mean 'text'"),
    "no such column for a format": (
        [{"q": "a"}],
        {"dataset": {"format_string": "{p}", "format_names": ["p"]}},
        r"no column 'p', which dataset.format_names",
    ),
    "no such format": ([{"text": "a"}], {"dataset": {"format": "chat"}}, r"no column holds a conversation"),
    "empty completion": ([PAIR, {**PAIR, "completion": ""}], {}, r"column 'completion' is empty at line 2"),
    "no completion": ([PAIR, {"prompt": "the sun"}], {}, r"column 'completion' is empty at line 2"),
    "empty prompt": ([PAIR, {**PAIR, "prompt": " "}], {}, r"column 'prompt' is empty at line 2"),
    "a prompt alone": ([{"prompt": "a"}], {"dataset": {"prompt_column": "prompt"}}, r"prompt and its completion"),
    "empty output": ([{"instruction": "a", "output": ""}], {}, r"column 'output' is empty at line 1"),
    "a list for an input": (
        [{"instruction": "a", "input": ["x"], "output": "b"}],
        {},
        r"column 'input' holds values that are not text at line 1",
    ),
    "text for a conversation": (
        [chat(HI, HELLO), {"messages": "Hi"}],
        {},
        r"holds no lists of messages, the first of them 'Hi', at line 2",
    ),
    "no turns": ([chat(HI, HELLO), chat()], {}, r"conversations without a turn, at line 2"),
    "a turn that is no message": ([chat(HI, HELLO), chat("Hi")], {}, r"no message but 'Hi': turn 1 at line 2"),
    "no role": ([chat(HI, HELLO), chat({"content": "Hi"})], {}, r"a message without a role.*: turn 1 at line 2"),
    "a role that no template knows": (
        [chat(HI, HELLO), chat(HI, {"role": "narrator", "content": "x"}), chat({"role": "narrator", "content": "x"})],
        {},
        r"no chat template knows, 'narrator': turn 2 at line 2; such turns are also at line 3",
    ),
    "an empty turn": (
        [chat(HI, HELLO), chat(HI, {**HELLO, "content": ""})],
        {},
        r"no text for assistant: turn 2 at line 2",
    ),
    "a content that is no text": ([chat(HI, {**HELLO, "content": 7})], {}, r"content is no text.*: turn 2 at line 1"),
    "an image in a turn": (
        [chat({"role": "user", "content": [{"type": "image", "url": "x"}]}, HELLO)],
        {},
        r"content is no text.*: turn 1 at line 1",
    ),
    "a call of a tool": (
        [chat(HI, {"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]})],
        {},
        r"a call of a tool, which is not read: turn 2 at line 1",
    ),
    "half a surrogate in a turn": (
        [chat(HI, {**HELLO, "content": "\ud83d"})],
        {},
        r"not valid Unicode.*turn 2 at line 1",
    ),
    "no turn of the assistant": ([chat(HI, HELLO), chat(HI)], {}, r"without a turn of the assistant.*at line 2"),
    "nothing to learn after truncation": (
        [{"prompt": "the sky " * 9, "completion": "blue"}] * 3,
        {"task": {"max_seq_length": 8, "completion_only": True}},
        r"no row has a token to learn within its first 8 tokens .* at line",
    ),
    "completions of plain texts": (
        [{"text": "a"}] * 9,
        {"task": {"completion_only": True}},
        r"plain texts, which have no",
    ),
    "no rows": ([], {}, r"(has no rows|is empty)"),
    "a single row to hold out": ([{"text": "a"}], {}, r"nothing can be held out of a single row"),
    "no such split": (
        [{"text": "a"}],
        {"dataset": {"validation_split": "dev"}},
        r"no split 'dev'.*splits there are: train",
    ),
    "too many tokens for the model": (
        [{"text": "a"}] * 9,
        {"task": {"max_seq_length": 600}},
        r"max_seq_length.*600 tokens, but the model .* has 512 positions",
    ),
    "flash attention on a CPU": (
        [{"text": "a"}] * 9,
        {"task": {"flash_attention2": True}},
        r"flash_attention2: (FlashAttention 2 needs a GPU|the package flash-attn)",
    ),
}


def refused(config: dict[str, Any], folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What a run says that must fail: its words in one line, without a traceback."""
    file = folder / "run.json"
    file.write_text(json.dumps(config))
    code = command_line(["run", str(file)])
    said = " ".join(capsys.readouterr().err.split())
    assert code in (1, 2), said
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize("case", REFUSED)
def test_data_that_cannot_be_trained_on_is_refused_in_words(
    case: str, tokenizer_alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, changes, says = REFUSED[case]
    data = write_rows(tmp_path / "rows.jsonl", made)
    said = refused(configuration(tokenizer_alone, data, tmp_path / "run", **changes), tmp_path, capsys)
    assert re.search(says, said), said
    assert not (tmp_path / "run" / "model").exists()


def test_conversations_need_a_chat_template(
    tokenizer_alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model"
    shutil.copytree(tokenizer_alone, model)
    (model / "chat_template.jinja").unlink(missing_ok=True)
    settings = json.loads((model / "tokenizer_config.json").read_text())
    settings.pop("chat_template", None)
    (model / "tokenizer_config.json").write_text(json.dumps(settings))
    data = write_rows(tmp_path / "rows.jsonl", rows("chat"))
    config = configuration(model, data, tmp_path / "run")
    assert "has no chat template to write them with" in refused(config, tmp_path, capsys)

    (tmp_path / "chat.jinja").write_text(TEMPLATE)
    config["dataset"]["chat_template"] = str(tmp_path / "chat.jinja")
    said = refused(config, tmp_path, capsys)
    assert "model" in said and "cannot be loaded" in said, "the data are good now, and the weights are missing"
    config["dataset"]["path"] = str(write_rows(tmp_path / "texts.jsonl", rows("text")))
    assert "dataset.chat_template: the data are no conversations" in refused(config, tmp_path, capsys)


def test_a_validation_split_is_held_to_the_same(
    tokenizer_alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_split(tmp_path / "data", "prompt_completion")
    write_rows(data / "validation.jsonl", [PAIR, {**PAIR, "completion": ""}])
    said = refused(configuration(tokenizer_alone, data, tmp_path / "run"), tmp_path, capsys)
    assert "validation.jsonl: column 'completion' is empty at line 2" in said
