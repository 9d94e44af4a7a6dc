"""The rows of text classification: loaded, checked, split and numbered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from adapt_core.errors import AdaptError
from adapt_nlp.data.columns import LABEL_NAMES, TextColumns, choose, find_text
from adapt_nlp.data.labels import NameOf, given_names, ids, names_in, ordered, read_labels
from adapt_nlp.data.source import open_source
from adapt_nlp.data.splits import counts, divide, fingerprint, is_of_run, other_split, read_split, rows_of_run
from adapt_nlp.data.table import Table
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

    def take(self, rows: Sequence[int]) -> LabelledTexts:
        """These rows, in this order."""
        return LabelledTexts(
            [self.texts[row] for row in rows],
            None if self.pairs is None else [self.pairs[row] for row in rows],
            [self.labels[row] for row in rows],
        )


@dataclass(frozen=True)
class ClassificationRows:
    """What a run trains and evaluates on.

    Attributes:
        train: the training rows, in the order of the data.
        evaluation: the evaluation rows, in the order of the data; None when none were asked for.
        label_names: the labels' names in the order of their ids.
        info: for ``data.json``: ``source``, ``splits`` (the data's own names), ``evaluation`` (where its rows are
            from), ``rows``, ``labels`` (training rows by label name), ``label_names``, ``label_values`` (the names
            by the labels in the data, None where these are the names), ``recorded_names`` (those that the data
            itself has for its numbers, or None), ``columns`` and ``fingerprint``, the SHA-256 of the texts and labels
            used.
    """

    train: LabelledTexts
    evaluation: LabelledTexts | None
    label_names: list[str]
    info: Mapping[str, Any]


def load_classification_data(
    options: TextClassificationData, seed: int, *, evaluate: bool = True, order: Callable[[], Sequence[str]] = list
) -> ClassificationRows:
    """Loads and checks the data of a run.

    Evaluation takes the validation split; without one, a stratified share of the training rows, drawn with the seed,
    is held out. The test split is counted and otherwise left alone.

    Args:
        options: the ``dataset`` section.
        seed: of every draw.
        evaluate: whether evaluation rows are wanted; without them nothing is held out.
        order: gives label names in the order of the ids that a model already gives them; kept if the data has the
            same. Called once the training rows are known to be good.

    Raises:
        UsageError: the configuration names data, splits or columns that are not there.
        AdaptError: the data cannot be trained on; says what is wrong, at which rows, and what to do.
    """
    source = open_source(options)
    roles = source.roles(options)
    table = read_split(source, roles.train)
    columns = find_text(table, options)
    label = choose(table, options.label_column, "dataset.label_column", LABEL_NAMES, "the label", columns.needed)
    given = given_names(options.label_names, table, label)
    recorded = table.class_names.get(label)
    texts, pairs = columns.texts(table)
    names = read_labels(table, label, given)
    known = ordered(names) if given is None else list(given.values())
    preferred = order()
    known = list(preferred) if set(preferred) == set(known) else known
    train = LabelledTexts(texts, pairs, ids(table, label, names, known))
    _more_than_one_class(train, known, table.source)

    train, evaluation, origin = divide(
        train,
        lambda split: _labelled(read_split(source, split), columns, label, given, recorded, known),
        roles,
        options,
        seed,
        evaluate=evaluate,
        none_to_hold_out=AdaptError(
            f"{table.source}: nothing can be held out: every label in column {label!r} has a single row.",
            "Check that this is the column of the label (dataset.label_column). Otherwise add rows or a validation "
            "split, or evaluate nothing with training.do_eval=false (DO_EVAL).",
        ),
    )
    if options.max_train_samples is not None:
        _more_than_one_class(train, known, f"dataset.max_train_samples={options.max_train_samples} of {table.source}")

    of_label = Counter(train.labels)
    info = {
        "source": source.name,
        "splits": asdict(roles),
        "evaluation": origin,
        "rows": counts(train, evaluation, source, roles),
        "labels": {name: of_label[position] for position, name in enumerate(known)},
        "label_names": known,
        "label_values": given,
        "recorded_names": recorded and list(recorded),
        "columns": columns.as_dict() | {"label": label},
        "fingerprint": fingerprint(_used(train), _used(evaluation), known),
    }
    return ClassificationRows(train, evaluation, known, info)


def load_split(
    options: TextClassificationData, source: str | None, split: str | None, info: Mapping[str, Any], seed: int
) -> tuple[LabelledTexts, str]:
    """Rows for evaluating a finished run: all of a split, whatever ``max_eval_samples`` says.

    Args:
        options: the run's ``dataset`` section.
        source: other local data, a file or a folder; None for the run's own.
        split: the name of a split, or ``"train"``, ``"validation"`` or ``"test"`` for what is usually called so. Of
            the run's own data, ``"train"`` and ``"validation"`` are the rows that it trained and evaluated on.
            None: of the run's own data the rows that it evaluated on, of other data the only split.
        info: the run's ``data.json``, whose columns and label names hold here.
        seed: the run's.

    Returns:
        The rows, and in words where they are from.

    Raises:
        UsageError: there is no such data or split.
        AdaptError: the rows cannot be evaluated on, or the run's own rows are no longer the same.
    """
    if is_of_run(source, split):

        def load(evaluate: bool) -> ClassificationRows:
            return load_classification_data(options, seed, evaluate=evaluate, order=lambda: info["label_names"])

        return rows_of_run(load, split, info)
    table = other_split(options, source, split)
    columns = TextColumns.from_dict(info["columns"])
    label, recorded = info["columns"]["label"], info.get("recorded_names")
    return _labelled(table, columns, label, info["label_values"], recorded, info["label_names"]), table.source


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


def _more_than_one_class(rows: LabelledTexts, names: Sequence[str], source: str) -> None:
    present = set(rows.labels)
    if len(present) < 2:
        raise AdaptError(
            f"{source}: all {len(rows)} training rows have one label, {names[min(present)]!r}.",
            "There is nothing to learn from that: train on rows of at least two labels.",
        )


def _used(rows: LabelledTexts | None) -> list[Any] | None:
    """What of rows counts for the fingerprint."""
    return None if rows is None else [rows.texts, rows.pairs, rows.labels]
