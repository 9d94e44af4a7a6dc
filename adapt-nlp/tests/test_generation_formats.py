"""What a row holds is told by its columns, and read as the hub's well-known sets have it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from adapt_core.errors import UsageError
from adapt_nlp.data.table import Table
from adapt_nlp.text_generation.formats import find_columns
from adapt_nlp.text_generation.inputs import read_inputs
from adapt_nlp.text_generation.options import TextGenerationData, TextGenerationOptions

TURNS = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]


def table(row: dict[str, Any]) -> Table:
    return Table("rows.jsonl", {name: [value] for name, value in row.items()}, 1, [1])


def read(row: dict[str, Any], **options: Any) -> Any:
    given = TextGenerationData(path="rows.jsonl", **options)
    columns = find_columns(table(row), given)
    return columns.format, columns.examples(table(row))[0]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"text": "Once"}, ("text", {"text": "Once"})),
        ({"id": 7, "content": "Once"}, ("text", {"text": "Once"})),
        ({"prompt": "One", "completion": " two"}, ("prompt_completion", {"prompt": "One", "completion": " two"})),
        ({"question": "One?", "answer": "two"}, ("prompt_completion", {"prompt": "One?\n", "completion": "two"})),
        ({"problem": "One:\n", "solution": "two"}, ("prompt_completion", {"prompt": "One:\n", "completion": "two"})),
        ({"input": "One", "output": "two"}, ("prompt_completion", {"prompt": "One\n", "completion": "two"})),
        ({"messages": TURNS}, ("chat", {"messages": TURNS})),
        (
            {"id": "a", "conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]},
            ("chat", {"messages": TURNS}),
        ),
        (
            {"conversations": [{"from": None, "value": None, **turn} for turn in TURNS]},
            ("chat", {"messages": TURNS}),
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}, TURNS[1]]},
            ("chat", {"messages": TURNS}),
        ),
        # UltraChat has the first turn beside the conversation.
        ({"prompt": "Hi", "messages": TURNS}, ("chat", {"messages": TURNS})),
    ],
)
def test_a_format_is_told_by_its_columns(row: dict[str, Any], expected: Any) -> None:
    assert read(row) == expected


INSTRUCTION = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\nAdd.\n\n### Response:\n"
)
WITH_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\nAdd.\n\n### Input:\n1 and 2\n\n### Response:\n"
)


@pytest.mark.parametrize(
    ("row", "prompt"),
    [
        ({"instruction": "Add.", "input": "1 and 2", "output": "3", "text": "all of it"}, WITH_INPUT),  # Alpaca
        ({"instruction": "Add.", "input": "", "output": "3"}, INSTRUCTION),
        ({"instruction": "Add.", "input": None, "output": "3"}, INSTRUCTION),
        ({"instruction": "Add.", "output": "3"}, INSTRUCTION),
        ({"instruction": "Add.", "context": "1 and 2", "response": "3", "category": "x"}, WITH_INPUT),  # Dolly
    ],
)
def test_an_instruction_is_written_as_alpaca_has_it(row: dict[str, Any], prompt: str) -> None:
    assert read(row) == ("instruction", {"prompt": prompt, "completion": "3"})


@pytest.mark.parametrize(
    ("row", "options", "expected"),
    [
        ({"text": "a", "story": "b"}, {"text_column": "story"}, ("text", {"text": "b"})),
        ({"prompt": "a", "completion": "b", "text": "c"}, {"format": "text"}, ("text", {"text": "c"})),
        (
            {"ask": "a", "say": "b"},
            {"prompt_column": "ask", "completion_column": "say", "separator": " => "},
            ("prompt_completion", {"prompt": "a => ", "completion": "b"}),
        ),
        (
            {"todo": "Add.", "about": "1 and 2", "done": "3"},
            {"prompt_column": "todo", "input_column": "about", "completion_column": "done"},
            ("instruction", {"prompt": WITH_INPUT, "completion": "3"}),
        ),
        ({"talk": TURNS}, {"messages_column": "talk"}, ("chat", {"messages": TURNS})),
        (
            {"q": "a", "a": "b"},
            {"format_string": "Q: {q} A: {a}", "format_names": ["q", "a"]},
            ("text", {"text": "Q: a A: b"}),
        ),
        (
            {"q": "a", "hint": "h", "a": "b"},
            {"format_string": "{} ({})", "format_names": ["q", "hint"], "completion_column": "a"},
            ("prompt_completion", {"prompt": "a (h)\n", "completion": "b"}),
        ),
    ],
)
def test_columns_and_formats_can_be_named(row: dict[str, Any], options: dict[str, Any], expected: Any) -> None:
    assert read(row, **options) == expected


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"text_column": "a", "messages_column": "b"}, "belong to different formats"),
        ({"format": "text", "prompt_column": "a"}, "prompt_column is no column of the format text"),
        ({"prompt_column": "a", "completion_column": "a"}, "'a' is given twice"),
        ({"format_string": "{a}", "format_names": ["a"], "text_column": "b"}, "remove it, or text_column"),
        ({"format_string": "{a}", "format_names": ["a"], "completion_column": "a"}, "the column of the completion"),
        ({"format_string": "{a}", "format_names": ["a"], "format": "chat"}, "makes plain text"),
        ({"text_column": "a", "separator": " "}, "of which this format has none"),
    ],
)
def test_columns_that_do_not_belong_together_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        TextGenerationData(path="rows.jsonl", **options)


def test_two_ways_without_padding_are_one_too_many() -> None:
    with pytest.raises(ValidationError, match="remove padding_free"):
        TextGenerationOptions(packing=True, padding_free=True)


def test_what_is_given_to_go_on_from_is_written_as_the_training_data_were(tmp_path: Any) -> None:
    def rows(row: dict[str, Any], *texts: str, **options: Any) -> Any:
        columns = find_columns(table(row), TextGenerationData(path="rows.jsonl", **options)).as_dict()
        return read_inputs(texts, None, columns)

    assert rows({"text": "a"}, "Once") == [{"prompt": "Once"}]
    assert rows({"question": "a?", "answer": "b"}, "Why?") == [{"prompt": "Why?\n"}]
    assert rows({"instruction": "a", "output": "b"}, "Add.") == [{"prompt": INSTRUCTION}]
    assert rows({"messages": TURNS}, "Hi") == [{"messages": TURNS[:1]}]
    spoken = '[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "no"}]'
    assert rows({"messages": TURNS}, spoken) == [{"messages": TURNS[:1]}]

    file = tmp_path / "prompts.jsonl"
    columns = find_columns(table({"instruction": "a", "input": "x", "output": "b"}), TextGenerationData(path="r"))
    file.write_text('{"instruction": "Add.", "input": "1 and 2", "n": 1}\n')
    assert read_inputs([], file, columns.as_dict())[0]["prompt"] == WITH_INPUT
    file.write_text('{"instruction": "Add."}\n')
    assert read_inputs([], file, columns.as_dict()) == [{"prompt": INSTRUCTION, "columns": {"instruction": "Add."}}]
    file.write_text('{"prompt": "Add."}\n')
    assert read_inputs([], file, columns.as_dict())[0]["prompt"] == INSTRUCTION
    plain = find_columns(table({"q": "a"}), TextGenerationData(path="r", format_string="{q}", format_names=["q"]))
    assert read_inputs([], file, plain.as_dict())[0]["prompt"] == "Add."
    chat = find_columns(table({"messages": TURNS}), TextGenerationData(path="r"))
    assert read_inputs([], file, chat.as_dict())[0]["messages"] == [{"role": "user", "content": "Add."}]
    (tmp_path / "a.txt").write_text("One\nTwo\n")
    assert [row["prompt"] for row in read_inputs([], tmp_path / "a.txt", plain.as_dict())] == ["One", "Two"]
    file.write_text('{"other": "Add."}\n')
    for wanted, says in ((columns, "neither the column instruction"), (plain, "no column named prompt or text")):
        with pytest.raises(UsageError, match=says):
            read_inputs([], file, wanted.as_dict())
    with pytest.raises(UsageError, match="nothing to go on from"):
        read_inputs([], None, plain.as_dict())
