"""ROUGE, BLEU and chrF against their published definitions on worked examples."""

from __future__ import annotations

import math
from collections import Counter
from functools import partial
from typing import Any

import pytest
import torch

from adapt_core.interfaces import World
from adapt_nlp.data.table import Table
from adapt_nlp.generating import Generated
from adapt_nlp.seq2seq.data import Pairs
from adapt_nlp.seq2seq.meter import GenerationMeter
from adapt_nlp.seq2seq.metrics import Words, rouge, score, signatures


def f1(precision: float, recall: float) -> float:
    return 100 * 2 * precision * recall / (precision + recall)


def test_rouge_of_the_example_in_its_paper() -> None:
    """Lin (2004), 3.1: against "police killed the gunman", S2 has an LCS of three words, S3 one of two."""
    first = rouge(["police kill the gunman"], ["police killed the gunman"])
    assert first["rougeL"] == pytest.approx(75)  # P = R = 3/4
    second = rouge(["the gunman kill police"], ["police killed the gunman"])
    assert second["rougeL"] == pytest.approx(50)  # 2/4
    assert first["rouge2"] == pytest.approx(second["rouge2"]) == pytest.approx(f1(1 / 3, 1 / 3))  # "the gunman" in both
    assert first["rouge1"] == second["rouge1"] == pytest.approx(75)


def test_rouge_lsum_takes_the_union_over_sentences() -> None:
    """Lin (2004), 3.2: of w1…w5 the sentences w1 w2 w6 w7 w8 and w1 w3 w8 w9 w5 share w1, w2, w3 and w5: R = 4/5."""
    found = rouge(["w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5"], ["w1 w2 w3 w4 w5"])
    assert found["rougeLsum"] == pytest.approx(f1(4 / 10, 4 / 5))
    # Read as one line, the longest common subsequence is w1 w2 w3 w5 too; in the other order of lines it is not.
    other = rouge(["w1 w3 w8 w9 w5\nw1 w2 w6 w7 w8"], ["w1 w2 w3 w4 w5"])
    assert other["rougeLsum"] == pytest.approx(f1(4 / 10, 4 / 5))
    assert other["rougeL"] == pytest.approx(f1(3 / 10, 3 / 5))


def test_rouge_is_the_mean_over_rows_of_words_counted_at_most_as_often_as_in_the_reference() -> None:
    found = rouge(["the the the", "a b"], ["the cat", "a b"])
    assert found["rouge1"] == pytest.approx((f1(1 / 3, 1 / 2) + 100) / 2)


def test_rouge_reads_words_as_its_library_does_and_of_other_scripts_too() -> None:
    from rouge_score.tokenize import tokenize

    text = 'The U.S. re-opened 2 "old_style" mills, didn\'t it?'
    assert Words().tokenize(text) == tokenize(text, None)
    assert Words().tokenize("Hör på: två öar") == ["hör", "på", "två", "öar"]
    assert Words().tokenize("我爱2只猫") == ["我", "爱", "2", "只", "猫"]
    assert rouge(["Привет мир"], ["Привет, мир!"])["rouge1"] == pytest.approx(100)


def bleu_by_its_definition(texts: list[str], references: list[str]) -> float:
    """Papineni et al. (2002), equations 2 and 3, of words that stand between spaces, over all rows together."""
    logs = []
    for order in range(1, 5):
        matched = total = 0
        for text, reference in zip(texts, references, strict=True):
            own, true = (
                Counter(tuple(words[start : start + order]) for start in range(len(words) - order + 1))
                for words in (text.split(), reference.split())
            )
            matched += sum((own & true).values())
            total += sum(own.values())
        logs.append(math.log(matched / total))
    written, wanted = (sum(len(each.split()) for each in some) for some in (texts, references))
    return 100 * min(1.0, math.exp(1 - wanted / written)) * math.exp(sum(logs) / 4)


def test_bleu_by_its_definition() -> None:
    texts = ["the cat sat on the mat today", "a dog runs over the road"]
    references = ["the cat sat on the mat again today", "a dog runs across the road to me"]
    found = score("bleu", texts, references, "en")
    assert found == {"bleu": pytest.approx(bleu_by_its_definition(texts, references))}
    assert 10 < found["bleu"] < 90


def chrf_by_its_definition(text: str, reference: str) -> float:
    """Popović (2015), equation 1 with β = 2, of the precisions and recalls of 1 to 6 characters, spaces left out."""
    own, true = (each.replace(" ", "") for each in (text, reference))
    precisions, recalls = [], []
    for order in range(1, 7):
        first, second = (
            Counter(each[start : start + order] for start in range(len(each) - order + 1)) for each in (own, true)
        )
        shared = sum((first & second).values())
        precisions.append(shared / sum(first.values()))
        recalls.append(shared / sum(second.values()))
    precision, recall = sum(precisions) / 6, sum(recalls) / 6
    return 100 * 5 * precision * recall / (4 * precision + recall)


def test_chrf_by_its_definition() -> None:
    text, reference = "the old cat sleeps", "the cold cats sleep well"
    assert score("chrf", [text], [reference], None) == {"chrf": pytest.approx(chrf_by_its_definition(text, reference))}


@pytest.mark.parametrize(
    ("metric", "names"),
    [
        ("rouge", ["rouge1", "rouge2", "rougeL", "rougeLsum"]),
        ("bleu", ["bleu"]),
        ("chrf", ["chrf"]),
        ("sacrebleu", ["bleu", "chrf"]),
    ],
)
def test_each_choice_has_its_metrics_and_what_is_right_has_100(metric: str, names: list[str]) -> None:
    texts = ["one two three four five"]
    found = score(metric, texts, texts, "en")  # type: ignore[arg-type]
    assert list(found) == names
    assert all(value == pytest.approx(100) for value in found.values())
    nothing = score(metric, [""], texts, "en")  # type: ignore[arg-type]
    assert all(value == 0 for value in nothing.values()), "nothing is written"


def test_signatures_are_those_of_the_library() -> None:
    import sacrebleu

    found = signatures("sacrebleu", "sv_SE")
    assert found["bleu"] == f"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:{sacrebleu.__version__}"
    assert found["chrf"] == f"nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:{sacrebleu.__version__}"
    for language, tokens in {"zh_CN": "zh", "zho_Hans": "zh", "ja": "char", "en": "13a", "__zh__": "zh"}.items():
        assert f"|tok:{tokens}|" in signatures("bleu", language)["bleu"]


def test_texts_of_several_processes_are_measured_as_one() -> None:
    """In the order of their rows, whichever process generated which."""
    texts = ["one two three", "four five six", "seven eight nine", "ten"]
    references = ["one two four", "four five six", "nine eight", "eleven"]
    pairs = Pairs(["a", "b", "c", "d"], references, range(4), Table("rows", {}, 4))

    def meter(*batches: list[int]) -> GenerationMeter:
        made = GenerationMeter(pairs, partial(score, "rouge", language=None))
        for rows in batches:
            made.update({"row": torch.tensor(rows)}, {"generated": [texts[row] for row in rows]})
        return made

    alone, first, second = meter([0, 1, 2, 3]), meter([0], [3]), meter([2, 1])

    class Two(World):
        def gather(self, value: Any) -> list[Any]:
            return [value, second.texts]

    found = first.result(Two())
    assert found.metrics == pytest.approx(rouge(texts, references))
    assert found == alone.result(World())
    assert found.outputs[1] == Generated(1, "b", "four five six", "four five six")
