"""Windows of questions and contexts, the places of answers in them, and the best spans of their logits."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, BertTokenizerFast

from adapt_core.errors import AdaptError
from adapt_nlp.question_answering.answers import Answer, Answers, candidates, probabilities, put_together
from adapt_nlp.question_answering.encoding import Collation, EncodedQuestions, encode, too_long

CONTEXT = "rain sun wind cloud storm snow bread cheese soup apple rice salt piano drum song choir tune violin"


@pytest.fixture
def tokenizer(encoder: Path) -> Any:
    made = AutoTokenizer.from_pretrained(encoder)
    made.model_max_length = 12
    return made


def encoded(tokenizer: Any, answer: str, overlap: int = 4) -> EncodedQuestions:
    """Windows of 12 tokens: [CLS] the song [SEP], seven words, [SEP]."""
    start = CONTEXT.index(answer)
    return encode(tokenizer, [" the song  "], [CONTEXT], [[(start, start + len(answer))]], overlap=overlap)


def text_at(windows: EncodedQuestions, window: int) -> str:
    assert windows.places is not None
    first, last = windows.places[window]
    return CONTEXT[windows.offsets[window][first][0] : windows.offsets[window][last][1]]


def test_an_answer_is_marked_in_every_window_that_holds_all_of_it(tokenizer: Any) -> None:
    windows = encoded(tokenizer, "cheese soup")
    # Windows begin at words 0, 3, 6, 9 and 12; words 7 and 8 lie in those of 3 and 6.
    assert [len(each) for each in windows.offsets] == [12, 12, 12, 12, 11]
    assert [window for window in range(5) if windows.places[window] != (0, 0)] == [1, 2]
    assert [text_at(windows, window) for window in (1, 2)] == ["cheese soup"] * 2
    assert windows.null == [0] * 5
    assert windows.unread == []


def test_an_answer_that_is_cut_by_every_window_is_told(tokenizer: Any) -> None:
    windows = encoded(tokenizer, "rain sun wind cloud storm snow bread cheese soup")
    assert windows.unread == [0]
    assert set(windows.places) == {(0, 0)}
    assert encoded(tokenizer, "cloud storm snow bread cheese").unread == [], "as long as the overlap and one more"


def test_the_question_and_what_is_added_are_no_answer(tokenizer: Any) -> None:
    windows = encoded(tokenizer, "rain")
    for offsets, ids in zip(windows.offsets, windows.features["input_ids"], strict=True):
        read = [place for place, (start, end) in enumerate(offsets) if start < end]
        assert read == list(range(4, len(ids) - 1))


def test_words_without_spaces_are_found_by_their_characters() -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"東京は日本の首都です何"]
    tokenizer = BertTokenizerFast(vocab={word: number for number, word in enumerate(dict.fromkeys(words))})
    tokenizer.model_max_length = 12
    context = "東京は日本の首都です"
    windows = encode(tokenizer, ["何です"], [context], [[(3, 5)]], overlap=3)
    held = [window for window, place in enumerate(windows.places or ()) if place != (0, 0)]
    assert held
    for window in held:
        first, last = (windows.places or [])[window]
        assert context[windows.offsets[window][first][0] : windows.offsets[window][last][1]] == "日本"


def test_padding_in_front_moves_the_places(tokenizer: Any) -> None:
    windows = encoded(tokenizer, "song choir")
    rows = [windows[3], windows[4]]
    tokenizer.padding_side = "left"
    batch = Collation(tokenizer)(rows)
    for line, (row, window) in enumerate(zip(rows, (3, 4), strict=True)):
        first, last = int(batch["start_positions"][line]), int(batch["end_positions"][line])
        assert (
            batch["input_ids"][line, first : last + 1].tolist()
            == row["input_ids"][row["start_positions"] : row["end_positions"] + 1]
        )
        assert first == row["start_positions"] + 12 - windows.lengths[window]


def test_a_question_leaves_room_for_more_context_than_windows_share(tokenizer: Any) -> None:
    # 12 tokens, 3 of them added: beside 4 words of a question there is room for 5, and beside 5 for 4.
    questions = ["the " * count for count in (4, 5, 9)]
    assert too_long(tokenizer, questions, size=12, overlap=4) == [1, 2]
    with pytest.raises(AdaptError, match=r"The question .* is too long"):
        encode(tokenizer, [questions[1]], ["rain"], overlap=4)
    with pytest.raises(AdaptError, match=r"task\.doc_stride: windows of 12 tokens have room for 9"):
        too_long(tokenizer, [], size=12, overlap=9)


@pytest.mark.parametrize("seed", range(5))
def test_the_best_spans_are_those_of_a_search_of_all(seed: int) -> None:
    random = np.random.default_rng(seed)
    start, end = random.normal(size=(2, 20))
    usable = [4 <= place < 18 and place != 9 for place in range(20)]
    every = sorted(
        (
            (float(start[first] + end[last]), first, last)
            for first, last in itertools.product(range(20), repeat=2)
            if usable[first] and usable[last] and first <= last < first + 5
        ),
        reverse=True,
    )
    none, found = candidates(start, end, usable, null=2, longest=5, count=7)
    assert found == every[:7]
    assert none == pytest.approx(float(start[2] + end[2]))


def test_a_window_with_few_tokens_gives_what_it_has() -> None:
    logits = np.zeros(3, np.float32)
    assert candidates(logits, logits, [False, True, False], null=0, longest=30, count=20)[1] == [(0.0, 1, 1)]
    assert candidates(logits, logits, [False] * 3, null=0, longest=30, count=20)[1] == []


def test_windows_of_a_question_are_put_together(tokenizer: Any) -> None:
    windows = encoded(tokenizer, "cheese soup")
    first, last = windows.places[1]  # type: ignore[index]
    other = windows.places[2]  # type: ignore[index]
    found = [(1, (0.5, [(1.0, first, last), (0.2, first, first)])), (2, (-0.5, [(3.0, *other)]))]
    (answers,) = put_together(windows, found, [CONTEXT], count=5)
    place = CONTEXT.index("cheese")
    assert answers.best == (Answer(3.0, place, place + 11), Answer(0.2, place, place + 6)), "each place once"
    assert answers.null == -0.5, "every window must say that it holds no answer"


def test_no_answer_is_given_where_its_score_is_above_by_more_than_the_threshold() -> None:
    answers = Answers((Answer(2.0, 0, 4),), null=3.0)
    assert answers.chosen(None) == answers.best[0]
    assert answers.chosen(0.0) is None
    assert answers.chosen(1.0) == answers.best[0]
    assert Answers((), null=1.0).chosen(None) is None


def test_scores_are_shares_of_one() -> None:
    answers = Answers((Answer(2.0, 0, 4), Answer(1.0, 0, 2)), null=0.0)
    expected = torch.tensor([2.0, 1.0, 0.0]).softmax(0).tolist()
    scores, none = probabilities(answers, unanswerable=True)
    assert [*scores, none] == pytest.approx(expected)
    assert probabilities(answers, unanswerable=False) == (
        pytest.approx(torch.tensor([2.0, 1.0]).softmax(0).tolist()), None,
    )  # fmt: skip
