"""What measures a tagger: whole entities through seqeval, words through scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from adapt_core.bundles import Evaluated, Section
from adapt_core.interfaces import World
from adapt_nlp.token_classification.encoding import IGNORED, EncodedSentences
from adapt_nlp.token_classification.tags import OUTSIDE, Scheme, for_seqeval


class TagMeter:
    """Precision, recall and F1 of entities and the accuracy of words; of plain tags accuracy and macro F1 of words.

    It keeps the chosen tag of every word, an int16 each, in the order of the windows. Windows of one sentence are put
    together in the end: every word is read in one of them.

    Args:
        rows: what is evaluated on, with its tags.
        names: of the tags, in the order of their ids.
        scheme: of the tags.
        usual: the id of the tag that a word gets of which the tokenizer makes no token.
    """

    def __init__(self, rows: EncodedSentences, names: Sequence[str], scheme: Scheme, usual: int) -> None:
        self.rows = rows
        self.names = names
        self.scheme = scheme
        self.usual = usual
        self.chosen: list[np.ndarray] = []

    def update(self, batch: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        """Takes in logits of shape (windows, tokens, tags) and labels of shape (windows, tokens)."""
        chosen = outputs["logits"].argmax(dim=-1)[batch["labels"] != IGNORED]
        self.chosen.append(chosen.cpu().numpy().astype(np.int16))

    def result(self, world: World) -> Evaluated:
        """The metrics; the outputs are the ids of all words' chosen tags, a list a row."""
        chosen = np.concatenate([each for part in world.gather(self.chosen) for each in part])
        truth = self.rows.tags
        assert truth is not None
        found = [[self.usual] * len(tags) for tags in truth]
        places = ((row, word) for window in self.rows.places for _, row, word in window)
        for (row, word), tag in zip(places, chosen.tolist(), strict=True):
            found[row][word] = tag
        return Evaluated(tag_metrics(self._named(truth), self._named(found), self.scheme), found)

    def _named(self, rows: Sequence[Sequence[int]]) -> list[list[str]]:
        return [[self.names[tag] for tag in tags] for tags in rows]


def usual_tag(names: Sequence[str], words: Mapping[str, int]) -> int:
    """The id of the tag for words that cannot be read: O, or without that the one that most training words have."""
    return names.index(OUTSIDE) if OUTSIDE in names else names.index(max(names, key=lambda name: words[name]))


def tag_metrics(truth: Sequence[Sequence[str]], chosen: Sequence[Sequence[str]], scheme: Scheme) -> dict[str, float]:
    """``precision``, ``recall`` and ``f1`` of entities and ``accuracy`` of words; of plain tags the last, and
    ``f1_macro`` of words.

    An entity counts where its type and both its ends are right. Entities are found as the script of CoNLL finds them.

    Args:
        truth: the true tags of each sentence.
        chosen: the predicted ones.
        scheme: of the tags.
    """
    from sklearn.metrics import accuracy_score, f1_score

    true_words, chosen_words = ([tag for tags in rows for tag in tags] for rows in (truth, chosen))
    accuracy = {"accuracy": float(accuracy_score(true_words, chosen_words))}
    if scheme == "plain":
        return {**accuracy, "f1_macro": float(f1_score(true_words, chosen_words, average="macro", zero_division=0))}
    from seqeval.metrics.sequence_labeling import precision_recall_fscore_support

    values = precision_recall_fscore_support(*_both(truth, chosen, scheme), average="micro", zero_division=0)
    return {**dict(zip(("precision", "recall", "f1"), map(float, values[:3]), strict=True)), **accuracy}


def by_type(truth: Sequence[Sequence[str]], chosen: Sequence[Sequence[str]], scheme: Scheme) -> Section:
    """Precision, recall and F1 of each type of entity."""
    from seqeval.metrics import classification_report

    report = classification_report(*_both(truth, chosen, scheme), output_dict=True, zero_division=0)
    rows = [
        [kind, float(each["precision"]), float(each["recall"]), float(each["f1-score"]), int(each["support"])]
        for kind, each in report.items()
        if kind not in ("micro avg", "macro avg", "weighted avg")
    ]
    return Section("Entities by type", "table", ["type", "precision", "recall", "F1", "entities"], rows)


def by_tag(truth: Sequence[Sequence[str]], chosen: Sequence[Sequence[str]], names: Sequence[str]) -> Section:
    """The confusion matrix of words: rows are the true tags, columns the predicted ones."""
    from sklearn.metrics import confusion_matrix

    words = ([tag for tags in rows for tag in tags] for rows in (truth, chosen))
    return Section("Words by tag", "matrix", list(names), confusion_matrix(*words, labels=list(names)).tolist())


def _both(
    truth: Sequence[Sequence[str]], chosen: Sequence[Sequence[str]], scheme: Scheme
) -> tuple[list[list[str]], list[list[str]]]:
    return [for_seqeval(tags, scheme) for tags in truth], [for_seqeval(tags, scheme) for tags in chosen]
