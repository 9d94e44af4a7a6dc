"""Texts and targets as token ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from datasets import Value
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase

from adapt_core.errors import AdaptError
from adapt_nlp.data.preprocessing import Preprocessing
from adapt_nlp.data.splits import fingerprint
from adapt_nlp.data.views import sizes
from adapt_nlp.tokenizer import require_known_tokens

Encode = Callable[[Sequence[str], int | None], list[list[int]]]
"""Token ids of texts with what stands around each, whole, or cut to a length."""


@dataclass(frozen=True)
class EncodedPairs(Dataset[dict[str, Any]]):
    """Token ids of rows, unpadded; a map-style data set.

    Attributes:
        input_ids: of each text.
        labels: of each target.
        whole_inputs, whole_targets: how many tokens they had before they were cut.
    """

    input_ids: Sequence[list[int]]
    labels: Sequence[list[int]]
    whole_inputs: Sequence[int]
    whole_targets: Sequence[int]

    @property
    def lengths(self) -> Sequence[int]:
        """Tokens of each text."""
        found: Sequence[int] = sizes(self.input_ids)
        return found

    @property
    def target_lengths(self) -> Sequence[int]:
        """Tokens of each target."""
        found: Sequence[int] = sizes(self.labels)
        return found

    @property
    def cut_inputs(self) -> int:
        """How many texts were longer than they are."""
        return _longer(self.whole_inputs, self.input_ids)

    @property
    def cut_targets(self) -> int:
        """How many targets were longer than they are."""
        return _longer(self.whole_targets, self.labels)

    def __len__(self) -> int:
        return len(self.input_ids)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """``{"input_ids": […], "labels": […]}``."""
        return {"input_ids": self.input_ids[row], "labels": self.labels[row]}


COUNTS = {"whole_inputs": Value("int32"), "whole_targets": Value("int32")}


def encode_pairs(
    inputs: Encode,
    targets: Encode,
    preprocessing: Preprocessing,
    what: str,
    texts: Sequence[str],
    written: Sequence[str],
    *,
    made_of: Sequence[Any],
    longest_input: int,
    longest_target: int,
    around: str,
    place: Callable[[Sequence[int]], str],
    source: str,
) -> EncodedPairs:
    """Encodes texts and targets, with what stands around each of them, through the cache.

    Args:
        inputs: encodes texts.
        targets: encodes targets.
        preprocessing: with the cache.
        what: what the rows are called, for a person.
        texts: one a row.
        written: the targets of the same rows.
        made_of: all that these two depend on, as JSON.
        longest_input: the most tokens of a text, what stands around it among them.
        longest_target: the most tokens of a target.
        around: what stands around each text, for messages.
        place: says where rows stand in the data, by their numbers.
        source: what the data are called.

    Raises:
        AdaptError: the tokenizer makes nothing of a text or a target, or the lengths have no room for any token.
    """
    make = partial(columns, inputs, targets, texts, written, longest_input, longest_target, around)
    key = (fingerprint(texts, written), *made_of, longest_input, longest_target)
    given = preprocessing.encoded(what, len(texts), make, COUNTS, *key).columns
    return _whole(inputs, targets, given, place, source)


def _whole(
    inputs: Encode,
    targets: Encode,
    given: Mapping[str, Sequence[Any]],
    place: Callable[[Sequence[int]], str],
    source: str,
) -> EncodedPairs:
    """Encoded rows of which none is empty."""
    for part, name, encode in (("text", "input_ids", inputs), ("target", "labels", targets)):
        bare = encode([""], None)[0]
        short = [row for row, length in enumerate(sizes(given[name])) if length <= len(bare)]
        # Not by their number alone: a word may be one token with the space before it.
        empty = [row for row in short if list(given[name][row]) == bare[: len(given[name][row])]]
        if empty:
            raise AdaptError(
                f"{source}: the tokenizer makes no token of the {part} at {place(empty)}.",
                "Remove these rows: they hold nothing but characters that it drops.",
            )
    return EncodedPairs(given["input_ids"], given["labels"], given["whole_inputs"], given["whole_targets"])


def streamed(
    inputs: Encode,
    targets: Encode,
    tokenizer: PreTrainedTokenizerBase,
    module: Any,
    longest_input: int,
    longest_target: int,
    around: str,
    rows: Callable[[EncodedPairs], tuple[Any, Any]],
    pairs: Any,
) -> Iterator[dict[str, Any]]:
    """The same of some rows of a stream, in memory, as the model is trained on them.

    Raises:
        AdaptError: a row has no tokens, or one that the model does not know.
    """
    texts, written = pairs.texts, pairs.targets
    given = columns(inputs, targets, texts, written, longest_input, longest_target, around, 0, len(texts))
    encoded = _whole(inputs, targets, given, pairs.place, pairs.table.source)
    require_known_tokens(tokenizer, module, encoded.input_ids, texts)
    require_known_tokens(tokenizer, module, encoded.labels, written)
    made = rows(encoded)[0]
    return (made[row] for row in range(len(made)))


def columns(
    inputs: Encode,
    targets: Encode,
    texts: Sequence[str],
    written: Sequence[str],
    longest_input: int,
    longest_target: int,
    around: str,
    start: int,
    stop: int,
) -> dict[str, list[Any]]:
    """Rows that follow one another as token ids, cut, and how many there were before that."""
    ids, whole_inputs = encode_texts(inputs, texts[start:stop], longest_input, "max_input_length", around)
    labels, whole_targets = encode_texts(targets, written[start:stop], longest_target, "max_target_length")
    return {"input_ids": ids, "labels": labels, "whole_inputs": whole_inputs, "whole_targets": whole_targets}


def encode_texts(
    encode: Encode, texts: Sequence[str], longest: int, key: str, around: str = ""
) -> tuple[list[list[int]], list[int]]:
    """Token ids of texts, each cut to a length, and how many there were.

    Args:
        encode: encodes them.
        texts: one a row.
        longest: the most tokens of each.
        key: the option that says so, for messages.
        around: what stands around each, for messages.

    Raises:
        AdaptError: what stands around a text leaves no room for a token of it.
    """
    taken = added(encode)
    if longest <= taken:
        beside = f"{around} and " if around else ""
        raise AdaptError(
            f"task.{key} ({key}): {longest} tokens have no room beside the {taken} of {beside}what the tokenizer adds",
            f"Give more than {taken}.",
        )
    ids = encode(texts, None)
    long = [row for row, own in enumerate(ids) if len(own) > longest]
    lengths = [len(own) for own in ids]
    cut = encode([texts[row] for row in long], longest)
    for row, own in zip(long, cut, strict=True):
        ids[row] = own
    return ids, lengths


def added(encode: Encode) -> int:
    """Tokens of a row without text."""
    return len(encode([""], None)[0])


def as_one_text(
    tokenizer: PreTrainedTokenizerBase, argument: str, before: str, texts: Sequence[str], longest: int | None
) -> list[list[int]]:
    """Token ids of texts behind a prefix, as the tokenizer makes them of the whole: with what it adds.

    Args:
        tokenizer: which knows its languages.
        argument: ``"text"`` or ``"text_target"``, which tokenizers with languages mark otherwise.
        before: the prefix.
        texts: one a row.
        longest: the most tokens of each; None for all.
    """
    if not texts:
        return []
    given: Any = {argument: [before + text for text in texts]}
    # verbose: that a text is longer than the model takes is counted here, and told in Adapt's words.
    encoded = tokenizer(**given, truncation=longest is not None, max_length=longest, verbose=False)
    return [list(ids) for ids in encoded["input_ids"]]


def framed(
    tokenizer: PreTrainedTokenizerBase,
    before: Sequence[int],
    behind: Sequence[int],
    texts: Sequence[str],
    longest: int | None,
) -> list[list[int]]:
    """Token ids of texts, each between two runs of others, which are never cut.

    Args:
        tokenizer: which adds nothing.
        before, behind: what stands around each text.
        texts: one a row.
        longest: the most tokens of each with these; None for all.
    """
    room = None if longest is None else longest - len(before) - len(behind)
    return [[*before, *ids, *behind] for ids in bare_ids(tokenizer, texts, room)]


def bare_ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], longest: int | None = None) -> list[list[int]]:
    """Token ids without what the tokenizer adds."""
    if not texts:
        return []
    cut: dict[str, Any] = {"truncation": longest is not None, "max_length": longest}
    encoded = tokenizer(list(texts), add_special_tokens=False, verbose=False, **cut)
    return [list(ids) for ids in encoded["input_ids"]]


def _longer(whole: Sequence[int], ids: Sequence[Sequence[int]]) -> int:
    return sum(length > own for length, own in zip(whole, sizes(ids), strict=True))
