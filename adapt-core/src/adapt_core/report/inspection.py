"""What splits hold, as sections for people and as facts for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapt_core.bundles import Inspected, Section

BINS = 12
BAR = 40
"""The most bars of a histogram, and the most characters of a bar."""

MOST_LABELS = 50
"""The most labels that are listed; the most frequent ones."""


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
    """Rows, lengths, labels and examples of every split."""
    found = [_rows(splits)]
    if notices := [[split.name, text] for split in splits for text in split.notices]:
        found.append(Section("To know", "table", ["split", ""], notices))
    found += [_histogram(split) for split in splits if split.lengths]
    if any(split.labels for split in splits):
        found.append(_labels(splits))
    return found + [section for split in splits for section in split.examples]


def _facts_of(split: Inspected) -> dict[str, Any]:
    lengths = sorted(split.lengths)
    known: Mapping[str, Any] = {}
    if lengths:
        known = {
            "unit": split.unit,
            "limit": split.limit,
            "shortest": lengths[0],
            "median": lengths[len(lengths) // 2],
            "longest": lengths[-1],
            "beyond_limit": sum(length > split.limit for length in lengths) if split.limit else 0,
        }
    return {
        "rows": len(split.keys),
        "duplicates": len(split.keys) - len(set(split.keys)),
        "lengths": dict(known),
        "labels": dict(split.labels),
        "notices": list(split.notices),
    }


def _shared(one: Inspected, other: Inspected) -> int:
    """Rows of the second split that the first one has too."""
    there = set(one.keys)
    return sum(key in there for key in other.keys)


def _rows(splits: Sequence[Inspected]) -> Section:
    rows = []
    for split in splits:
        known = _facts_of(split)
        lengths = known["lengths"]
        beyond = f"{lengths['beyond_limit'] / known['rows']:.1%}" if lengths and lengths["limit"] else ""
        also = ", ".join(
            f"{count:,} in {other.name}" for other in splits if other is not split and (count := _shared(other, split))
        )
        spread = [lengths.get(name, "") for name in ("shortest", "median", "longest")]
        rows.append([split.name, known["rows"], known["duplicates"], also or "none", *spread, beyond])
    unit = next((split.unit for split in splits if split.lengths), "tokens")
    columns = ["split", "rows", "duplicates", "also elsewhere", f"fewest {unit}", "median", "most", "beyond the limit"]
    return Section("Rows", "table", columns, rows)


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
        rows.append(
            [f"{start} to {end}" if end > start else str(start), count, bar, "✂" if cut and start >= cut else ""]
        )
    title = f"{split.unit.capitalize()} a row, {split.name}"
    if split.limit:
        title += f" (the limit is {split.limit})"
    return Section(title, "table", [split.unit, "rows", "", "beyond"], rows)


def _labels(splits: Sequence[Inspected]) -> Section:
    totals: dict[str, int] = {}
    for split in splits:
        for label, count in split.labels.items():
            totals[label] = totals.get(label, 0) + count
    shown = sorted(totals, key=lambda label: (-totals[label], label))[:MOST_LABELS]
    title = "Labels" if len(shown) == len(totals) else f"Labels: the {MOST_LABELS} most frequent of {len(totals)}"
    rows = [[label, *(split.labels.get(label, 0) for split in splits)] for label in shown]
    return Section(title, "table", ["label", *(split.name for split in splits)], rows)
