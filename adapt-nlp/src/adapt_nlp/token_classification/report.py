"""What a person sees of tagged sentences: before a run, and in its report."""

from __future__ import annotations

from collections.abc import Sequence

from adapt_core.bundles import Data, Section
from adapt_core.utils.units import listed
from adapt_nlp.inspection import Shown
from adapt_nlp.token_classification.encoding import IGNORED, EncodedSentences
from adapt_nlp.token_classification.metrics import by_tag, by_type
from adapt_nlp.token_classification.tags import OUTSIDE, Scheme, entities, type_of
from adapt_nlp.token_classification.words import joined

SHOWN_ROWS = 3
REPORTED_ROWS = 20

Ranges = list[tuple[int, int, str]]
"""Marked parts of a text: start and end in characters, and a label."""


def preview(data: Data) -> Sequence[Section]:
    """The first training sentences with their tags, and how many words each tag has."""
    names, scheme = data.info["label_names"], data.info["scheme"]
    rows = []
    for number in range(min(SHOWN_ROWS, len(data.train))):
        words, tags = data.train.tokens[number], [names[tag] for tag in data.train.tags[number]]
        rows.append((" ".join(words), _marked(words, tags, scheme), ""))
    counts = sorted(data.info["tags"].items(), key=lambda pair: -pair[1])
    return [
        Section("First training rows", "spans", [], rows),
        Section("Training words by tag", "table", ["tag", "words"], [list(pair) for pair in counts]),
    ]


def token_marks(encoded: EncodedSentences, window: int, names: Sequence[str]) -> Shown:
    """A window's tokens, those that the loss sees marked with the tags that they stand for."""
    row = encoded[window]
    return row["input_ids"], [None if label == IGNORED else names[label] for label in row["labels"]], ""


def sections(found: Sequence[Sequence[int]], data: Data) -> Sequence[Section]:
    """Sentences with what was found in them, mistakes first; entities by type; the confusion matrix of tags.

    Args:
        found: the ids of the chosen tags of the evaluation sentences.
        data: with these sentences.
    """
    names, scheme = data.info["label_names"], data.info["scheme"]
    truth, chosen = ([[names[tag] for tag in tags] for tags in rows] for rows in (data.evaluation.tags, found))
    order = sorted(range(len(truth)), key=lambda row: (truth[row] == chosen[row], not _tells(chosen[row]), row))
    wrong = sum(true != own for true, own in zip(truth, chosen, strict=True))
    shown = [*order[:wrong][: REPORTED_ROWS // 2], *order[wrong:][: REPORTED_ROWS // 2]]
    rows = [_sentence(data.evaluation.tokens[row], truth[row], chosen[row], scheme) for row in shown]
    types = list(dict.fromkeys(type_of(name) for name in names if name != OUTSIDE)) if scheme != "plain" else []
    parts = [Section("Sample predictions", "spans", types, rows)]
    if scheme != "plain":
        parts.append(by_type(truth, chosen, scheme))
    return [*parts, by_tag(truth, chosen, names)]


def _sentence(
    words: Sequence[str], truth: Sequence[str], chosen: Sequence[str], scheme: Scheme
) -> tuple[str, Ranges, str]:
    """A sentence with the predicted entities, or with the plain tags that are wrong; and what the data says."""
    text, spans = joined(words)
    if scheme == "plain":
        wrong = [word for word in range(len(words)) if truth[word] != chosen[word]]
        ranges = [(*spans[word], chosen[word]) for word in wrong] or _marked(words, chosen, scheme)
        said = [f"{words[word]} is {truth[word]}" for word in wrong]
    else:
        ranges = _marked(words, chosen, scheme)
        true, own = (set(entities(tags, scheme)) for tags in (truth, chosen))
        said = [f"{' '.join(words[a : b + 1])} is {kind}" for kind, a, b in sorted(true - own, key=lambda e: e[1])]
        said += [f"{' '.join(words[a : b + 1])} is no {kind}" for kind, a, b in sorted(own - true, key=lambda e: e[1])]
    return text, ranges, f"In the data: {listed(said)}" if said else "right"


def _marked(words: Sequence[str], tags: Sequence[str], scheme: Scheme) -> Ranges:
    """Where the entities of a sentence stand in its text, or its words with plain tags."""
    spans = joined(words)[1]
    if scheme == "plain":
        return [(*span, tag) for span, tag in zip(spans, tags, strict=True) if tag != OUTSIDE]
    return [(spans[first][0], spans[last][1], kind) for kind, first, last in entities(tags, scheme)]


def _tells(tags: Sequence[str]) -> bool:
    """Whether there is anything to see."""
    return any(tag != OUTSIDE for tag in tags)
