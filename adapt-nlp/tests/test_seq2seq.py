"""Summarization and translation from a file to a used model, with tiny models built on the spot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_seq2seq import DOCUMENTS, PHRASES, configuration, write_bart, write_rows, write_split, write_t5
from torch.nn.functional import cross_entropy
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, GenerationConfig

import adapt_core
from adapt_core.errors import AdaptError, ConfigError
from adapt_core.plan.build import build_plan
from adapt_core.testing import TaskContract

LORA = {"name": "lora", "r": 16, "dropout": 0.0}


class TestSummarizationContract(TaskContract):
    @pytest.fixture
    def configuration(self, tmp_path: Path) -> dict[str, Any]:
        data = write_split(tmp_path / "data", DOCUMENTS, times=2)
        made = configuration("summarization", write_bart(tmp_path / "base"), data, tmp_path / "unused")
        return {**made, "method": LORA, "training": {**made["training"], "max_steps": 3}}


class TestTranslationContract(TaskContract):
    @pytest.fixture
    def configuration(self, tmp_path: Path) -> dict[str, Any]:
        data = write_split(tmp_path / "data", PHRASES, times=2)
        made = configuration("translation", write_t5(tmp_path / "base"), data, tmp_path / "unused")
        return {**made, "training": {**made["training"], "max_steps": 3}}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, no_reload: None) -> Path:
    """A run that has learnt the phrases with a prefix, measured by BLEU and chrF."""
    folder = tmp_path_factory.mktemp("finished")
    task = {"prefix": "translate: ", "eval_metric": "sacrebleu"}
    data = write_split(folder / "data", PHRASES)
    made = configuration("translation", write_bart(folder / "base"), data, folder / "run", task=task)
    adapt_core.run(made)
    return folder / "run"


@pytest.fixture(scope="module")
def summarizer(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny T5, and documents to train on."""
    folder = tmp_path_factory.mktemp("summarizer")
    return write_t5(folder / "base"), write_split(folder / "data", DOCUMENTS)


def task_of(summarizer: tuple[Path, Path], **changes: Any) -> Any:
    """The task of a configuration, which nothing is run of."""
    return build_plan(configuration("summarization", *summarizer, Path("unused"), **changes)).make_task()


# ---- what a run leaves ----------------------------------------------------------------------------------------------


def test_the_report_shows_generated_texts_beside_references_and_the_signatures(finished: Path) -> None:
    page = (finished / "report.html").read_text()
    for part in (
        "Generated texts",
        "den gamla katten sover",
        "How it is measured",
        "nrefs:1|case:mixed|eff:no|tok:13a",
    ):
        assert part in page


def test_data_json_says_what_was_trained_on(finished: Path) -> None:
    info = json.loads((finished / "data.json").read_text())
    assert info["rows"] == {"train": 48, "validation": 6, "test": 0}
    assert (info["columns"]["text"], info["columns"]["target"], info["columns"]["together"]) == (
        "en",
        "sv",
        "translation",
    )
    assert info["before"] == "translate: "
    assert set(info["signatures"]) == {"bleu", "chrf"}


def test_texts_and_files_are_translated(finished: Path, tmp_path: Path, adapt: Callable[..., Any]) -> None:
    (found,) = adapt("predict", str(finished), "the old cat sleeps")
    assert found == {"text": "the old cat sleeps", "translation": "den gamla katten sover"}
    (tmp_path / "in.txt").write_text("the dog\na house\n")
    write_rows(tmp_path / "in.jsonl", [{"id": 7, "en": "the dog"}])
    write_rows(tmp_path / "together.jsonl", [{"id": 7, "translation": {"en": "the dog"}}])
    for name in ("in.txt", "in.jsonl", "together.jsonl"):
        rows = adapt("predict", str(finished), "--input", str(tmp_path / name))
        assert rows[0]["translation"] == "hunden", name
    assert rows[0]["columns"] == {"id": 7, "translation": {"en": "the dog"}}
    write_rows(tmp_path / "in.jsonl", [{"id": 7, "english": "the dog"}])
    with pytest.raises(AdaptError, match="no column 'en'"):
        adapt_core.load_run(finished).parse_inputs([], tmp_path / "in.jsonl")


def test_other_data_can_be_evaluated_on(finished: Path, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "other.jsonl", PHRASES[:2])
    found = adapt_core.evaluate_run(finished, data=str(data))
    assert found["rows"] == 2
    assert found["metrics"]["chrf"] == pytest.approx(100)


def test_the_cards_code_writes_what_adapt_predict_does(finished: Path, run_card: Callable[[Path, str], str]) -> None:
    (found,) = adapt_core.load_run(finished).predict(["the old cat sleeps"])
    assert run_card(finished / "model", "the old cat sleeps") == found["translation"] == "den gamla katten sover"


# ---- generation -----------------------------------------------------------------------------------------------------


def test_options_of_generation_are_those_of_transformers(finished: Path) -> None:
    run = adapt_core.load_run(finished)
    model, tokenizer = run.model.module, run.model.processor
    inputs = tokenizer("translate: the old cat sleeps", return_tensors="pt")
    given = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    for asked in (
        {"max_new_tokens": 2},
        {"num_beams": 3, "num_return_sequences": 3, "length_penalty": 2.0},
        {"no_repeat_ngram_size": 1, "min_new_tokens": 9, "max_new_tokens": 12},
        {"repetition_penalty": 9.0},
        {"stop_strings": ["gamla"]},
    ):
        stops = {"tokenizer": tokenizer} if "stop_strings" in asked else {}
        ids = model.generate(**given, **{"max_new_tokens": 24, "do_sample": False, **asked}, **stops)
        wanted = tokenizer.batch_decode(ids, skip_special_tokens=True)
        (found,) = run.predict(["the old cat sleeps"], **asked)
        assert found["translation"] == (wanted if "num_return_sequences" in asked else wanted[0]), asked
    drawn = [
        run.predict(["the cat"], do_sample=True, temperature=9.0, seed=seed)[0]["translation"] for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    with pytest.raises(AdaptError, match=r"max_new_tokens: 200 tokens, but the model .* has 128 positions"):
        run.predict(["the cat"], max_new_tokens=200)
    with pytest.raises(AdaptError, match="min_new_tokens is 30, more than the run's generation_max_length=24"):
        run.predict(["the cat"], min_new_tokens=30)
    with pytest.raises(ConfigError, match="do_sample"):
        run.predict(["the cat"], temperature=2.0)


@pytest.mark.usefixtures("no_reload")
def test_the_models_own_settings_of_generation_hold_in_evaluation_and_in_prediction(tmp_path: Path) -> None:
    base = write_bart(tmp_path / "base")
    GenerationConfig(min_new_tokens=7, max_length=99, decoder_start_token_id=1, eos_token_id=1).save_pretrained(base)
    data = write_split(tmp_path / "data", PHRASES)
    training = {"max_steps": 40, "batch_size": 12}
    made = configuration("translation", base, data, tmp_path / "run", training=training, task={"eval_metric": "chrf"})
    result = adapt_core.run(made)
    run = adapt_core.load_run(tmp_path / "run")
    found = [each["translation"] for each in run.predict([row["translation"]["en"] for row in PHRASES])]
    short = run.predict(["the cat"], min_new_tokens=1)[0]["translation"]
    assert len(found[0]) > len(short)
    from adapt_nlp.seq2seq.metrics import score

    wanted = score("chrf", found, [row["translation"]["sv"] for row in PHRASES], None)
    assert result["metrics"]["chrf"] == pytest.approx(wanted["chrf"])


# ---- the loss -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_reload")
@pytest.mark.parametrize("write", [write_t5, write_bart])
def test_the_loss_is_a_mean_over_all_tokens_of_targets_and_padding_is_none(write: Any, tmp_path: Path) -> None:
    """Whatever the batches: against a plain cross-entropy, row by row and without padding."""
    base = write(tmp_path / "base")
    rows = [*PHRASES, {"translation": {"en": "the dog", "sv": "hunden springer till mitt röda hus, den gamla katten"}}]
    data = write_split(tmp_path / "data", rows, times=1)
    losses = []
    for size in (1, 3, 7):
        training = {"do_train": False, "eval_batch_size": size}
        made = configuration("translation", base, data, tmp_path / f"run{size}", training=training)
        losses.append(adapt_core.run({**made, "task": {**made["task"], "max_target_length": 64}})["metrics"]["loss"])
    model = AutoModelForSeq2SeqLM.from_pretrained(base).eval()
    tokenizer = AutoTokenizer.from_pretrained(base)
    total, tokens = 0.0, 0
    for row in rows:
        ids, labels = (torch.tensor([tokenizer(row["translation"][name])["input_ids"]]) for name in ("en", "sv"))
        before = torch.cat([torch.tensor([[model.config.decoder_start_token_id]]), labels[:, :-1]], dim=1)
        with torch.no_grad():
            logits = model(input_ids=ids, decoder_input_ids=before).logits
        total += float(cross_entropy(logits[0], labels[0], reduction="sum"))
        tokens += labels.shape[1]
    assert losses == [pytest.approx(total / tokens, rel=1e-5)] * 3


@pytest.mark.usefixtures("no_reload")
def test_batches_that_are_added_up_train_as_one(tmp_path: Path) -> None:
    base, data = write_t5(tmp_path / "base"), write_split(tmp_path / "data", PHRASES, times=1)
    found = []
    for size, steps in ((6, 1), (2, 3)):
        training = {"batch_size": size, "gradient_accumulation_steps": steps, "optimizer": "sgd", "epochs": 4}
        training |= {"lr": 1e-2, "logging_steps": 1, "do_eval": False}
        run = tmp_path / f"run{size}"
        adapt_core.run(configuration("translation", base, data, run, training=training))
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        found.append([line["loss"] for line in lines if "loss" in line])
    assert found[0] == pytest.approx(found[1], rel=1e-4)
    assert len(found[0]) == 4


# ---- every parameter of the tables ----------------------------------------------------------------------------------


def test_longest_texts_and_targets_are_cut_and_it_is_said_how_many(
    summarizer: tuple[Path, Path], tmp_path: Path
) -> None:
    row = DOCUMENTS[0]
    rows = [*DOCUMENTS, {"document": 2 * row["document"], "summary": 3 * row["summary"]}]
    mixed = summarizer[0], write_split(tmp_path / "data", rows, times=2)
    whole = task_of(mixed).load_data().train.encoded
    limits = {"max_input_length": min(whole.whole_inputs), "max_target_length": min(whole.whole_targets)}
    cut = task_of(mixed, task=limits).load_data()
    assert max(cut.train.encoded.lengths) == limits["max_input_length"] < max(whole.lengths)
    assert max(map(len, cut.train.encoded.labels)) == limits["max_target_length"] < max(map(len, whole.labels))
    assert {ids[-1] for ids in cut.train.encoded.input_ids} == {1}, "what is cut ends as the tokenizer ends it"
    for split, count in (("train", 2), ("validation", 1)):
        for what, name in (("texts", "max_input_length"), ("targets", "max_target_length")):
            said = f"{count} of {7 * count} {what} are longer than {limits[name]} tokens and are cut (task.{name})."
            assert f"{mixed[1] / split}.jsonl: {said}" in cut.info["notices"]
    assert task_of(summarizer).load_data().info["notices"] == []


def test_the_prefix_stands_before_every_text_and_no_target(summarizer: tuple[Path, Path]) -> None:
    task = task_of(summarizer, task={"prefix": "summarize: "})
    data = task.load_data()
    tokenizer = task.load_processor(data.info)
    assert tokenizer.decode(data.train.encoded.input_ids[0]).startswith("summarize: We walked")
    assert tokenizer.decode(data.train.encoded.labels[0]) == "blue sky</s>"
    (row,) = task.parse_inputs(["the dog"], None, data.info)
    assert row == {"text": "the dog"}
    (shown, _) = task.inspect(data, tokenizer, 1)[0].examples
    assert "summarize" in shown.rows[0][0].replace(" ", "")


@pytest.mark.usefixtures("no_reload")
def test_generation_max_length_holds_in_evaluation_and_in_prediction(finished: Path, tmp_path: Path) -> None:
    """Of a model that has learnt the phrases before, and learns nothing here."""
    data = finished.parent / "data"
    task = {"prefix": "translate: ", "eval_metric": "bleu", "generation_max_length": 3}
    training = {"max_steps": 1, "lr": 1e-12}
    made = configuration("translation", finished / "model", data, tmp_path / "run", task=task, training=training)
    result = adapt_core.run(made)
    run, whole = adapt_core.load_run(tmp_path / "run"), adapt_core.load_run(finished)
    asked = ["the old cat sleeps"]
    (short,) = run.predict(asked)
    assert short == whole.predict(asked, max_new_tokens=3)[0] != whole.predict(asked)[0]
    assert run.predict(asked, max_new_tokens=24) == whole.predict(asked)
    page = (tmp_path / "run" / "report.html").read_text()
    assert f">{short['translation']}<" in page
    assert result["metrics"]["bleu"] < 90 < adapt_core.evaluate_run(finished)["metrics"]["bleu"]


@pytest.mark.usefixtures("no_reload")
def test_eval_metric_and_the_numbers_of_rows(tmp_path: Path) -> None:
    base, data = write_bart(tmp_path / "base"), write_split(tmp_path / "data", DOCUMENTS)
    training = {"max_steps": 2}
    for metric, names in {
        "rouge": {"rouge1", "rouge2", "rougeL", "rougeLsum"},
        "bleu": {"bleu"},
        "sacrebleu": {"bleu", "chrf"},
    }.items():
        run = tmp_path / metric
        task = {"eval_metric": metric}
        dataset = {"max_train_samples": 20, "max_eval_samples": 4}
        made = configuration("summarization", base, data, run, training=training, task=task, dataset=dataset)
        result = adapt_core.run(made)
        assert set(result["metrics"]) == {"train_loss", "loss", *names}
        info = json.loads((run / "data.json").read_text())
        assert info["rows"] == {"train": 20, "validation": 4, "test": 0}


def test_the_tables_defaults_and_flat_names(summarizer: tuple[Path, Path], tmp_path: Path) -> None:
    from adapt_core.api import plan_of

    def flat(task: str, **given: Any) -> Any:
        model, data = map(str, summarizer)
        base = {"LOCAL_MODEL_PATH": model, "CUSTOM_DATASET_PATH": data, "method": "LoRA", "OUTPUT_DIR": str(tmp_path)}
        return plan_of({"TASK": task, **base, **given}).task.options

    lengths = ("max_input_length", "max_target_length", "generation_max_length", "eval_metric")
    of_summaries, of_translations = flat("summarization"), flat("translation")
    assert [getattr(of_summaries, name) for name in lengths] == [512, 128, 128, "rouge"]
    assert [getattr(of_translations, name) for name in lengths] == [128, 128, 128, "rouge"]
    assert (of_translations.source_lang, of_translations.target_lang) == ("en", "ro")
    given = {"max_input_length": 9, "max_target_length": 8, "generation_max_length": 7, "eval_metric": "sacrebleu"}
    found = flat("translation", **given, source_lang="sv", target_lang="en", PREFIX="översätt: ")
    assert [getattr(found, name) for name in lengths] == list(given.values())
    assert (found.source_lang, found.target_lang, found.prefix) == ("sv", "en", "översätt: ")


# ---- columns --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "summary"),
    [
        ("document", "summary"),
        ("article", "highlights"),
        ("text", "summary"),
        ("dialogue", "summary"),
        ("report", "summary"),
        ("article", "abstract"),
    ],
)
def test_columns_of_well_known_sets_are_found(
    document: str, summary: str, summarizer: tuple[Path, Path], tmp_path: Path
) -> None:
    rows = [{"id": "1", document: row["document"], summary: row["summary"]} for row in DOCUMENTS]
    data = task_of((summarizer[0], write_split(tmp_path / "data", rows, times=1))).load_data()
    assert data.train[0] == {"text": DOCUMENTS[0]["document"], "target": DOCUMENTS[0]["summary"]}


def test_a_format_string_makes_the_document(summarizer: tuple[Path, Path], tmp_path: Path) -> None:
    rows = [{"topic": "colour", "body": row["document"], "summary": row["summary"]} for row in DOCUMENTS]
    data = write_split(tmp_path / "data", rows, times=1)
    dataset = {"format_string": "{}: {}", "format_names": ["topic", "body"]}
    task = task_of((summarizer[0], data), dataset=dataset)
    loaded = task.load_data()
    assert loaded.train[0]["text"] == f"colour: {rows[0]['body']}"
    given = task.parse_inputs([json.dumps({"topic": "x", "body": "y"})], None, loaded.info)
    assert given == [{"text": "x: y"}]


@pytest.mark.parametrize(
    ("row", "dataset", "languages"),
    [
        ({"translation": {"en": "a", "sv": "b", "de": "c"}}, {}, {}),
        ({"id": "1", "en": "a", "sv": "b"}, {}, {}),
        ({"source": "a", "target": "b"}, {}, {}),
        ({"text": "a", "translation": "b"}, {}, {}),
        ({"x": "a", "y": "b"}, {"source_column": "x", "target_column": "y"}, {}),
        ({"pair": {"en": "a", "sv": "b"}}, {"translation_column": "pair"}, {}),
        ({"translation": {"en": "a", "sv": "b"}}, {}, {"source_lang": "en_XX", "target_lang": "sv_SE"}),
        (
            {"translation": {"english": "a", "sv": "b"}},
            {"source_column": "english"},
            {"source_lang": "eng_Latn"},
        ),
        ({"translation": {"en": "a", "sv": "b"}}, {"format_string": "{en}", "format_names": ["en"]}, {}),
    ],
)
def test_columns_of_translations_are_found(
    row: dict[str, Any],
    dataset: dict[str, Any],
    languages: dict[str, str],
    summarizer: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    data = write_split(tmp_path / "data", [row], times=2)
    made = configuration("translation", summarizer[0], data, tmp_path / "run", dataset=dataset, task=languages)
    loaded = build_plan(made).make_task().load_data()
    assert loaded.train[0] == {"text": "a", "target": "b"}


def test_the_other_direction(summarizer: tuple[Path, Path], tmp_path: Path) -> None:
    data = write_split(tmp_path / "data", PHRASES)
    languages = {"source_lang": "sv", "target_lang": "en"}
    made = configuration("translation", summarizer[0], data, tmp_path / "run", task=languages)
    assert build_plan(made).make_task().load_data().train[0] == {"text": "katten", "target": "the cat"}


def test_data_of_the_hub_saved_by_datasets(summarizer: tuple[Path, Path], tmp_path: Path) -> None:
    """A column of the kind that ``datasets`` has for translations, in which a text may be none."""
    import datasets

    features = datasets.Features({"translation": datasets.Translation(languages=["en", "sv"])})
    rows = datasets.Dataset.from_list(PHRASES, features=features)
    datasets.DatasetDict({"train": rows, "validation": rows}).save_to_disk(str(tmp_path / "good"))
    made = configuration("translation", summarizer[0], tmp_path / "good", tmp_path / "run")
    assert build_plan(made).make_task().load_data().train[1] == {"text": "the dog", "target": "hunden"}
    broken = [*PHRASES, {"translation": {"en": "a", "sv": None}}]
    datasets.Dataset.from_list(broken, features=features).save_to_disk(str(tmp_path / "broken"))
    made["dataset"] = {"path": str(tmp_path / "broken")}
    with pytest.raises(AdaptError, match="column 'translation' has no 'sv' at row 7"):
        build_plan(made).make_task().load_data()


def test_adapt_data_shows_texts_and_targets_as_tokens(summarizer: tuple[Path, Path], tmp_path: Path) -> None:
    made = configuration("summarization", *summarizer, tmp_path / "run", task={"max_input_length": 8})
    training, evaluation = adapt_core.inspect_data(made, examples=2)
    assert (len(training.keys), len(evaluation.keys), training.limit) == (48, 6, 8)
    texts, targets = training.examples
    assert texts.rows[0][1][0][2] == "cut off"
    assert texts.rows[0][2] == "→ blue sky"
    assert targets.rows[0][0].endswith("</s>")


def test_a_text_of_which_the_tokenizer_makes_nothing_is_refused(summarizer: tuple[Path, Path], tmp_path: Path) -> None:
    from tokenizers import normalizers

    base = write_t5(tmp_path / "base")
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.backend_tokenizer.normalizer = normalizers.Replace("\u200b", "")
    tokenizer.save_pretrained(base)
    rows = [*DOCUMENTS, {"document": "a", "summary": "\u200b"}]
    with pytest.raises(AdaptError, match="makes no token of the target at line 7"):
        task_of((base, write_split(tmp_path / "data", rows, times=1))).load_data()
