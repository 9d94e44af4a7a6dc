"""The form of keypoints, from a file or the configuration."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from adapt_core.errors import AdaptError
from adapt_core.utils.units import listed
from adapt_vision.annotations.objects import KeypointForm
from adapt_vision.annotations.options import AnnotatedImageOptions

PERSON = {
    "nose": 0.026,
    "left_eye": 0.025,
    "right_eye": 0.025,
    "left_ear": 0.035,
    "right_ear": 0.035,
    "left_shoulder": 0.079,
    "right_shoulder": 0.079,
    "left_elbow": 0.072,
    "right_elbow": 0.072,
    "left_wrist": 0.062,
    "right_wrist": 0.062,
    "left_hip": 0.107,
    "right_hip": 0.107,
    "left_knee": 0.087,
    "right_knee": 0.087,
    "left_ankle": 0.089,
    "right_ankle": 0.089,
}
"""The sigmas of COCO's keypoints (pycocotools' ``Params.kpt_oks_sigmas``)."""

SIGMA = 0.05
"""Of keypoints about whose annotators nothing is known: about the middle of COCO's, which go from 0.025 to 0.107."""

_SIDES = re.compile(r"left|right|(?<![a-z])[lr](?![a-z])|(?<![A-Za-z])[LR](?=[A-Z][a-z])", re.IGNORECASE)


def keypoint_form(
    source: str,
    options: AnnotatedImageOptions,
    names: Sequence[str],
    skeleton: Any = None,
    flip_pairs: Any = None,
    sigmas: Any = None,
) -> KeypointForm:
    """The form of the keypoints in a file.

    Args:
        source: the file, for messages.
        options: what the configuration says, which goes first.
        names: of the keypoints in the file.
        skeleton: pairs of names or of numbers from 1, as COCO has them, in the file; None where it has none.
        flip_pairs: the same, of left and right. By default those whose names say left and right; None where names are
            numbers, which say nothing.
        sigmas: in the file. By default COCO's own for its 17 names, and :data:`SIGMA` for all others.

    Raises:
        AdaptError: names, pairs or sigmas do not fit the keypoints.
    """
    if options.keypoint_names is not None:
        if len(options.keypoint_names) != len(names):
            raise AdaptError(
                f"dataset.keypoint_names has {len(options.keypoint_names)} names, and the objects of {source} have "
                f"{len(names)} keypoints.",
                "Name each keypoint, in the order of the file.",
            )
        names = options.keypoint_names
    if len(set(names)) < len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise AdaptError(f"{source}: two keypoints are called {twice!r}.", "Give each its own name.")
    given = {
        key: (getattr(options, key), f"dataset.{key}") if getattr(options, key) is not None else (value, source)
        for key, value in (("skeleton", skeleton), ("flip_pairs", flip_pairs), ("sigmas", sigmas))
    }
    lines = _pairs(*given["skeleton"], "skeleton", names) or []
    sides = _pairs(*given["flip_pairs"], "flip_pairs", names)
    if sides is None and (len(names) == 1 or not all(name.isdigit() for name in names)):
        sides = guessed_pairs(names)
    places = [place for pair in sides or () for place in pair]
    if len(set(places)) < len(places):
        raise AdaptError(f"{given['flip_pairs'][1]}: a keypoint is in two flip_pairs.", "Each has one counterpart.")
    flips = None if sides is None else tuple(sides)
    return KeypointForm(tuple(names), flips, tuple(lines), _sigmas(*given["sigmas"], names))


def guessed_pairs(names: Sequence[str]) -> list[tuple[int, int]]:
    """The places of keypoints whose names differ in left and right alone: ``left_eye``, ``EyeR``, ``l_ear``."""
    places = {name.lower(): place for place, name in enumerate(names)}
    found = {
        tuple(sorted((place, places[other])))
        for place, name in enumerate(names)
        if (other := _SIDES.sub(_other_side, _apart(name)).replace("\0", "").lower()) in places
        and places[other] != place
    }
    return sorted((one, other) for one, other in found)


def _apart(name: str) -> str:
    """Sets a final capital L or R apart from lower-case letters before it, as in ``EyeL``."""
    return re.sub(r"(?<=[a-z0-9])([LR])$", "\0\\1", name)


def _other_side(match: re.Match[str]) -> str:
    return {"left": "right", "right": "left", "l": "r", "r": "l"}[match[0].lower()]


def _pairs(value: Any, where: str, key: str, names: Sequence[str]) -> list[tuple[int, int]] | None:
    if value is None:
        return None
    if not isinstance(value, list | tuple):
        raise AdaptError(f"{where}: {key} is {value!r}, and no list of pairs.", "Give two keypoints for each.")
    return [_pair(each, where, key, names) for each in value]


def _pair(pair: Any, where: str, key: str, names: Sequence[str]) -> tuple[int, int]:
    if not isinstance(pair, list | tuple) or len(pair) != 2 or pair[0] == pair[1]:
        raise AdaptError(f"{where}: {key} has {pair!r}, and no pair of two keypoints.", "Give two keypoints for each.")
    one, other = (_place(each, where, key, names) for each in pair)
    return one, other


def _place(keypoint: Any, where: str, key: str, names: Sequence[str]) -> int:
    if isinstance(keypoint, str) and keypoint in names:
        return list(names).index(keypoint)
    if isinstance(keypoint, int) and not isinstance(keypoint, bool) and 0 < keypoint <= len(names):
        return keypoint - 1
    raise AdaptError(
        f"{where}: {key} has {keypoint!r}, and the {len(names)} keypoints are {listed(list(names))}.",
        "Give names, or numbers from 1.",
    )


def _sigmas(value: Any, where: str, names: Sequence[str]) -> tuple[float, ...]:
    if value is None:
        person = set(names) == set(PERSON)
        return tuple(PERSON[name] if person else SIGMA for name in names)
    good = isinstance(value, list | tuple) and all(
        isinstance(each, int | float) and not isinstance(each, bool) and 0 < each < 10 for each in value
    )
    if not good or len(value) != len(names):
        raise AdaptError(
            f"{where}: sigmas is {value!r}, and not a number above 0 for each of the {len(names)} keypoints.",
            "Give one for each, in their order.",
        )
    return tuple(map(float, value))
