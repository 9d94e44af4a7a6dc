"""Languages that a tokenizer marks with tokens, and that a model is told by its first token."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from transformers import PreTrainedTokenizerBase

from adapt_core.errors import AdaptError
from adapt_core.utils.spelling import closest
from adapt_core.utils.units import listed

CODE = re.compile(r"[a-z]{2,3}_[A-Za-z]{2,4}")
"""A language token of mBART (``ro_RO``) or NLLB (``ron_Latn``)."""


@dataclass(frozen=True)
class Languages:
    """The languages of a run, as its tokenizer calls them.

    Attributes:
        source, target: what ``src_lang`` and ``tgt_lang`` of the tokenizer are set to; None where it has none to set.
        before: what stands before each text, for models that are told the target by it (``>>ron<< `` of Marian).
        start: settings of ``generate`` that have it begin with the target's token.
        token: the id of the target's token, or None.
    """

    source: str | None = None
    target: str | None = None
    before: str = ""
    start: Mapping[str, int | None] = field(default_factory=dict)
    token: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """The form kept in ``data.json``, which :meth:`from_dict` reads."""
        return asdict(self) | {"start": dict(self.start)}

    @classmethod
    def from_dict(cls, languages: Mapping[str, Any]) -> Languages:
        """From :meth:`as_dict`."""
        return cls(**languages)

    def set_on(self, tokenizer: Any) -> None:
        """Has a tokenizer mark texts and targets with these languages, in place."""
        if self.source is not None:
            tokenizer.src_lang = self.source
            tokenizer.tgt_lang = self.target


def settle_languages(tokenizer: Any, source: str | None, target: str | None, model: str) -> Languages:
    """The tokenizer's own names of two languages, which it is set to; empty where it knows of no languages.

    Args:
        tokenizer: of the model.
        source: what the configuration calls the language of texts; None where it names none.
        target: that of what is written; None for the same.
        model: what the model is called, for messages.

    Raises:
        AdaptError: the tokenizer does not know a language, or none is named.
    """
    marks = [each.removeprefix(">>").removesuffix("<<") for each in getattr(tokenizer, "supported_language_codes", ())]
    if marks:
        return Languages(before=f">>{_known(target or source, marks, 'target_lang', model)}<< ")
    if not hasattr(tokenizer, "set_tgt_lang_special_tokens"):
        return Languages()
    known = known_languages(tokenizer)
    own = _known(source, known, "source_lang", model)
    other = _known(target, known, "target_lang", model) if target is not None else own
    found = Languages(own, other)
    found.set_on(tokenizer)
    token = tokenizer.convert_tokens_to_ids(getattr(tokenizer, "lang_code_to_token", {}).get(other, other))
    ids = tokenizer(text_target="a")["input_ids"]
    # Where the token ends the target, the model moves it to the front (mBART's first models).
    last: dict[str, int | None] = {"decoder_start_token_id": token, "forced_bos_token_id": None}
    start = {"forced_bos_token_id": token} if ids[0] == token else last
    return Languages(own, other, start=start, token=token)


def known_languages(tokenizer: Any) -> list[str]:
    """The languages of a tokenizer that has tokens for them, as ``src_lang`` takes them."""
    for name in ("lang_code_to_token", "lang_code_to_id"):  # M2M100's kind, and mBART's
        if codes := getattr(tokenizer, name, None):
            return list(codes)
    return [token for token in tokenizer.all_special_tokens if CODE.fullmatch(token)]


def matching(language: str, known: Collection[str]) -> str | None:
    """The one of some languages that is meant: the same, or alone the same where one of the two names no region.

    ``en`` is ``en_XX``, and ``pt_BR`` is ``pt``, but not ``pt_PT``.
    """
    wanted = _parts(language)
    same = [each for each in known if _parts(each) == wanted]
    found = same or [each for each in known if _parts(each)[0] == wanted[0] and 1 in (len(_parts(each)), len(wanted))]
    return found[0] if len(found) == 1 else None


def move_to_start(module: Any, tokenizer: PreTrainedTokenizerBase, languages: Languages) -> None:
    """Has a model generate from the token that its training begins with, in place.

    Raises:
        AdaptError: the model knows no such token, or does not begin with the target's language where its tokenizer
            puts that behind the target.
    """
    settings = module.generation_config
    for name, value in languages.start.items():
        setattr(settings, name, value)
    first = _first_token(module, tokenizer)
    wanted = languages.start.get("decoder_start_token_id")
    if wanted is not None and first != wanted:
        raise AdaptError(
            f"{type(tokenizer).__name__} puts the token of {languages.target} behind a target, and "
            f"{type(module).__name__} would not begin with it",
            "Load the tokenizer that belongs to the model; of NLLB's, one without legacy_behaviour.",
        )
    settings.decoder_start_token_id = first


def _first_token(module: Any, tokenizer: PreTrainedTokenizerBase) -> int:
    """What a model's decoder is given before a target's first token in training."""
    shift = getattr(module, "prepare_decoder_input_ids_from_labels", None)
    if shift is None:  # M2M100's kind, which takes what its configuration says
        first = module.config.decoder_start_token_id
        if first is not None:
            return int(first)
        raise _no_start(module)
    try:
        return int(shift(labels=tokenizer(text_target=["a"], return_tensors="pt")["input_ids"])[0, 0])
    # What the models' own functions raise where config.json has no decoder_start_token_id.
    except (ValueError, TypeError) as error:
        raise _no_start(module) from error


def _no_start(module: Any) -> AdaptError:
    return AdaptError(
        f"{type(module).__name__} does not know what a target begins with",
        "Give its config.json a decoder_start_token_id.",
    )


def _known(language: str | None, known: Collection[str], key: str, model: str) -> str:
    if language is None:
        raise AdaptError(
            f"task.{key} ({key}) is not given, and the tokenizer of {model} marks every text with its language",
            f"Give one of {listed(list(known))}.",
        )
    found = matching(language, known)
    if found is None:
        like = closest(language, known)
        raise AdaptError(
            f"task.{key} ({key}): the tokenizer of {model} does not know the language {language!r}"
            + (f"; did you mean {like!r}?" if like else ""),
            f"It knows {listed(list(known))}. Where the data call the language otherwise, name its column in "
            f"dataset.{key.removesuffix('_lang')}_column.",
        )
    return found


def _parts(language: str) -> list[str]:
    """A language and its region or script, in lower case: ``["pt", "br"]``."""
    return re.split(r"[_-]", language.casefold().strip("_"))
