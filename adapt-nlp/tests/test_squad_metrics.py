"""Exact match and F1 against values worked out by hand from the rules of SQuAD's scripts."""

from __future__ import annotations

import pytest

from adapt_nlp.question_answering.metrics import normalised, squad_metrics, token_f1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  Denver   Broncos!", "denver broncos"),
        ("A an the", ""),
        ("theatre, another and banana", "theatre another and banana"),  # articles are whole words
        ("U.S.A.", "usa"),  # punctuation goes without a space in its place
        ("rock-'n'-roll", "rocknroll"),
        ("“quoted”", "“quoted”"),  # punctuation of ASCII alone
        ("a-ha", "aha"),  # punctuation goes before articles
        ("東京", "東京"),
    ],
)
def test_answers_are_compared_without_case_articles_and_punctuation(text: str, expected: str) -> None:
    assert normalised(text) == expected


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("the quick brown fox", "brown fox jumps", 2 / 3),  # 2 of 3 words either way
        ("fox", "the brown fox", 2 * 1 * 0.5 / 1.5),  # precision 1, recall 1/2
        ("fox fox", "fox", 2 * 0.5 * 1 / 1.5),  # a word counts as often as both have it
        ("dog", "fox", 0.0),
        ("The Fox.", "fox", 1.0),
    ],
)
def test_f1_of_words(answer: str, reference: str, expected: float) -> None:
    for unanswerable in (False, True):
        assert token_f1(answer, reference, unanswerable=unanswerable) == pytest.approx(expected)


def test_an_answer_without_words_counts_by_the_version() -> None:
    assert token_f1("the", "a") == 0.0, "1.1: no word is shared"
    assert token_f1("the", "a", unanswerable=True) == 1.0, "2.0: both are empty"
    assert token_f1("", "fox", unanswerable=True) == 0.0


def test_the_best_reference_of_each_question_counts() -> None:
    found = squad_metrics(
        ["brown fox", "cat"], [["fox", "the brown fox"], ["a dog", "the black cat"]], unanswerable=False
    )
    assert found == {"exact_match": 0.5, "f1": pytest.approx((1 + 2 / 3) / 2)}


def test_questions_with_and_without_answer_are_told_apart() -> None:
    answers = ["fox", "", "cat", "", "dog"]
    references = [["the fox"], ["fox"], ["black cat"], [], []]
    found = squad_metrics(answers, references, unanswerable=True)
    assert found == {
        "exact_match": pytest.approx(2 / 5),
        "f1": pytest.approx((1 + 0 + 2 / 3 + 1 + 0) / 5),
        "has_answer_exact_match": pytest.approx(1 / 3),
        "has_answer_f1": pytest.approx((1 + 0 + 2 / 3) / 3),
        "no_answer_exact_match": pytest.approx(1 / 2),
    }
    assert set(squad_metrics(["fox"], [["fox"]], unanswerable=True)) == {
        "exact_match", "f1", "has_answer_exact_match", "has_answer_f1",
    }  # fmt: skip


def test_a_reference_of_articles_alone_does_not_count_beside_others() -> None:
    assert squad_metrics([""], [["the", "fox"]], unanswerable=True)["exact_match"] == 0
    assert squad_metrics([""], [["the"]], unanswerable=True)["exact_match"] == 1
