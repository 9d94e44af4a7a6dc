"""The ``dataset`` section of the language tasks. Imports nothing heavy: it is loaded to check a configuration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from string import Formatter
from typing import Self

from pydantic import model_validator

from adapt_core.config.sections import DatasetOptions
from adapt_core.options import option
from adapt_core.utils.spelling import nearest

FORMAT_STRING = "format_string (FORMAT_STRING)"
FORMAT_NAMES = "format_names (FORMAT_NAMES)"

LabelNames = str | list[str] | dict[int, str] | dict[str, str]
"""Names of labels: a file's path, a list by number, or a mapping from the label in the data."""


class SplitDataOptions(DatasetOptions):
    """What every language task may say of its data, beside where it is: which split is for what."""

    train_split: str | None = option(
        None, min_length=1, help="Name of the training split; by default train, found by its usual names."
    )
    validation_split: str | None = option(
        None,
        min_length=1,
        help="Name of the split to evaluate on; by default validation, val, dev or eval, or a part of train.",
    )
    test_split: str | None = option(
        None, min_length=1, help="Name of the test split, which no training run evaluates on; by default test."
    )
    streaming: bool = option(
        False,
        help="Read the training rows while they are trained on, for data that fits on no disk; needs "
        "training.max_steps, and a validation split or training.do_eval=false.",
    )
    shuffle_buffer: int = option(
        1000,
        ge=0,
        help="Of a stream, the rows that are in memory to draw the next one from; 0 keeps the order of the data.",
    )
    num_proc: int | None = option(
        None,
        gt=0,
        help="Processes that prepare rows before training; by default one for every 50,000 rows, at most one a core.",
    )
    cache_dir: str | None = option(
        None,
        path="new",
        min_length=1,
        help="Folder in which prepared rows are kept for the next run; by default $ADAPT_CACHE, or ~/.cache/adapt.",
    )

    @model_validator(mode="after")
    def _splits_differ(self) -> Self:
        repeated = first_repeated((self.train_split, self.validation_split, self.test_split))
        if repeated is not None:
            raise ValueError(f"train_split, validation_split and test_split must differ; {repeated!r} is given twice")
        return self


class TextDataOptions(SplitDataOptions):
    """What a task that reads texts may say beside that: how columns make a text."""

    format_string: str | None = option(
        None,
        flat="FORMAT_STRING",
        min_length=1,
        help="A Python format string that makes the text from the columns in format_names; empty cells give nothing.",
    )
    format_names: list[str] | None = option(
        None, flat="FORMAT_NAMES", min_length=1, help="The columns that format_string uses, in the order of its {}."
    )

    @model_validator(mode="after")
    def _format_fits_names(self) -> Self:
        if self.format_string is not None and self.format_names is not None:
            _check_format(self.format_string, self.format_names)
        elif self.format_string is not None:
            raise ValueError(f"{FORMAT_STRING} needs {FORMAT_NAMES} beside it")
        elif self.format_names is not None:
            raise ValueError(f"{FORMAT_NAMES} needs {FORMAT_STRING} beside it")
        return self


def check_label_names(names: Sequence[str]) -> None:
    """Raises ValueError for names that cannot tell labels apart."""
    if len(names) < 2:
        raise ValueError(f"at least two label names are needed; there is {len(names)}")
    repeated = first_repeated(names)
    if repeated is not None:
        raise ValueError(f"every label needs its own name; {repeated!r} is given twice")
    if not all(name.strip() for name in names):
        raise ValueError("a label name is empty")


def first_repeated(values: Iterable[str | None]) -> str | None:
    """The first value that has stood before; None is no value."""
    seen: set[str] = set()
    for value in values:
        if value is not None and value in seen:
            return value
        if value is not None:
            seen.add(value)
    return None


def _check_format(format_string: str, names: Sequence[str]) -> None:
    """Raises ValueError unless the placeholders are plain ones and use exactly the names.

    Attributes and indices of a value are refused, since ``{a.__class__}`` reaches into the running program.
    """
    repeated = first_repeated(names)
    if repeated is not None:
        raise ValueError(f"{FORMAT_NAMES} has {repeated!r} twice")
    try:
        parts = list(Formatter().parse(format_string))
    except ValueError as error:
        raise ValueError(
            f"{FORMAT_STRING} cannot be read: {error}; a brace in the text is written {{{{ or }}}}"
        ) from error
    used: set[str] = set()
    positions: list[int] = []
    numbered: set[bool] = set()
    for _, field, spec, conversion in parts:
        if field is None:  # text without a placeholder
            continue
        if "{" in (spec or ""):
            raise ValueError(f"{FORMAT_STRING} has a placeholder inside another, {{{field}:{spec}}}")
        if conversion not in (None, "s", "r", "a"):
            raise ValueError(f"{FORMAT_STRING} has the conversion !{conversion}; there are !s, !r and !a")
        if "." in field or "[" in field:
            raise ValueError(
                f"{FORMAT_STRING} may not take a part of a value, as {{{field}}} does; a column with such a name is "
                "written {} and named by its place in " + FORMAT_NAMES
            )
        if field == "" or (field.isascii() and field.isdecimal()):
            numbered.add(field != "")
            positions.append(int(field) if field else len(positions))
        elif field in names:
            used.add(field)
        else:
            raise ValueError(
                f"{FORMAT_STRING} uses {{{field}}}, which {FORMAT_NAMES} does not have{nearest(field, names)}"
            )
    if len(numbered) == 2:
        raise ValueError(f"{FORMAT_STRING} mixes {{}} and numbered placeholders; use one of them")
    if positions and max(positions) >= len(names):
        raise ValueError(f"{FORMAT_STRING} uses {max(positions) + 1} values and {FORMAT_NAMES} has {len(names)}")
    used.update(names[position] for position in positions)
    unused = [name for name in names if name not in used]
    if unused:
        raise ValueError(f"{FORMAT_NAMES} has {unused[0]!r}, which {FORMAT_STRING} does not use")
