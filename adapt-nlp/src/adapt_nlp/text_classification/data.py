"""The rows of text classification: loaded, checked, split and numbered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapt_core.errors import AdaptError
from adapt_nlp.data import loading
from adapt_nlp.data.columns import LABEL_NAMES, TextColumns, choose, find_text
from adapt_nlp.data.labels import NAMES_FIRST, NameOf, given_names, ids, names_in, ordered, read_labels
from adapt_nlp.data.loading import LoadedRows, Reading, load_rows
from adapt_nlp.data.table import Table
from adapt_nlp.data.views import pick
from adapt_nlp.text_classification.options import TextClassificationData


@dataclass(frozen=True)
class LabelledTexts:
    """Texts with the ids of their labels; a map-style data set, whose rows are mappings.

    Attributes:
        texts: one text a row, none of them empty.
        pairs: the second text of each row, or None where a row has one text.
        labels: the id of each row's label, its place in the label names.
    """

    texts: Sequence[str]
    pairs: Sequence[str] | None
    labels: Sequence[int]

    @property
    def strata(self) -> Sequence[int]:
        """The labels, of which a draw keeps the shares."""
        return self.labels

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """``{"text": …, "text_pair": …, "label": id}``, without ``text_pair`` where there are no pairs."""
        pair = {} if self.pairs is None else {"text_pair": self.pairs[row]}
        return {"text": self.texts[row], **pair, "label": self.labels[row]}

    def take(self, rows: Any) -> LabelledTexts:
        """These rows, in this order."""
        pairs = None if self.pairs is None else pick(self.pairs, rows)
        return LabelledTexts(pick(self.texts, rows), pairs, pick(self.labels, rows))


ClassificationRows = LoadedRows[LabelledTexts]


class ClassificationReading(Reading[LabelledTexts]):
    """Reads texts and their labels.

    Args:
        options: the ``dataset`` section.
        order: gives label names in the order of the ids that a model already gives them; kept if the data has the
            same. Called once the training rows are known to be good.
    """

    def __init__(self, options: TextClassificationData, order: Callable[[], Sequence[str]]) -> None:
        self.options = options
        self.order = order
        self.label = ""

    def training(self, table: Table) -> LabelledTexts:
        """Settles columns and labels."""
        options = self.options
        self.columns = find_text(table, options)
        self.label = self._label(table, self.columns)
        self.given = given_names(options.label_names, table, self.label)
        self.recorded = table.class_names.get(self.label)
        texts, pairs = self.columns.texts(table)
        names = read_labels(table, self.label, self.given)
        known = ordered(names) if self.given is None else list(self.given.values())
        preferred = self.order()
        self.known = list(preferred) if set(preferred) == set(known) else known
        return LabelledTexts(texts, pairs, ids(table, self.label, names, self.known))

    def other(self, table: Table) -> LabelledTexts:
        """By the columns and labels of the training rows."""
        return _labelled(table, self.columns, self.label, self.given, self.recorded, self.known)

    def why_not_streamed(self, table: Table) -> str | None:
        """Labels must be known before the first row is trained on."""
        label = self._label(table, find_text(table, self.options))
        return None if given_names(self.options.label_names, table, label) else NAMES_FIRST.format("labels", label)

    def _label(self, table: Table, columns: TextColumns) -> str:
        named = self.options.label_column
        return choose(table, named, "dataset.label_column", LABEL_NAMES, "the label", columns.needed)

    def facts(self, train: LabelledTexts) -> dict[str, Any]:
        """``labels`` (training rows by label name), ``label_names``, ``label_values`` (the names by the labels in the
        data, None where these are the names), ``recorded_names`` (those that the data itself has for its numbers, or
        None) and ``columns``.
        """
        of_label = Counter(train.labels)
        return {
            "labels": {name: of_label[position] for position, name in enumerate(self.known)},
            "label_names": self.known,
            "label_values": self.given,
            "recorded_names": self.recorded and list(self.recorded),
            "columns": self.columns.as_dict() | {"label": self.label},
        }

    def used(self, rows: LabelledTexts) -> list[Any]:
        """Texts and labels."""
        return [rows.texts, rows.pairs, rows.labels]

    def none_to_hold_out(self, source: str) -> AdaptError:
        """Every class keeps a row for training."""
        return AdaptError(
            f"{source}: nothing can be held out: every label in column {self.label!r} has a single row.",
            "Check that this is the column of the label (dataset.label_column). Otherwise add rows or a validation "
            "split, or evaluate nothing with training.do_eval=false (DO_EVAL).",
        )

    def require_learnable(self, rows: LabelledTexts, source: str) -> None:
        """Two classes at least."""
        present = set(rows.labels)
        if len(present) < 2:
            raise AdaptError(
                f"{source}: all {len(rows)} training rows have one label, {self.known[min(present)]!r}.",
                "There is nothing to learn from that: train on rows of at least two labels.",
            )


def load_classification_data(
    options: TextClassificationData, seed: int, *, evaluate: bool = True, order: Callable[[], Sequence[str]] = list
) -> ClassificationRows:
    """The data of a run; see :func:`~adapt_nlp.data.loading.load_rows` and :class:`ClassificationReading`."""
    return load_rows(options, seed, ClassificationReading(options, order), evaluate=evaluate)


def load_split(
    options: TextClassificationData, source: str | None, split: str | None, info: Mapping[str, Any], seed: int
) -> tuple[LabelledTexts, str]:
    """Rows for evaluating a finished run; see :func:`adapt_nlp.data.loading.load_split`."""

    def again(evaluate: bool) -> ClassificationRows:
        return load_classification_data(options, seed, evaluate=evaluate, order=lambda: info["label_names"])

    def read(table: Table) -> LabelledTexts:
        columns, label = TextColumns.from_dict(info["columns"]), info["columns"]["label"]
        return _labelled(table, columns, label, info["label_values"], info.get("recorded_names"), info["label_names"])

    return loading.load_split(options, source, split, info, again=again, read=read)


def _labelled(
    table: Table,
    columns: TextColumns,
    label: str,
    given: NameOf | None,
    recorded: Sequence[str] | None,
    known: Sequence[str],
) -> LabelledTexts:
    """The rows of a table other than the training one.

    Args:
        given: the names that the training rows' labels were read with.
        recorded: the names that the training data itself has for its numbers.
        known: the training labels in the order of their ids.
    """
    texts, pairs = columns.texts(table)
    names = read_labels(table, label, names_in(table, label, given, recorded))
    return LabelledTexts(texts, pairs, ids(table, label, names, known))
