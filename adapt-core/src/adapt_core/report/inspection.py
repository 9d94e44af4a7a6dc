"""What splits hold, as sections for people and as facts for programs."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from adapt_core.bundles import Inspected, Section

BINS = 12
BAR = 40
"""The most bars of a histogram, and the most characters of a bar."""

MOST_LABELS = 50
"""The most labels, or other values, that are listed; the most frequent ones."""

MOST_AGAIN = 20
"""The most rows that come again which are named."""


def facts(splits: Sequence[Inspected]) -> dict[str, Any]:
    """What ``adapt data --json`` prints: numbers by split, and how many rows any two splits share."""
    return {
        "splits": {split.name: _facts_of(split) for split in splits},
        "shared": [
            {"splits": [one.name, other.name], "rows": _shared(one, other)}
            for index, one in enumerate(splits)
            for other in splits[index + 1 :]
        ],
    }


def sections(splits: Sequence[Inspected]) -> list[Section]:
    """Rows, lengths, numbers, labels and examples of every split."""
    found = [_rows(splits)]
    if notices := [[split.name, text] for split in splits for text in split.notices]:
        found.append(Section("To know", "table", ["split", ""], notices))
    if again := _again(splits):
        found.append(again)
    if any(split.numbers for split in splits):
        found.append(_spreads(splits))
    found += [_histogram(split) for split in splits if split.lengths]
    for what in dict.fromkeys(what for split in splits for what in split.counts):
        found.append(_counts(what.capitalize(), what, splits, [split.counts.get(what, {}) for split in splits]))
    if any(split.labels for split in splits):
        found.append(_counts("Labels", "label", splits, [split.labels for split in splits]))
    return found + [section for split in splits for section in split.examples]


def _facts_of(split: Inspected) -> dict[str, Any]:
    known: Mapping[str, Any] = {}
    if split.lengths:
        shortest, median, longest = _spread(split.lengths)
        known = {
            "unit": split.unit,
            "limit": split.limit,
            "shortest": shortest,
            "median": median,
            "longest": longest,
            "beyond_limit": sum(length > split.limit for length in split.lengths) if split.limit else 0,
        }
    return {
        "rows": len(split.keys),
        "duplicates": len(split.keys) - len(set(split.keys)),
        "lengths": dict(known),
        "numbers": {
            what: dict(zip(("least", "median", "most"), _spread(values), strict=True))
            for what, values in split.numbers.items()
            if values
        },
        "counts": {what: dict(counts) for what, counts in split.counts.items()},
        "labels": dict(split.labels),
        "notices": list(split.notices),
    }


def _spread(values: Sequence[float]) -> tuple[float, float, float]:
    """The least, the median (of an even number the upper one) and the most of some numbers."""
    ordered = sorted(values)
    return ordered[0], ordered[len(ordered) // 2], ordered[-1]


def _shared(one: Inspected, other: Inspected) -> int:
    """Rows of the second split that the first one has too."""
    there = set(one.keys)
    return sum(key in there for key in other.keys)


def _rows(splits: Sequence[Inspected]) -> Section:
    rows = []
    measured = any(split.lengths for split in splits)
    cut = any(split.limit for split in splits)
    for split in splits:
        known = _facts_of(split)
        lengths = known["lengths"]
        also = ", ".join(
            f"{count:,} in {other.name}" for other in splits if other is not split and (count := _shared(other, split))
        )
        row = [split.name, known["rows"], known["duplicates"], also or "none"]
        if measured:
            row += [lengths.get(name, "") for name in ("shortest", "median", "longest")]
        if measured and cut:
            row.append(f"{lengths['beyond_limit'] / known['rows']:.1%}" if lengths and lengths["limit"] else "")
        rows.append(row)
    columns = ["split", "rows", "duplicates", "also elsewhere"]
    if measured:
        unit = next(split.unit for split in splits if split.lengths)
        columns += [f"fewest {unit}", "median", "most"]
    if measured and cut:
        columns.append("beyond the limit")
    return Section("Rows", "table", columns, rows)


def _again(splits: Sequence[Inspected]) -> Section | None:
    """Rows that have come before, in their split or in one before it, where rows have names."""
    first: dict[Hashable, tuple[str, str]] = {}
    rows = []
    for split in splits:
        for key, name in zip(split.keys, split.names, strict=bool(split.names)):
            if key in first:
                rows.append([split.name, name, *first[key]])
            first.setdefault(key, (split.name, name))
    if not rows:
        return None
    title = "Rows that come again" + (f": the first {MOST_AGAIN} of {len(rows):,}" if len(rows) > MOST_AGAIN else "")
    return Section(title, "table", ["split", "row", "first in", "as"], rows[:MOST_AGAIN])


def _spreads(splits: Sequence[Inspected]) -> Section:
    rows = [
        [what, split.name, *_spread(split.numbers[what])]
        for what in dict.fromkeys(what for split in splits for what in split.numbers)
        for split in splits
        if split.numbers.get(what)
    ]
    return Section("Numbers", "table", ["what", "split", "least", "median", "most"], rows)


def _histogram(split: Inspected) -> Section:
    """Bars of rows by length. The limit, where there is one, ends a bar, so that what is cut stands by itself."""
    first, last = min(split.lengths), max(split.lengths)
    width = max(1, -(-(last - first + 1) // BINS))
    starts = list(range(first, last + 1, width))
    cut = split.limit + 1 if split.limit and first <= split.limit < last else None
    starts = sorted({*starts, *([cut] if cut else [])})
    counts = [0] * len(starts)
    for length in split.lengths:
        counts[max(index for index, start in enumerate(starts) if start <= length)] += 1
    rows = []
    for start, end, count in zip(starts, [*(each - 1 for each in starts[1:]), last], counts, strict=True):
        bar = "█" * round(BAR * count / max(counts)) or ("▏" if count else "")
        row = [f"{start} to {end}" if end > start else str(start), count, bar]
        rows.append([*row, "✂" if start >= cut else ""] if cut else row)
    title = f"{split.unit.capitalize()} a row, {split.name}"
    if split.limit:
        title += f" (the limit is {split.limit})"
    return Section(title, "table", [split.unit, "rows", "", *(["beyond"] if cut else [])], rows)


def _counts(title: str, what: str, splits: Sequence[Inspected], counts: Sequence[Mapping[str, int]]) -> Section:
    """How often each value comes in each split, the most frequent first."""
    totals: dict[str, int] = {}
    for each in counts:
        for value, count in each.items():
            totals[value] = totals.get(value, 0) + count
    shown = sorted(totals, key=lambda value: (-totals[value], value))[:MOST_LABELS]
    if len(shown) < len(totals):
        title = f"{title}: the {MOST_LABELS} most frequent of {len(totals)}"
    rows = [[value, *(each.get(value, 0) for each in counts)] for value in shown]
    return Section(title, "table", [what, *(split.name for split in splits)], rows)
