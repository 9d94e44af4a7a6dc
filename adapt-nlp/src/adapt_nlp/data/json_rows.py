"""Reads JSON: objects in lines, a list of them, or an object of columns."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from adapt_core.errors import AdaptError
from adapt_core.utils.units import listed
from adapt_nlp.data.table import Table
from adapt_nlp.data.views import BATCH


def is_json_lines(lines: Iterator[str]) -> bool:
    """Whether a ``.json`` file is JSON lines: its first line is an object by itself, and more follows."""
    first = next(line for line in lines if line.strip())
    if not any(line.strip() for line in lines):
        return False
    try:
        return isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def json_line_parts(source: str, lines: Iterator[str]) -> Iterator[Table]:
    """The objects of JSON lines, some at a time; a key that a row lacks is None there. Blank lines are none.

    Raises:
        AdaptError: a line is no JSON, or no object; says which.
    """
    records: list[dict[str, Any]] = []
    numbers: list[int] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        record = _parse(line.rstrip("\n"), f"{source}, line {number}")
        if not isinstance(record, dict):
            raise AdaptError(
                f"{source}, line {number}: a JSON object is needed, and this is {_kind(record)}.",
                'Write one row a line: {"text": "…", "label": "…"}.',
            )
        records.append(record)
        numbers.append(number)
        if len(records) == BATCH:
            yield Table(source, _by_column(records), len(records), numbers)
            records, numbers = [], []
    if records:
        yield Table(source, _by_column(records), len(records), numbers)


def json_parts(source: str, text: str) -> Iterator[Table]:
    """The rows of a JSON document, which is read whole.

    It is a list of objects, an object with one such list (``{"data": […]}``), or an object of columns.

    Raises:
        AdaptError: it is malformed, or none of these.
    """
    yield _json(source, text)


def _json(source: str, text: str) -> Table:
    content = _parse(text, source)
    if isinstance(content, dict):
        tables = [value for value in content.values() if _is_records(value)]
        columns = {key: value for key, value in content.items() if isinstance(value, list)}
        if len(tables) == 1:
            content = tables[0]
        elif not tables and columns and len(columns) == len(content):
            sizes = {key: len(value) for key, value in columns.items()}
            if len(set(sizes.values())) > 1:
                lengths = listed([f"{key}: {size}" for key, size in sizes.items()])
                raise AdaptError(
                    f"{source}: its columns differ in length ({lengths}).", "Give all of them equally many values."
                )
            return Table(source, columns, next(iter(sizes.values())))
    if not isinstance(content, list):
        raise AdaptError(f"{source} does not hold rows.", 'Write a list of objects: [{"text": "…", "label": "…"}, …].')
    wrong = next((row for row, record in enumerate(content) if not isinstance(record, dict)), None)
    if wrong is not None:
        raise AdaptError(
            f"{source}, row {wrong + 1}: a JSON object is needed, and this is {_kind(content[wrong])}.",
            'Write a list of objects: [{"text": "…", "label": "…"}, …].',
        )
    return Table(source, _by_column(content), len(content))


def _parse(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}" if "\n" in text else f"column {error.colno}"
        raise AdaptError(f"{place}: malformed JSON at {where}: {error.msg}.", "Correct the file.") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; nesting without end
        raise AdaptError(f"{place}: JSON that cannot be read: {error}.", "Correct the file.") from error


def _is_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(record, dict) for record in value)


def _by_column(records: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Rows as columns, in the order in which their keys first appear; a key that a row lacks is None there."""
    names = dict.fromkeys(key for record in records for key in record)
    return {name: [record.get(name) for record in records] for name in names}


def _kind(value: Any) -> str:
    names = {list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number", type(None): "null"}
    return names.get(type(value), type(value).__name__)
