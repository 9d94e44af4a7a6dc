"""Labels by name, whatever stands in the data: text, integers, booleans, or integers with names of their own."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from adapt_core.errors import AdaptError, UsageError
from adapt_core.utils.units import listed, shortened
from adapt_nlp.data.columns import column, half_a_pair
from adapt_nlp.data.options import LabelNames, check_label_names
from adapt_nlp.data.table import Table

INTEGER = re.compile(r"0|-?[1-9][0-9]*")
WHOLE = re.compile(r"[-+]?[0-9]+")
NUMBER = re.compile(r"[-+]?(([0-9]+[.,]?[0-9]*|[.,][0-9]+)([eE][-+]?[0-9]+)?|nan|inf(inity)?)", re.IGNORECASE)
NO_VALUE = ("na", "n/a", "#n/a", "none", "null", "-", "?")
"""What stands in a column of numbers where there is none, in any case."""

TYPE_NAMES = {str: "text", int: "whole numbers", bool: "booleans"}

KEY = "dataset.label_names"

NAMES_FIRST = (
    "what {0} there are must be known before the first row is trained on; name all that column {1!r} may hold in "
    "dataset.label_names"
)

NameOf = Mapping[str, str]
"""The name of a label by the text of its value in the data, in the order of the labels' ids."""


def given_names(names: LabelNames | None, table: Table, label: str) -> NameOf | None:
    """The names that the configuration gives the labels, else those that the data records; None for neither.

    Raises:
        UsageError: the file of names cannot be used.
    """
    if isinstance(names, str):
        return _from_file(Path(names))
    if names is None:
        names = list(table.class_names.get(label, ())) or None
    if isinstance(names, dict):
        return {str(value): name for value, name in names.items()}
    return None if names is None else by_position(names)


def names_in(table: Table, label: str, given: NameOf | None, recorded: Sequence[str] | None) -> NameOf | None:
    """The names that the labels of another split or file than the training one are read with.

    Where it records names of its own, its numbers mean these, whatever they mean in the training rows.

    Args:
        table: the rows.
        label: their column of labels.
        given: what :func:`given_names` found for the training rows.
        recorded: the names that the training data itself records for its numbers, in their order; None where none.
    """
    own = table.class_names.get(label)
    if own is None or list(own) == list(recorded or ()):
        return given
    called = dict(given or {})
    called |= {name: called[str(number)] for number, name in enumerate(recorded or ()) if str(number) in called}
    return by_position([called.get(name, name) for name in own])


def by_position(names: Sequence[str]) -> NameOf:
    """Names of the labels 0, 1, 2, …."""
    return {str(position): name for position, name in enumerate(names)}


def read_labels(table: Table, label: str, names: NameOf | None) -> list[str]:
    """The name of every row's label.

    An integer, and text that is one, is looked up in ``names``; text that is itself a name is taken as it is. Without
    ``names`` a label is called what stands in the data.

    Raises:
        AdaptError: labels are missing, are not text, whole numbers or booleans, are not valid Unicode, or are not among
            the names.
    """
    values = column(table, label)
    hidden = -1 if label in table.class_names else None  # how ``datasets`` writes that a row has no label
    missing = [
        row
        for row, value in enumerate(values)
        if value is None or value == hidden or (isinstance(value, str) and not value.strip())
    ]
    if missing:
        raise AdaptError(
            f"{table.source}: the label is missing in column {label!r} at {table.place(missing)} "
            f"({len(missing)} of {len(values)} rows).",
            "Give these rows a label or remove them.",
        )
    _check_type(table, label, values)
    if names is None and (fractions := _fractions(values)):
        raise _no_class(table, label, values, [row for row, value in enumerate(values) if value in fractions])
    if broken := {value for value in set(values) if isinstance(value, str) and half_a_pair(value)}:
        raise AdaptError(
            f"{table.source}: column {label!r} is not valid Unicode at "
            f"{table.place([row for row, value in enumerate(values) if value in broken])}: half a surrogate pair.",
            "Write these labels again from their source, or remove the rows.",
        )
    name_of = {value: _name(value, names) for value in set(values)}
    outside = [value for value, name in name_of.items() if name is None]
    if outside and names is not None:
        known = [f"{value} ({name})" for value, name in names.items()]
        raise _outside(table, label, [str(value) for value in values], set(map(str, outside)), known)
    return [str(name_of[value]) for value in values]


def ordered(names: Iterable[str]) -> list[str]:
    """The labels' names in the order of their ids: whole numbers by value, anything else by its letters' codes."""
    distinct = set(names)
    if all(INTEGER.fullmatch(name) for name in distinct):
        return sorted(distinct, key=int)
    return sorted(distinct)


def ids(table: Table, label: str, names: Sequence[str], known: Sequence[str]) -> list[int]:
    """The id of every row's label: its place among the known ones.

    Raises:
        AdaptError: a label is not among them; says which, how many and where.
    """
    id_of = {name: position for position, name in enumerate(known)}
    if not set(names) <= set(known):
        raise _outside(table, label, names, set(names) - set(known), [repr(name) for name in known])
    return [id_of[name] for name in names]


def _name(value: str | int | bool, names: NameOf | None) -> str | None:
    text = str(value)
    if names is None:
        return text
    if isinstance(value, bool) and text not in names:
        text = str(int(value))
    return names.get(text, text if isinstance(value, str) and text in names.values() else None)


def _check_type(table: Table, label: str, values: Sequence[Any]) -> None:
    """Raises AdaptError unless the labels are all text, all whole numbers or all booleans."""
    wrong = [row for row, value in enumerate(values) if not isinstance(value, (str, int))]
    if wrong:
        raise _no_class(table, label, values, wrong)
    kinds = Counter(map(type, values))
    if len(kinds) > 1:
        common = kinds.most_common(1)[0][0]
        other = [row for row, value in enumerate(values) if type(value) is not common]
        raise AdaptError(
            f"{table.source}: column {label!r} mixes labels of different types; most are {TYPE_NAMES[common]}, and not "
            f"{values[other[0]]!r} at {table.place(other[:1])} ({len(other)} of {len(values)} rows).",
            "Write all labels as text or all as whole numbers.",
        )


def _fractions(values: Sequence[Any]) -> set[str]:
    """The labels that are numbers and no whole ones, where all labels are numbers, as text: a measure, no class."""
    texts = {value for value in values if isinstance(value, str)}
    numbers = {text for text in texts if NUMBER.fullmatch(text.strip())}
    if not all(text in numbers or text.strip().lower() in NO_VALUE for text in texts):
        return set()
    return {text for text in numbers if not WHOLE.fullmatch(text.strip())}


def _no_class(table: Table, label: str, values: Sequence[Any], rows: Sequence[int]) -> AdaptError:
    """The error for labels that are no classes: numbers with a fraction, lists, objects."""
    return AdaptError(
        f"{table.source}: column {label!r} holds labels that are neither text nor whole numbers at "
        f"{table.place(rows)}, the first of them {shortened(values[rows[0]])}.",
        "A class is text, a whole number (1, not 1.0) or a boolean, one a row. Put numbers with a fraction into "
        f"classes first; where they are the names of classes, list them, quoted, in {KEY}.",
    )


def _outside(table: Table, label: str, labels: Sequence[str], outside: set[str], known: Sequence[str]) -> AdaptError:
    """The error for labels that are not among the known ones, which are shown as they are given here."""
    rows = [row for row, name in enumerate(labels) if name in outside]
    counts = Counter(labels[row] for row in rows)
    which = listed([f"{name!r} ({count} row{'s' if count > 1 else ''})" for name, count in counts.most_common()])
    return AdaptError(
        f"{table.source}: column {label!r} has labels that are not among the {len(known)} training labels: {which}; "
        f"at {table.place(rows)}.",
        f"The training labels are {listed(known)}. Correct or remove these rows, add training rows with their labels, "
        f"or change {KEY}.",
    )


def _from_file(path: Path) -> NameOf:
    """Names in a ``.json`` file (a list, or a mapping from or to the label) or a ``.txt`` file, one a line."""
    if not path.is_file():
        raise UsageError(f"{KEY}: there is no file {path}.", "Check the path, or give the names themselves as a list.")
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".txt":
            content: Any = [line.strip() for line in text.strip().split("\n")]
        else:
            content = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:  # ValueError: not UTF-8, or not JSON
        raise UsageError(f"{KEY}: {path} cannot be read: {error}.", _FILE_HINT) from error
    if isinstance(content, dict) and content and all(type(value) is int for value in content.values()):
        content = {value: name for name, value in sorted(content.items(), key=lambda item: item[1])}
    names = list(content.values()) if isinstance(content, dict) else content
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UsageError(f"{KEY}: {path} does not hold names.", _FILE_HINT)
    try:
        check_label_names(names)
    except ValueError as error:
        raise UsageError(f"{KEY}: {path}: {error}.", _FILE_HINT) from error
    return {str(value): name for value, name in content.items()} if isinstance(content, dict) else by_position(names)


_FILE_HINT = 'Write a JSON list of names (["negative", "positive"]) or a mapping ({"0": "negative", "1": "positive"}).'
