"""Entities, their metrics, words in plain text, and sentences in windows."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from tiny_checkpoints import write_tokenizer
from tokenizers import decoders

from adapt_core.interfaces import World
from adapt_nlp.token_classification.encoding import IGNORED, EncodedSentences, encode
from adapt_nlp.token_classification.metrics import TagMeter, by_type, tag_metrics, usual_tag
from adapt_nlp.token_classification.tags import entities
from adapt_nlp.token_classification.words import joined, words_in
from adapt_nlp.windows import in_windows

# ---- entities and metrics -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheme", "tags", "expected"),
    [
        ("IOB2", "B-A I-A B-A O", [("A", 0, 1), ("A", 2, 2)]),
        ("IOB2", "O I-A I-B O", [("A", 1, 1), ("B", 2, 2)]),
        ("IOB1", "I-A I-A B-A O", [("A", 0, 1), ("A", 2, 2)]),
        ("IOBES", "B-A E-A S-A S-A", [("A", 0, 1), ("A", 2, 2), ("A", 3, 3)]),
        ("BILOU", "B-A L-A U-A U-A", [("A", 0, 1), ("A", 2, 2), ("A", 3, 3)]),
        ("plain", "A A O creative-work", [("A", 0, 1), ("creative-work", 3, 3)]),
    ],
)
def test_entities_are_found_by_the_scheme(scheme: Any, tags: str, expected: list[Any]) -> None:
    assert entities(tags.split(), scheme) == expected


def test_metrics_of_entities_are_those_of_their_definitions() -> None:
    truth = [["B-A", "I-A", "O", "B-B"], ["B-A", "O"]]
    found = [["B-A", "I-A", "O", "B-A"], ["O", "O"]]
    # Of two entities found one is right, and of three there are one is found.
    expected = {"precision": 1 / 2, "recall": 1 / 3, "f1": 2 * (1 / 6) / (5 / 6), "accuracy": 4 / 6}
    assert tag_metrics(truth, found, "IOB2") == pytest.approx(expected)
    assert by_type(truth, found, "IOB2").rows == [["A", 0.5, 0.5, 0.5, 2], ["B", 0.0, 0.0, 0.0, 1]]


def test_metrics_of_plain_tags_are_those_of_words() -> None:
    truth, found = [["N", "V"], ["N", "X"]], [["N", "N"], ["N", "X"]]
    # N: precision 2/3, recall 1; V: nothing; X: all.
    assert tag_metrics(truth, found, "plain") == pytest.approx({"accuracy": 3 / 4, "f1_macro": (4 / 5 + 0 + 1) / 3})


def test_the_meter_puts_windows_together_whatever_the_batches() -> None:
    """Two windows of the first sentence, one of the second; its second word has no token and is given the usual tag."""
    places = [[(1, 0, 0), (2, 0, 1)], [(2, 0, 2)], [(1, 1, 0)]]
    rows = EncodedSentences({"input_ids": [[0] * 4] * 3}, places, [[0, 1, 2], [0, 2]])
    logits = torch.zeros(3, 4, 3)
    for window, token, tag in ((0, 1, 0), (0, 2, 1), (1, 2, 1), (2, 1, 0)):
        logits[window, token, tag] = 1.0
    labels = torch.tensor([rows[window]["labels"] for window in range(3)])
    assert labels.tolist() == [[IGNORED, 0, 1, IGNORED], [IGNORED, IGNORED, 2, IGNORED], [IGNORED, 0, *[IGNORED] * 2]]
    results = []
    for size in (1, 2, 3):
        meter = TagMeter(rows, ["B-A", "I-A", "O"], "IOB2", usual=2)
        for start in range(0, 3, size):
            meter.update({"labels": labels[start : start + size]}, {"logits": logits[start : start + size]})
        results.append(meter.result(World()))
    assert all(each.outputs == [[0, 1, 1], [0, 2]] for each in results)
    assert all(each.metrics["accuracy"] == 4 / 5 for each in results)
    assert all(each.metrics["f1"] == 1 / 2 for each in results)


def test_the_usual_tag_is_o_or_the_commonest() -> None:
    assert usual_tag(["B-A", "O"], {"B-A": 5, "O": 1}) == 1
    assert usual_tag(["N", "V"], {"N": 5, "V": 9}) == 1


# ---- words in plain text --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ada Lovelace was born in London.", "Ada Lovelace was born in London ."),
        ('He said: "Stop (now)!"', 'He said : " Stop ( now ) ! "'),
        ("see http://x.org/a-b, or @me #tag", "see http://x.org/a-b , or @me #tag"),
        ("well ... it's 3.5% of f(x)", "well ... it's 3.5% of f(x )"),
        ("“Non!” «oui» ¿qué?", "“ Non ! ” « oui » ¿ qué ?"),
        ("  \n\t ", ""),
    ],
)
def test_words_are_cut_at_spaces_and_at_punctuation_at_their_ends(text: str, words: str) -> None:
    spans = words_in(text)
    assert [text[start:end] for start, end in spans] == words.split()
    assert all(before[1] <= behind[0] for before, behind in pairwise(spans))


# ---- windows --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A tokenizer of parts of words, as GPT-2 has it."""
    made = write_tokenizer(tmp_path_factory.mktemp("pieces"), ("<unk>", "<pad>"), byte_level=True, pad_token="<pad>")
    made.model_max_length = 512
    made.backend_tokenizer.decoder = decoders.ByteLevel()
    return made


def test_every_word_is_read_at_its_first_token(pieces: Any) -> None:
    words = ["rain", "xylophones", "½", "soup"]
    encoded = encode(pieces, [words], [[0, 1, 2, 3]], overlap=0)
    ids, labels = encoded[0]["input_ids"], encoded[0]["labels"]
    assert len(ids) > len(words)
    assert [label for label in labels if label != IGNORED] == [0, 1, 2, 3]
    for token, _, word in encoded.places[0]:
        until = next((t for t, _, w in encoded.places[0] if w == word + 1), len(ids))
        assert pieces.decode(ids[token:until]).strip() == words[word]
    assert len(encode(pieces, [])) == 0


@pytest.mark.parametrize("overlap", [0, 1, 3, 6])
@pytest.mark.parametrize("size", [8, 16, 64])
def test_every_word_is_read_once_however_a_sentence_is_cut(pieces: Any, size: int, overlap: int) -> None:
    draw = np.random.default_rng(0)
    sentences = [
        ["".join(draw.choice(list("rainsoup"), size=int(draw.integers(1, 7)))) for _ in range(int(n))]
        for n in draw.integers(1, 40, size=20)
    ]
    pieces.model_max_length = size
    encoded = encode(pieces, sentences, [[1] * len(each) for each in sentences], overlap=overlap)
    pieces.model_max_length = 512
    read = [(row, word) for window in encoded.places for _, row, word in window]
    assert sorted(read) == [(row, word) for row, words in enumerate(sentences) for word in range(len(words))]
    assert max(encoded.lengths) <= size
    for window, places in enumerate(encoded.places):
        for token, row, word in places:
            assert sentences[row][word].startswith(
                pieces.decode([encoded.features["input_ids"][window][token]]).strip()
            )


def test_words_without_tokens_are_left_out_of_what_is_read(encoder: Any) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(encoder)
    tokenizer.model_max_length = 24
    encoded = encode(tokenizer, [["rain", "\u200b\u200d", "soup"], ["\u200b"]], [[0, 1, 2], [1]])
    assert encoded.places == [[(1, 0, 0), (2, 0, 2)]]
    assert len(encoded) == 1


def test_windows_of_pairs_begin_with_the_first_text(encoder: Any) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(encoder)
    text = "rain sun wind cloud storm snow bread cheese"
    windows = in_windows(tokenizer, ["the soup"], [text], size=9, overlap=2)
    read = [tokenizer.decode(ids) for ids in windows.features["input_ids"]]
    assert read[0] == "[CLS] the soup [SEP] rain sun wind cloud [SEP]"
    assert read[1] == "[CLS] the soup [SEP] wind cloud storm snow [SEP]"
    assert windows.rows == [0, 0, 0]
    of_second = [place for place, part in enumerate(windows.parts[1]) if part == 1]
    assert [text[slice(*windows.offsets[1][place])] for place in of_second] == ["wind", "cloud", "storm", "snow"]
    contexts = [[context for _, context in windows.context(window, part=1)] for window in range(3)]
    assert contexts == [[3, 2, 1, 0], [0, 1, 1, 0], [0, 1, 2, 3]]


def test_joined_words_stand_where_they_are_said_to() -> None:
    text, spans = joined(["Ada", "x", "½"])
    assert text == "Ada x ½"
    assert [text[start:end] for start, end in spans] == ["Ada", "x", "½"]
