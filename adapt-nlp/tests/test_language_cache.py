"""Rows in the cache: found again by what they are made of, never half written, and read from Arrow files."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tiny_language_model import rows as facts
from tiny_language_model import write_rows
from tiny_language_model import write_tokenizer as write_language_tokenizer
from transformers import AutoTokenizer

import adapt_core
from adapt_core.errors import AdaptError
from adapt_nlp.data.cache import MANIFEST, Cache
from adapt_nlp.data.options import TextDataOptions
from adapt_nlp.data.preprocessing import Preprocessing
from adapt_nlp.data.source import open_source
from adapt_nlp.data.views import Picked, View
from adapt_nlp.question_answering.encoding import encode_rows as encode_questions
from adapt_nlp.question_answering.questions import Questions
from adapt_nlp.text_classification.data import load_classification_data
from adapt_nlp.text_classification.encoding import EncodedRows, encode
from adapt_nlp.text_classification.options import TextClassificationData
from adapt_nlp.text_generation.encoding import encode as encode_texts
from adapt_nlp.text_generation.encoding import encode_rows as encode_all_texts
from adapt_nlp.text_generation.packing import packed
from adapt_nlp.token_classification.data import load_tagged_data
from adapt_nlp.token_classification.encoding import encode as encode_sentences
from adapt_nlp.token_classification.encoding import encode_rows as encode_all_sentences
from adapt_nlp.token_classification.options import TokenClassificationData


def options(path: Path, cache: Path, **values: Any) -> TextClassificationData:
    return TextClassificationData.model_validate({"path": str(path), "cache_dir": str(cache), **values})


def encoded(path: Path, cache: Path, encoder: Path, length: int = 16, **values: Any) -> EncodedRows:
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    tokenizer.model_max_length = length
    chosen = options(path, cache, **values)
    return encode(tokenizer, load_classification_data(chosen, 1).train, Preprocessing(chosen), "training rows")


def entries(cache: Path, kind: str) -> list[Path]:
    return sorted(cache.glob(f"{kind}-*[!k]"))  # not their locks


def as_lists(rows: Any) -> list[Any]:
    return [rows[row] for row in range(len(rows))]


# ---- what an entry is found by --------------------------------------------------------------------------------


def test_rows_are_found_by_their_content_the_tokenizer_and_the_options(
    encoder: Path, texts: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    first = as_lists(encoded(texts, cache, encoder))
    (entry,) = entries(cache, "encoded")
    made = entry.stat().st_mtime_ns
    moved = tmp_path / "moved.csv"
    moved.write_bytes(texts.read_bytes())
    assert as_lists(encoded(moved, cache, encoder)) == first
    assert (entries(cache, "encoded"), entry.stat().st_mtime_ns) == ([entry], made), "wherever the file lies"
    encoded(texts, cache, encoder, length=8)
    assert len(entries(cache, "encoded")) == 2, "texts are cut earlier"
    encoded(texts, cache, encoder, max_train_samples=20)
    assert len(entries(cache, "encoded")) == 3, "of fewer rows"
    with moved.open("a") as file:
        file.write("snow,weather\n")
    assert len(encoded(moved, cache, encoder)) > len(first)
    assert (len(entries(cache, "encoded")), len(entries(cache, "rows"))) == (4, 2), "the file has another row"
    other = tmp_path / "tokenizer"
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    tokenizer.add_tokens(["thesun"])
    tokenizer.save_pretrained(other)
    encoded(texts, cache, other)
    assert len(entries(cache, "encoded")) == 5, "another tokenizer"


@pytest.mark.parametrize("damage", ["flipped", "cut", "missing", "manifest", "half a manifest"])
def test_a_damaged_entry_is_made_anew(encoder: Path, texts: Path, tmp_path: Path, damage: str) -> None:
    cache = tmp_path / "cache"
    first = as_lists(encoded(texts, cache, encoder))
    for kind in ("rows", "encoded"):
        (entry,) = entries(cache, kind)
        file, manifest = entry / "rows.arrow", entry / MANIFEST
        content = file.read_bytes()
        if damage == "flipped":
            middle = len(content) // 2
            file.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        elif damage == "cut":
            file.write_bytes(content[:-100])
        elif damage == "missing":
            file.unlink()
        elif damage == "manifest":
            manifest.unlink()
        else:
            manifest.write_text(manifest.read_text()[:-10])
    assert as_lists(encoded(texts, cache, encoder)) == first
    for kind in ("rows", "encoded"):
        (entry,) = entries(cache, kind)
        assert json.loads((entry / MANIFEST).read_text())["files"]["rows.arrow"]["size"] > 100


def test_what_a_killed_process_left_is_neither_taken_nor_kept(tmp_path: Path) -> None:
    cache = Cache(tmp_path)

    def make(folder: Path) -> dict[str, Any]:
        (folder / "a").write_text("whole")
        return {"files": ["a"]}

    def fail(folder: Path) -> dict[str, Any]:
        (folder / "a").write_text("ha")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.entry("x", fail)
    left = tmp_path / ".x.abc"  # as a kill leaves it
    left.mkdir()
    (left / "a").write_text("ha")
    entry = cache.entry("x", make)
    assert not entry.found and (entry.folder / "a").read_text() == "whole"
    assert cache.entry("x", fail).found
    assert not left.exists()


def test_a_folder_that_cannot_be_written_is_told(encoder: Path, texts: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AdaptError, match=r"cache of prepared data in .*file.* cannot be written") as error:
        encoded(texts, tmp_path / "file", encoder)
    assert "dataset.cache_dir" in error.value.hint


def test_a_second_run_says_that_it_takes_rows_from_the_cache(
    config: dict[str, Any], tmp_path: Path, no_reload: None, capsys: pytest.CaptureFixture[str]
) -> None:
    results = []
    for name in ("first", "second"):
        dataset = {**config["dataset"], "cache_dir": str(tmp_path / "cache")}
        training = {**config["training"], "max_steps": 2}
        made = {**config, "dataset": dataset, "training": training, "output_dir": str(tmp_path / name)}
        results.append(adapt_core.run(made)["metrics"])
        said = f"270 training rows were encoded before, and are taken from {tmp_path / 'cache'}."
        assert (said in capsys.readouterr().err) == (name == "second")
    assert results[0] == results[1]


# ---- several processes ----------------------------------------------------------------------------------------


def test_several_processes_make_the_same_rows_in_the_same_order(
    encoder: Path, sentences: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after the tokenizer has used its threads, which a forked process cannot."""
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    tokenizer.model_max_length = 8
    tokenizer(["the sun"] * 2000)
    found = []
    for processes in (1, 3):
        values = {"path": str(sentences), "cache_dir": str(tmp_path / f"{processes}"), "num_proc": processes}
        chosen = TokenClassificationData.model_validate(values)
        rows = load_tagged_data(chosen, "ner", 1).train
        made = encode_all_sentences(tokenizer, rows, Preprocessing(chosen), "training rows")
        found.append((as_lists(made), list(made.places)))
    assert os.environ["TOKENIZERS_PARALLELISM"] == "true"
    whole = encode_sentences(tokenizer, rows.tokens, rows.tags)
    assert found[0] == found[1] == (as_lists(whole), list(whole.places))
    assert len(whole) > len(rows), "there are sentences of several windows"


def test_questions_are_the_same_from_the_cache(encoder: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    tokenizer.model_max_length = 12
    context = "rain sun wind cloud storm snow bread cheese soup apple rice salt piano drum song choir tune violin"
    rows = Questions(["the song"] * 3, [context] * 3, [[(0, 4)], [], [(0, 60)]])
    chosen = TextDataOptions.model_validate({"path": str(tmp_path), "cache_dir": str(tmp_path), "num_proc": 2})
    made = encode_questions(tokenizer, rows, Preprocessing(chosen), "rows", overlap=4)
    assert (list(made.rows), made.unread) == ([row for row in range(3) for _ in range(5)], [2])
    assert made.places is not None and made.places[0] == (4, 4) and made.places[5] == (0, 0)
    assert made.offsets[0][4] == (0, 4)


def test_an_error_in_another_process_is_the_error_of_the_row(tmp_path: Path) -> None:
    tokenizer = write_language_tokenizer(tmp_path / "tokenizer")
    tokenizer.chat_template = (
        "{% for m in messages %}{% if 'x' in m['content'] %}{{ raise_exception('No x.') }}{% endif %}{% endfor %}"
    )
    said = [{"messages": [{"role": "assistant", "content": "x" if row == 7 else "a"}]} for row in range(10)]
    chosen = TextDataOptions.model_validate({"path": str(tmp_path), "cache_dir": str(tmp_path), "num_proc": 2})
    with pytest.raises(AdaptError, match=r"data: the conversation at rows \[7\] cannot be written: .*No x\."):
        encode_all_texts(
            tokenizer,
            Preprocessing(chosen),
            "rows",
            said,
            16,
            completion_only=False,
            place=_rows,
            source="data",
        )


def _rows(rows: Sequence[int]) -> str:
    return f"rows {list(rows)}"


def test_packed_rows_are_the_same_from_the_cache(tmp_path: Path) -> None:
    tokenizer = write_language_tokenizer(tmp_path / "tokenizer")
    examples = [*facts("prompt_completion") * 4, {"prompt": "the sky " * 30, "completion": "x"}]
    chosen = TextDataOptions.model_validate({"path": str(tmp_path), "cache_dir": str(tmp_path / "cache")})
    arguments: dict[str, Any] = {"completion_only": True, "place": _rows, "source": "data"}
    kept = encode_all_texts(tokenizer, Preprocessing(chosen), "rows", examples, 40, **arguments)
    memory = encode_texts(tokenizer, examples, 40, **arguments)
    assert kept.left_out == memory.left_out == [len(examples) - 1]
    assert (kept.learnt, kept.cut, list(kept.lengths)) == (memory.learnt, memory.cut, list(memory.lengths))
    for _ in range(2):
        assert packed(kept, 40, Preprocessing(chosen))[:] == packed(memory, 40)[:]


# ---- rows in Arrow files --------------------------------------------------------------------------------------


def test_rows_of_a_file_stay_in_its_arrow_file(texts: Path, tmp_path: Path) -> None:
    loaded = load_classification_data(options(texts, tmp_path), 1)
    assert isinstance(loaded.train.texts, Picked) and isinstance(loaded.evaluation and loaded.evaluation.texts, View)
    read = open_source(TextDataOptions(path=str(texts))).read("train")
    assert sorted([*loaded.train.texts, *(loaded.evaluation or loaded.train).texts]) == sorted(read.columns["text"])


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "json", "conllu", "txt", "parquet"])
def test_a_file_in_the_cache_is_what_it_is_in_memory(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"d.{suffix}"
    values = [
        {"text": f"té {row}\u2028", "label": row % 3, "more": {"a": [row, None, "\ud800", 0.1]}} for row in range(2500)
    ]
    values[1700]["late"] = True  # a column that the first parts have not
    if suffix in ("csv", "tsv"):
        mark = "," if suffix == "csv" else "\t"
        path.write_text(f"text{mark}label\n" + "".join(f'"{v["text"]}"{mark}{v["label"]}\n\n' for v in values))
    elif suffix in ("jsonl", "json"):
        path.write_text("".join(json.dumps(value) + "\n" for value in values))
    elif suffix == "conllu":
        line = "\t".join(["1", "Sun", "sun", "NOUN", *["_"] * 6])
        path.write_text((f"# id = 1\n{line}\n{line}\n\n") * 2500)
    elif suffix == "txt":
        path.write_text("\n".join(value["text"] + "\n" * (row % 2) for row, value in enumerate(values)) + "\n\n ")
    else:
        import datasets

        rows = [{"text": value["text"], "label": value["label"], "when": None} for value in values]
        datasets.Dataset.from_list(rows).to_parquet(path)
    chosen = TextDataOptions(path=str(path))
    memory = open_source(chosen).read("train")
    kept = open_source(chosen, Cache(tmp_path / "cache")).read("train")
    assert (len(kept), list(kept.columns)) == (len(memory), list(memory.columns))
    for name in memory.columns:
        assert isinstance(kept.columns[name], View)
        assert kept.columns[name] == list(memory.columns[name]), name
    assert kept.place([0, 1777]) == memory.place([0, 1777])


def test_conversations_and_prompts_are_derived_where_they_are_read(tmp_path: Path) -> None:
    from adapt_nlp.text_generation.data import load_generation_data
    from adapt_nlp.text_generation.options import TextGenerationData

    for kind in ("text", "prompt_completion", "instruction", "chat", "sharegpt"):
        path = write_rows(tmp_path / f"{kind}.jsonl", facts(kind))
        values = {"path": str(path), "cache_dir": str(tmp_path / "cache")}
        loaded = load_generation_data(TextGenerationData.model_validate(values), 1, evaluate=False)
        assert isinstance(loaded.train.examples, View)
        assert len(list(loaded.train.examples)) == len(facts(kind))
