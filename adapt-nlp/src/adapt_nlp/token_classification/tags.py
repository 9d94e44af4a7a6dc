"""Tags with and without prefixes, and the entities that they mark."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from adapt_core.errors import AdaptError
from adapt_core.utils.units import listed

Scheme = Literal["IOB1", "IOB2", "IOBES", "BILOU", "plain"]
Entity = tuple[str, int, int]
"""The type, and the first and the last word, counted from 0."""

OUTSIDE = "O"
"""The tag of words that belong to nothing."""

PREFIXED = re.compile(r"([BIELSU])-(.+)", re.DOTALL)

AS_IOBES = {"L": "E", "U": "S"}
"""The prefixes of BILOU as those of IOBES, which seqeval reads."""


def type_of(tag: str) -> str:
    """What a prefixed tag is about: ``PER`` of ``B-PER``."""
    found = PREFIXED.fullmatch(tag)
    return found.group(2) if found else tag


def scheme_of(sentences: Sequence[Sequence[str]], source: str = "The data") -> Scheme:
    """How the tags of sentences mark where entities begin.

    Tags without prefixes are ``plain``. Tags of B, I and O are IOB1 where B stands only between two entities of one
    type that touch (Ramshaw and Marcus 1995), and IOB2, also called BIO, where it begins every entity.

    Raises:
        AdaptError: some tags have prefixes and others have none.
    """
    names = {tag for tags in sentences for tag in tags} - {OUTSIDE}
    prefixes = {found.group(1) for name in names if (found := PREFIXED.fullmatch(name))}
    bare = sorted(name for name in names if not PREFIXED.fullmatch(name))
    if prefixes and bare:
        raise AdaptError(
            f"{source}: some tags have a prefix (B-, I-) and others have none: {listed(bare)}.",
            "Give every tag but O a prefix, or none.",
        )
    if not prefixes:
        return "plain"
    if prefixes & {"L", "U"}:
        return "BILOU"
    if prefixes & {"E", "S"}:
        return "IOBES"
    begins = {tag[:2] for tags in sentences for _, tag in _first_tags(tags)}
    return "IOB1" if "I-" in begins and "B-" not in begins else "IOB2"


def without_begin(tags: Sequence[str]) -> list[int]:
    """The words whose I- tag begins an entity, which is a mistake in IOB2."""
    return [place for place, tag in _first_tags(tags) if tag.startswith("I-")]


def complete(names: Sequence[str], scheme: Scheme) -> list[str]:
    """Names of tags with B- and I- of every type, where the scheme has these two: a data set may lack one of them."""
    if scheme not in ("IOB1", "IOB2"):
        return sorted(names)
    types = {type_of(name) for name in names if name != OUTSIDE}
    return sorted({*names, *(f"{prefix}-{each}" for prefix in "BI" for each in types)})


def entities(tags: Sequence[str], scheme: Scheme) -> list[Entity]:
    """The entities of a sentence, as seqeval and the script of CoNLL find them, whatever the model has put together.

    An I- that follows no tag of its type begins an entity. Of plain tags, neighbours with one tag are an entity.
    """
    from seqeval.metrics.sequence_labeling import get_entities

    return [(str(kind), int(first), int(last)) for kind, first, last in get_entities(for_seqeval(tags, scheme))]


def for_seqeval(tags: Sequence[str], scheme: Scheme) -> list[str]:
    """Tags as seqeval reads them."""
    if scheme == "plain":
        return [tag if tag == OUTSIDE else f"I-{tag}" for tag in tags]
    return [f"{AS_IOBES.get(tag[0], tag[0])}{tag[1:]}" for tag in tags] if scheme == "BILOU" else list(tags)


def _first_tags(tags: Sequence[str]) -> Iterator[tuple[int, str]]:
    """The words behind another type, behind O or at the beginning of a sentence, and their tags."""
    before = OUTSIDE
    for place, tag in enumerate(tags):
        if tag != OUTSIDE and (before == OUTSIDE or type_of(before) != type_of(tag)):
            yield place, tag
        before = tag
