"""The rows of token classification: loaded, checked, split and numbered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from adapt_core.errors import AdaptError
from adapt_nlp.data import loading
from adapt_nlp.data.columns import choose
from adapt_nlp.data.conll import conll_parts
from adapt_nlp.data.files import file_format
from adapt_nlp.data.labels import NAMES_FIRST, NameOf, given_names, names_in
from adapt_nlp.data.loading import LoadedRows, Reading, Reshaped, load_rows
from adapt_nlp.data.table import Table
from adapt_nlp.data.views import derived, pick
from adapt_nlp.token_classification.options import Subtask, TokenClassificationData
from adapt_nlp.token_classification.tags import Scheme, complete, scheme_of, without_begin
from adapt_nlp.token_classification.words import looked_up, read_tags, read_words, unknown_tags

TOKEN_NAMES = ("tokens", "words", "token", "form", "forms")
TAG_NAMES: dict[Subtask, tuple[str, ...]] = {
    "ner": ("ner_tags", "ner", "ner_tag", "tags", "labels"),
    "pos": ("pos_tags", "upos", "pos", "pos_tag", "tags", "labels"),
    "chunk": ("chunk_tags", "chunk", "chunks", "chunk_tag", "tags", "labels"),
}
"""Usual names of columns, in any case. The first of a tuple is taken even where others of it stand beside it."""


@dataclass(frozen=True)
class TaggedSentences:
    """Sentences with the ids of their words' tags; a map-style data set, whose rows are mappings.

    Attributes:
        tokens: the words of each sentence.
        tags: the id of each word's tag, its place in the label names.
    """

    tokens: Sequence[Sequence[str]]
    tags: Sequence[Sequence[int]]

    @property
    def strata(self) -> list[int]:
        """The rarest tag of each sentence: a draw keeps a share of those that have it."""
        of_tag = Counter(tag for tags in self.tags for tag in tags)
        return [min(tags, key=lambda tag: (of_tag[tag], tag)) for tags in self.tags]

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """``{"tokens": […], "tags": [ids]}``."""
        return {"tokens": list(self.tokens[row]), "tags": list(self.tags[row])}

    def take(self, rows: Any) -> TaggedSentences:
        """These rows, in this order."""
        return TaggedSentences(pick(self.tokens, rows), pick(self.tags, rows))


TaggedRows = LoadedRows[TaggedSentences]


class TagReading(Reading[TaggedSentences]):
    """Reads words and their tags.

    Args:
        options: the ``dataset`` section.
        subtask: whose usual columns of tags are looked for; the tags of ``pos`` have no scheme.
        order: gives tags in the order of the ids that a model already gives them; kept if it knows all of the data's.
            Called once the training rows are known to be good.
    """

    def __init__(self, options: TokenClassificationData, subtask: Subtask, order: Callable[[], Sequence[str]]) -> None:
        self.options, self.subtask, self.order = options, subtask, order
        self.column = ""

    def reshaped(self, table: Table) -> Reshaped | None:
        """A ``.txt`` file is read as CoNLL."""
        return reshaped(table)

    def training(self, table: Table) -> TaggedSentences:
        """Settles columns, tags and their scheme."""
        options, subtask = self.options, self.subtask
        self.tokens = choose(table, options.tokens_column, "dataset.tokens_column", TOKEN_NAMES, "the words")
        self.column = choose(
            table, options.tags_column, "dataset.tags_column", TAG_NAMES[subtask], "the tags", (self.tokens,)
        )
        self.given = given_names(options.label_names, table, self.column)
        self.recorded = table.class_names.get(self.column)
        words = read_words(table, self.tokens)
        tags = read_tags(table, self.column, words, self.given)
        self.scheme: Scheme = "plain" if subtask == "pos" else scheme_of(tags, table.source)
        self.known = _known(tags, self.given, self.scheme, self.order())
        self.notices = _notices(table, tags, self.scheme)
        return TaggedSentences(words, _ids(table, self.column, tags, self.known))

    def other(self, table: Table) -> TaggedSentences:
        """By the columns and tags of the training rows."""
        return _tagged(table, self.tokens, self.column, self.given, self.recorded, self.known)

    def why_not_streamed(self, table: Table) -> str | None:
        """Tags must be known before the first row is trained on, and sentences lie in one part."""
        if file_format(Path(table.source)) == ".txt":
            return "a .txt file is read as CoNLL only as a whole; name it .conll"
        options = self.options
        tokens = choose(table, options.tokens_column, "dataset.tokens_column", TOKEN_NAMES, "the words")
        column = choose(
            table, options.tags_column, "dataset.tags_column", TAG_NAMES[self.subtask], "the tags", (tokens,)
        )
        return None if given_names(options.label_names, table, column) else NAMES_FIRST.format("tags", column)

    def facts(self, train: TaggedSentences) -> dict[str, Any]:
        """``tags`` (training words by tag), ``label_names`` (the tags in the order of their ids), ``label_values`` (the
        names by the tags in the data, None where these are the names), ``recorded_names`` (those that the data itself
        has for its numbers, or None), ``columns``, ``scheme`` and ``notices``.
        """
        of_tag = Counter(tag for each in train.tags for tag in each)
        return {
            "tags": {name: of_tag[position] for position, name in enumerate(self.known)},
            "label_names": self.known,
            "label_values": self.given,
            "recorded_names": self.recorded and list(self.recorded),
            "columns": {"tokens": self.tokens, "tags": self.column},
            "scheme": self.scheme,
            "notices": self.notices,
        }

    def used(self, rows: TaggedSentences) -> list[Any]:
        """Words and tags."""
        return [rows.tokens, rows.tags]

    def none_to_hold_out(self, source: str) -> AdaptError:
        """Every tag keeps a sentence for training."""
        return AdaptError(
            f"{source}: nothing can be held out: every sentence has a tag in column {self.column!r} that no other has.",
            "Check that this is the column of the tags (dataset.tags_column). Otherwise add rows or a validation "
            "split, or evaluate nothing with training.do_eval=false (DO_EVAL).",
        )

    def require_learnable(self, rows: TaggedSentences, source: str) -> None:
        """Two tags at least."""
        present = {tag for tags in rows.tags for tag in tags}
        if len(present) < 2:
            raise AdaptError(
                f"{source}: all words of the {len(rows)} training rows have one tag, {self.known[min(present)]!r}.",
                "There is nothing to learn from that: train on rows with at least two tags.",
            )


def load_tagged_data(
    options: TokenClassificationData,
    subtask: Subtask,
    seed: int,
    *,
    evaluate: bool = True,
    order: Callable[[], Sequence[str]] = list,
) -> TaggedRows:
    """The data of a run; see :func:`~adapt_nlp.data.loading.load_rows` and :class:`TagReading`."""
    return load_rows(options, seed, TagReading(options, subtask, order), evaluate=evaluate)


def load_split(
    options: TokenClassificationData,
    subtask: Subtask,
    source: str | None,
    split: str | None,
    info: Mapping[str, Any],
    seed: int,
) -> tuple[TaggedSentences, str]:
    """Rows for evaluating a finished run; see :func:`adapt_nlp.data.loading.load_split`."""

    def again(evaluate: bool) -> TaggedRows:
        return load_tagged_data(options, subtask, seed, evaluate=evaluate, order=lambda: info["label_names"])

    def read(table: Table) -> TaggedSentences:
        tokens, column = info["columns"]["tokens"], info["columns"]["tags"]
        return _tagged(table, tokens, column, info["label_values"], info["recorded_names"], info["label_names"])

    return loading.load_split(options, source, split, info, again=again, read=read, reshape=reshaped)


def _tagged(
    table: Table,
    tokens: str,
    column: str,
    given: NameOf | None,
    recorded: Sequence[str] | None,
    known: Sequence[str],
) -> TaggedSentences:
    """The rows of a table other than the training one.

    Args:
        given: the names that the training rows' tags were read with.
        recorded: the names that the training data itself has for its numbers.
        known: the tags in the order of their ids.
    """
    words = read_words(table, tokens)
    tags = read_tags(table, column, words, names_in(table, column, given, recorded))
    return TaggedSentences(words, _ids(table, column, tags, known))


def reshaped(table: Table) -> Reshaped | None:
    """A ``.txt`` file is read as CoNLL: a text without tags is nothing to learn from. None of another table."""
    if file_format(Path(table.source)) != ".txt":
        return None
    return Reshaped(table.source, lambda: conll_parts(table.source, lambda: table.columns["text"]))


def _known(tags: Sequence[Sequence[str]], given: NameOf | None, scheme: Scheme, preferred: Sequence[str]) -> list[str]:
    """The tags in the order of their ids: a model's own where it knows all of the data's, else the data's."""
    present = {tag for each in tags for tag in each}
    if present <= set(preferred):
        return list(preferred)
    return list(given.values()) if given is not None else complete(list(present), scheme)


def _ids(table: Table, column: str, tags: Sequence[Sequence[str]], known: Sequence[str]) -> Sequence[Sequence[int]]:
    id_of = {name: position for position, name in enumerate(known)}
    unknown = {tag for each in tags for tag in each} - set(known)
    if unknown:
        raise unknown_tags(table, column, tags, unknown, known)
    return derived(partial(looked_up, id_of), tags)


def _notices(table: Table, tags: Sequence[Sequence[str]], scheme: Scheme) -> list[str]:
    """What a person should know of the tags."""
    if scheme != "IOB2":
        return []
    places = [(row, place) for row, each in enumerate(tags) for place in without_begin(each)]
    if not places:
        return []
    rows = list(dict.fromkeys(row for row, _ in places))
    row, place = places[0]
    return [
        f"{table.source}: {len(places)} entities begin with I- and not with B-, at {table.place(rows)}; the first is "
        f"word {place + 1}, {tags[row][place]}. They are counted as entities all the same. The other tags are of the "
        "scheme BIO (IOB2)."
    ]
