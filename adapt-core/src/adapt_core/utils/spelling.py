"""Guesses the name that a mistyped one was meant to be."""

from __future__ import annotations

from collections.abc import Iterable

SHORTEST = 4
"""A shorter text begins too many names to mean one of them."""

LONGEST = 100
"""A longer text is no mistyped name, and comparing it takes long."""


def closest(name: str, names: Iterable[str]) -> str | None:
    """The name that a text abbreviates, or else the one most like it, in any case; None when none is near."""
    import difflib  # Only mistakes need it.

    if len(name) > LONGEST:
        return None
    by_folded = {candidate.lower(): candidate for candidate in names}
    begun = [candidate for folded, candidate in by_folded.items() if folded.startswith(name.lower())]
    if begun and len(name) >= SHORTEST:
        return begun[0]
    found = difflib.get_close_matches(name.lower(), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def nearest(name: str, names: Iterable[str]) -> str:
    """``"; did you mean 'x'?"``, or the list of names when none is near."""
    known = list(names)
    found = closest(name, known)
    if found:
        return f"; did you mean {found!r}?"
    return f"; known: {', '.join(sorted(known))}" if known else ""


def nearest_ending(name: str, names: Iterable[str]) -> str:
    """As :func:`nearest`, among dotted names: by their last parts, first by as many of them as were given."""
    parts = [each.split(".") for each in names]
    last = {each[-1] for each in parts if not each[-1].isdigit()}
    alike = {".".join(each[-name.count(".") - 1 :]) for each in parts}
    found = next((found for known in (alike, last, map(".".join, parts)) if (found := closest(name, known))), None)
    return f"; did you mean {found!r}?" if found else nearest(name, last)
