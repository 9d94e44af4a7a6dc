"""Seeds derived from a run's seed, so that what is drawn depends only on where it is drawn."""

from __future__ import annotations

import hashlib


def derived_seed(*parts: int | str) -> int:
    """A 32-bit seed from a run's seed and further parts, such as an epoch and the index of a row.

    The parts are hashed: torch's CPU generator reads only the low 32 bits of a seed, so that parts shifted beyond these
    would change nothing.
    """
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:4], "big")
