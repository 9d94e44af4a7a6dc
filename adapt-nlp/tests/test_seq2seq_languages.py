"""Models that are told their languages by tokens: mBART of both kinds, NLLB, M2M100 and Marian, built on the spot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import torch
from tiny_seq2seq import PHRASES, bart_config, configuration, texts, write_split
from transformers import (
    AutoTokenizer,
    M2M100Config,
    M2M100ForConditionalGeneration,
    M2M100Tokenizer,
    MarianConfig,
    MarianMTModel,
    MarianTokenizer,
    MBart50Tokenizer,
    MBartConfig,
    MBartForConditionalGeneration,
    MBartTokenizer,
    NllbTokenizer,
    set_seed,
)

import adapt_core
from adapt_core.errors import AdaptError
from adapt_core.plan.build import build_plan
from adapt_nlp.seq2seq.languages import matching

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
TOKENS = {"pad_token_id": 1, "eos_token_id": 2, "bos_token_id": 0, "decoder_start_token_id": 2}


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SentencePiece model of the phrases."""
    folder = tmp_path_factory.mktemp("pieces")
    (folder / "texts.txt").write_text("\n".join(texts() * 3))
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "texts.txt"), model_prefix=str(folder / "own"), vocab_size=100, hard_vocab_limit=False,
        minloglevel=2,
    )  # fmt: skip
    return folder / "own.model"


def numbered(pieces: Path, first: list[str]) -> dict[str, int]:
    """A vocabulary of special tokens and the pieces."""
    model = sentencepiece.SentencePieceProcessor(model_file=str(pieces))
    own = [model.id_to_piece(index) for index in range(model.get_piece_size())]
    return {token: index for index, token in enumerate(dict.fromkeys([*first, *own]))}


def words() -> list[str]:
    return list(dict.fromkeys(f"▁{word}" for text in texts() for word in text.split()))


def mbart(tokenizer: Any) -> Callable[[Path, Path], Any]:
    def write(folder: Path, _: Path) -> Any:
        vocabulary = [(token, 0.0) for token in SPECIAL] + [(word, -1.0) for word in ["▁", *words()]]
        made = tokenizer(vocab=vocabulary, src_lang="de_DE", tgt_lang="de_DE")
        made.save_pretrained(folder)
        start = None if tokenizer is MBartTokenizer else 2
        sizes = bart_config(len(made), **{**TOKENS, "decoder_start_token_id": start})
        return MBartForConditionalGeneration(MBartConfig(**sizes))

    return write


def nllb(folder: Path, _: Path, **settings: Any) -> Any:
    letters = dict.fromkeys(letter for text in texts() for letter in text if letter != " ")
    vocabulary = {token: index for index, token in enumerate([*SPECIAL, "▁", *letters])}
    made = NllbTokenizer(vocab=vocabulary, merges=[], src_lang="deu_Latn", tgt_lang="deu_Latn", **settings)
    made.save_pretrained(folder)
    return M2M100ForConditionalGeneration(M2M100Config(**bart_config(len(made), **TOKENS)))


def m2m100(folder: Path, pieces: Path) -> Any:
    vocabulary = numbered(pieces, SPECIAL)
    (folder / "start.json").write_text(json.dumps(vocabulary))
    made = M2M100Tokenizer(str(folder / "start.json"), str(pieces), src_lang="de", tgt_lang="de")
    made.save_pretrained(folder)
    size = max(made.lang_token_to_id.values()) + 1
    return M2M100ForConditionalGeneration(M2M100Config(**bart_config(size, **TOKENS)))


def marian(folder: Path, pieces: Path) -> Any:
    vocabulary = numbered(pieces, ["</s>", "<unk>", ">>swe<<", ">>deu<<"])
    vocabulary["<pad>"] = len(vocabulary)
    (folder / "start.json").write_text(json.dumps(vocabulary))
    made = MarianTokenizer(str(pieces), str(pieces), str(folder / "start.json"))
    made.save_pretrained(folder)
    padding = vocabulary["<pad>"]
    tokens = {"pad_token_id": padding, "eos_token_id": 0, "decoder_start_token_id": padding}
    return MarianMTModel(MarianConfig(**bart_config(len(vocabulary), **tokens)))


KINDS: dict[str, tuple[Any, str, str]] = {
    # What writes the model, and what its tokenizer calls the two languages.
    "mbart": (mbart(MBartTokenizer), "en_XX", "ro_RO"),
    "mbart50": (mbart(MBart50Tokenizer), "en_XX", "sv_SE"),
    "nllb": (nllb, "eng_Latn", "swe_Latn"),
    "m2m100": (m2m100, "en", "sv"),
    "marian": (marian, "eng", "swe"),
}


def written(kind: str, folder: Path, pieces: Path, **settings: Any) -> Path:
    set_seed(0)
    folder.mkdir()
    KINDS[kind][0](folder, pieces, **settings).save_pretrained(folder)
    return folder


def translation(kind: str, model: Path, folder: Path, **task: Any) -> dict[str, Any]:
    _, source, target = KINDS[kind]
    if not (folder / "data").exists():
        write_split(folder / "data", PHRASES)
    changes = {
        "task": {"source_lang": source, "target_lang": target, "eval_metric": "chrf", **task},
        "dataset": {"source_column": "en", "target_column": "sv"},
    }
    return configuration("translation", model, folder / "data", folder / "run", **changes)


def first_tokens(task: Any, data: Any) -> tuple[list[Any], list[Any]]:
    """A text and its target as tokens."""
    tokenizer = task.load_processor(data.info)
    return tuple(tokenizer.convert_ids_to_tokens(ids) for ids in (data.train[0], data.train.encoded[0])[1].values())  # type: ignore[return-value]


@pytest.mark.parametrize("kind", KINDS)
def test_texts_are_marked_and_generation_begins_as_training_does(kind: str, pieces: Path, tmp_path: Path) -> None:
    _, source, target = KINDS[kind]
    model = written(kind, tmp_path / "model", pieces)
    task = build_plan(translation(kind, model, tmp_path)).make_task()
    data = task.load_data()
    text, labels = first_tokens(task, data)
    marks = {"m2m100": ("__en__", "__sv__"), "marian": (">>swe<<", None)}.get(kind, (source, target))
    if kind == "mbart":
        assert (text[-2:], labels[-2:]) == (["</s>", source], ["</s>", target])
    elif kind == "marian":
        assert text[0] == ">>swe<<"
        assert labels[-1] == "</s>"
    else:
        assert (text[0], labels[0]) == marks
        assert text[-1] == labels[-1] == "</s>"

    loaded = task.load_model(data.info)
    module = loaded.module.eval()
    ids = torch.tensor([data.train.encoded.labels[0]])
    with torch.no_grad():  # what the decoder is given in training, seen by its own embedding
        seen: list[torch.Tensor] = []
        hook = module.get_decoder().register_forward_pre_hook(
            lambda _, args, kwargs: seen.append(kwargs.get("input_ids", args[0] if args else None)), with_kwargs=True
        )
        module(input_ids=torch.tensor([data.train.encoded.input_ids[0]]), labels=ids)
        hook.remove()
        generated = module.generate(torch.tensor([data.train.encoded.input_ids[0]]), max_new_tokens=4)
    assert int(generated[0, 0]) == int(seen[0][0, 0])
    if kind not in ("mbart", "marian"):
        assert int(generated[0, 1]) == int(ids[0, 0]), "the language is forced"
    if kind == "mbart":
        assert int(generated[0, 0]) == loaded.processor.convert_tokens_to_ids(target)
        assert module.generation_config.forced_bos_token_id is None


@pytest.mark.usefixtures("no_reload")
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_learns_to_translate_and_is_used_without_being_told_again(
    kind: str, pieces: Path, tmp_path: Path, run_card: Callable[[Path, str], str]
) -> None:
    model = written(kind, tmp_path / "model", pieces)
    config = translation(kind, model, tmp_path)
    config["training"] |= {"lr": 2e-3, "epochs": 25}
    if kind == "nllb":
        config["method"] = {"name": "lora", "r": 16, "dropout": 0.0}
        config["training"] |= {"lr": 5e-3, "epochs": 30}
    result = adapt_core.run(config)
    assert result["metrics"]["chrf"] > 90
    run = adapt_core.load_run(tmp_path / "run")
    wanted = [row["translation"]["sv"] for row in PHRASES]
    found = [each["translation"] for each in run.predict([row["translation"]["en"] for row in PHRASES])]
    assert sum(own == true for own, true in zip(found, wanted, strict=True)) >= 5
    assert not any(mark in text for text in found for mark in ("_", "<")), "marks are no part of the text"
    if kind in ("mbart", "nllb", "m2m100"):
        assert run_card(tmp_path / "run" / "model", "the old cat sleeps") == found[3]
    if kind != "nllb":  # the whole model knows by itself what to begin with
        tokenizer = AutoTokenizer.from_pretrained(tmp_path / "run" / "model")
        settings = run.model.module.generation_config
        saved = json.loads((tmp_path / "run" / "model" / "generation_config.json").read_text())
        assert saved["decoder_start_token_id"] == settings.decoder_start_token_id
        assert saved.get("forced_bos_token_id") == settings.forced_bos_token_id
        assert len(tokenizer) > 4


@pytest.mark.parametrize(
    ("kind", "languages", "says"),
    [
        ("mbart50", {"target_lang": "xx"}, r"does not know the language 'xx'"),
        ("mbart50", {"target_lang": "sv_SW"}, r"does not know the language 'sv_SW'; did you mean 'sv_SE'"),
        ("nllb", {"source_lang": "en"}, r"source_lang.*does not know the language 'en'"),
        ("m2m100", {"target_lang": "xx"}, r"does not know the language 'xx'"),
        ("marian", {"target_lang": "sv"}, r"does not know the language 'sv'"),
    ],
)
def test_languages_that_the_tokenizer_does_not_know_are_refused(
    kind: str, languages: dict[str, str], says: str, pieces: Path, tmp_path: Path
) -> None:
    model = written(kind, tmp_path / "model", pieces)
    (model / "model.safetensors").unlink()  # whoever loads it fails
    task = build_plan(translation(kind, model, tmp_path, **languages)).make_task()
    with pytest.raises(AdaptError, match=says) as error:
        task.load_data()
    assert "It knows" in str(error.value.hint)


def test_a_summary_needs_its_language_where_texts_are_marked_with_it(pieces: Path, tmp_path: Path) -> None:
    model = written("mbart50", tmp_path / "model", pieces)
    data = write_split(tmp_path / "data", [{"text": "the old cat sleeps", "summary": "the cat"}])
    config = configuration("summarization", model, data, tmp_path / "run")
    with pytest.raises(AdaptError, match=r"source_lang.*is not given, and the tokenizer"):
        build_plan(config).make_task().load_data()
    config["task"]["source_lang"] = "en"
    found = build_plan(config).make_task().load_data()
    assert (found.info["languages"]["source"], found.info["languages"]["target"]) == ("en_XX", "en_XX")


def test_a_tokenizer_that_puts_the_language_where_its_model_does_not_begin_is_refused(
    pieces: Path, tmp_path: Path
) -> None:
    model = written("nllb", tmp_path / "model", pieces, legacy_behaviour=True)
    task = build_plan(translation("nllb", model, tmp_path)).make_task()
    data = task.load_data()
    with pytest.raises(AdaptError, match=r"puts the token of swe_Latn behind a target"):
        task.load_model(data.info)


def test_languages_are_alike_by_their_regions() -> None:
    assert matching("en", ["de_DE", "en_XX"]) == "en_XX"
    assert matching("pt_BR", ["en", "pt"]) == "pt"
    assert matching("pt-br", ["pt_BR", "pt_PT"]) == "pt_BR"
    assert matching("pt_BR", ["pt_PT"]) is None
    assert matching("pt", ["pt_BR", "pt_PT"]) is None
    assert matching("en", ["eng_Latn"]) is None
