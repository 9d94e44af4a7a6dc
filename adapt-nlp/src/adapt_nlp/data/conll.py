"""Reads CoNLL: a word and its tags in each line, and a blank line between sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from adapt_core.errors import AdaptError
from adapt_core.utils.units import listed
from adapt_nlp.data.table import Table, joined
from adapt_nlp.data.views import BATCH

UNIVERSAL = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
"""The columns of CoNLL-U (https://universaldependencies.org/format.html)."""

NAMES = {
    2: ("tokens", "tags"),
    3: ("tokens", "pos_tags", "chunk_tags"),  # CoNLL-2000
    4: ("tokens", "pos_tags", "chunk_tags", "ner_tags"),  # CoNLL-2003
}
"""What columns without names are called here, by their number."""


def read_conll(source: str, lines: Sequence[str], *, universal: bool = False) -> Table:
    """A table of sentences in memory; see :func:`conll_parts`."""
    return joined(source, list(conll_parts(source, lambda: lines, universal=universal)))


def conll_parts(source: str, lines: Callable[[], Iterable[str]], *, universal: bool = False) -> Iterator[Table]:
    """Sentences, some at a time. Columns are lists of text, one entry a word.

    Cells are separated by tabs, or by spaces in a file without tabs. Left out are lines of ``-DOCSTART-``, and comments
    before a sentence's first word: of CoNLL-U every line that begins with ``#``; of other files those that begin with
    ``# `` and have not as many cells as a word has, or hold a ``=`` (``# id = 7``). Left out of CoNLL-U are also the
    lines of contractions (``1-2``) and of words that are not written (``5.1``).

    Args:
        source: the file's name.
        lines: gives the lines of the file, from the first.
        universal: whether it is CoNLL-U. The columns have its names then, else those of :data:`NAMES`, else ``tokens``,
            ``column 2``, ``column 3``, and so on.

    Raises:
        AdaptError: a line has fewer or more cells than others, or there are no words; names the lines.
    """
    mark = "\t" if any("\t" in line.strip(" \t\r\n") for line in lines()) else " "
    width = len(UNIVERSAL) if universal else None
    sentences: list[list[list[str]]] = []
    begins: list[int] = []
    uneven: list[tuple[int, int]] = []
    between, first = True, 0  # between sentences; the line of the first word of all
    for number, whole in enumerate(lines(), start=1):
        line = whole.strip(" \t\r\n")
        cells = [cell.strip(" ") for cell in line.split(mark) if cell or mark == "\t"]
        if not line:
            between = True
        elif not (between and _is_comment(line, len(cells), width, universal)) and not _is_no_word(cells, universal):
            width, first = width or len(cells), first or number
            if len(cells) != width:
                uneven.append((number, len(cells)))
            if between:
                if len(sentences) >= BATCH and width > 1 and not uneven:
                    yield _table(source, sentences, begins, width, universal)
                    sentences, begins = [], []
                if uneven:  # the rest is read for its uneven lines alone
                    sentences, begins = [], []
                sentences.append([])
                begins.append(number)
            sentences[-1].append(cells)
            between = False
    if uneven:
        raise _uneven(source, uneven, width or 0, universal, mark)
    if not sentences or width is None:
        raise AdaptError(f"{source} holds no words.", "Write a word and its tag in each line, separated by a tab.")
    if width == 1:
        raise AdaptError(
            f"{source}, line {first}: one cell, and a word and its tag are needed.",
            "Separate the word and its tags by a tab or a space.",
        )
    yield _table(source, sentences, begins, width, universal)


def _table(
    source: str, sentences: Sequence[Sequence[Sequence[str]]], begins: Sequence[int], width: int, universal: bool
) -> Table:
    names = UNIVERSAL if universal else NAMES.get(width) or ("tokens", *(f"column {n}" for n in range(2, width + 1)))
    columns = {name: [[word[place] for word in each] for each in sentences] for place, name in enumerate(names)}
    return Table(source, columns, len(sentences), begins)


def _is_comment(line: str, cells: int, width: int | None, universal: bool) -> bool:
    """Whether a line between two sentences is none of a word's: a word may be ``#`` or begin with it."""
    if universal:
        return line.startswith("#")
    return line.startswith("# ") and ("=" in line or cells != (width or cells))


def _is_no_word(cells: Sequence[str], universal: bool) -> bool:
    """Whether the first cell of a line tells that it is no word of the text."""
    first = cells[0]
    return first == "-DOCSTART-" or (universal and first[:1].isdecimal() and not first.isdecimal())


def _uneven(source: str, uneven: Sequence[tuple[int, int]], width: int, universal: bool, mark: str) -> AdaptError:
    number, cells = uneven[0]
    others = f" ({len(uneven)} such lines: {listed([line for line, _ in uneven])})" if len(uneven) > 1 else ""
    have = "CoNLL-U has" if universal else "the first word's line has"
    by = "tabs" if mark == "\t" else "spaces"
    return AdaptError(
        f"{source}, line {number}: {cells} cell{'s' * (cells != 1)}, and {have} {width}{others}.",
        f"Give every line {width} cells, separated by {by}, and put a blank line between sentences.",
    )
