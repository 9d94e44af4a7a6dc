"""Seeds made out of a run's seed, so that what is random is a function of where it is drawn."""

from __future__ import annotations

import hashlib


def derived_seed(*parts: int | str) -> int:
    """A seed of 32 bits out of a run's seed and, say, an epoch and the index of a row.

    Hashed, since torch's generator of the CPU reads the low 32 bits of a seed and no others: parts that are shifted
    past them change nothing.
    """
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:4], "big")
