"""ROUGE, BLEU and chrF of texts against references, all from 0 to 100."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from adapt_nlp.seq2seq.options import EvalMetric

ROUGE = ("rouge1", "rouge2", "rougeL", "rougeLsum")
WORD = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]|[^\W_\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]+")
"""A word, or a character of a script that puts no spaces between words: Thai, Japanese and Chinese."""

BLEU_TOKENS = {"zh": "zh", "zho": "zh", "ja": "char", "jpn": "char", "ko": "char", "kor": "char", "th": "char",
               "tha": "char"}  # fmt: skip
"""How sacreBLEU cuts texts of languages for which its usual way, 13a, is none."""


class Words:
    """Cuts a text into lower-case words of any script, for ``rouge_score``, whose own knows English letters alone."""

    def tokenize(self, text: str) -> list[str]:
        """The words; of English text those of ``rouge_score`` without stemming."""
        return WORD.findall(text.lower())


def score(
    metric: EvalMetric, texts: Sequence[str], references: Sequence[str], language: str | None
) -> dict[str, float]:
    """What a metric says of generated texts.

    Args:
        metric: which.
        texts: generated, at least one.
        references: what each should be.
        language: in which they are, where that is known.
    """
    if metric == "rouge":
        return rouge(texts, references)
    return {
        name: float(each.corpus_score(list(texts), [list(references)]).score)
        for name, each in _sacre(metric, language).items()
    }


def signatures(metric: EvalMetric, language: str | None) -> dict[str, str]:
    """How each metric is computed, in the words of its library, by which two numbers can be told to be comparable."""
    if metric == "rouge":
        return {"rouge": "rouge-score, F-measure, mean over rows, lower-case words of any script, no stemming; Lsum by "
                "line"}  # fmt: skip
    found = {}
    for name, each in _sacre(metric, language).items():
        each.corpus_score(["a"], [["a"]])  # it knows the number of references then
        found[name] = str(each.get_signature())
    return found


def rouge(texts: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """The F-measures of ROUGE-1, 2, L and Lsum (Lin 2004), each the mean over rows; lines are Lsum's sentences."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(list(ROUGE), tokenizer=Words())
    rows = [scorer.score(reference, text) for text, reference in zip(texts, references, strict=True)]
    return {name: 100 * sum(row[name].fmeasure for row in rows) / len(rows) for name in ROUGE}


def _sacre(metric: EvalMetric, language: str | None) -> dict[str, Any]:
    """sacreBLEU's metrics by name: BLEU (Papineni 2002) and chrF (Popović 2015) over all rows as one text."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    made: dict[str, Any] = {}
    if metric in ("bleu", "sacrebleu"):
        code = re.split(r"[_-]", (language or "").casefold().strip("_"))[0]
        made["bleu"] = BLEU(tokenize=BLEU_TOKENS.get(code))
    if metric in ("chrf", "sacrebleu"):
        made["chrf"] = CHRF()
    return made
