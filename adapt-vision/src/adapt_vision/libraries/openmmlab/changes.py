"""What ``model.cfg_options`` changes must have an effect here: what Adapt sets itself cannot be changed there."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mmengine.config import Config

from adapt_core.errors import AdaptError

KEYPOINTS = "Remove it: heads have the keypoints of the data."
CLASSES = "Remove it: heads have the classes of the data, all of one weight, and none of stuff."
WEIGHTS = "Remove it, and name weights to start from in model.path (LOCAL_MODEL_PATH)."

INSTEAD = {
    "frozen_stages": "Remove it: the method says what is trained. last_layer trains the head alone.",
    "norm_cfg": "Remove it: each process normalises by its own images, as BN does.",
    "init_cfg": WEIGHTS,
    "pretrained": WEIGHTS,
    "batch_augments": "Remove it, and choose random changes in task.augmentation.",
    "num_classes": CLASSES,
    "num_things_classes": CLASSES,
    "num_stuff_classes": CLASSES,
    "class_weight": CLASSES,
    "semantic_head": CLASSES,
    "semantic_roi_extractor": CLASSES,
    "out_channels": KEYPOINTS,
    "num_joints": KEYPOINTS,
    "num_keypoints": KEYPOINTS,
    "flip_test": "Remove it: images are not mirrored to be looked at twice.",
    "pipeline": "Change the steps under test_pipeline.",
    "scale": "Remove it, or task.image_size, which sets the size.",
}
"""What to do about a key that has no effect, by a part of its name."""


def require_effect(
    given: Mapping[str, Any], config: Config, made: Callable[[Config], Config], read: Callable[[Config], Any]
) -> None:
    """Holds each change against the configuration without it.

    Args:
        given: ``cfg_options``.
        config: before them.
        made: from a configuration to what becomes of it.
        read: from that to what of it is read.

    Raises:
        AdaptError: a change does not fit, or alters nothing that is read, and things are not as it asks anyway.
    """
    whole = changed(config, given)
    kept = made(whole)
    for path in _leaves(given):
        try:
            without = changed(config, _without(given, path))
            alike = read(kept) == read(made(without))
        except AdaptError:  # the others need it
            continue
        if not alike:
            continue
        if whole.to_dict() != without.to_dict() or not _stands(kept, _alone(given, path)):
            key = ".".join(path)
            parts = reversed(key.split("."))
            raise AdaptError(
                f"model.cfg_options (cfg_options): {key} has no effect here",
                next((INSTEAD[part] for part in parts if part in INSTEAD), "Remove it."),
            )


def changed(config: Config, changes: Mapping[str, Any]) -> Config:
    """A configuration with changes, as MMEngine merges them.

    Raises:
        AdaptError: they do not fit it.
    """
    made = copy.deepcopy(config)
    try:
        made.merge_from_dict(dict(changes))
    except (TypeError, KeyError, AttributeError, AssertionError) as error:
        raise AdaptError(f"model.cfg_options (cfg_options) does not fit the configuration: {error}") from error
    return Config(_typed(made.to_dict(), config.to_dict()))


def _typed(value: Any, before: Any) -> Any:
    """A value with tuples where there were some: YAML has none, and steps of MMCV take no lists for them."""
    if isinstance(value, dict) and isinstance(before, dict):
        return {key: _typed(each, before.get(key)) for key, each in value.items()}
    if isinstance(value, list) and isinstance(before, list):
        return [_typed(each, before[place] if place < len(before) else None) for place, each in enumerate(value)]
    return tuple(value) if isinstance(value, list) and isinstance(before, tuple) else value


def _stands(kept: Config, change: Mapping[str, Any]) -> bool:
    """Whether a configuration is as a change asks."""
    try:
        return bool(changed(kept, change).to_dict() == kept.to_dict())
    except AdaptError:  # what it would change is not there any more
        return False


def _leaves(given: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The places of single changes in nested mappings."""
    for key, value in given.items():
        if isinstance(value, Mapping) and value and "_delete_" not in value:
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key)


def _without(given: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    key, *rest = path
    if rest:
        return {**given, key: _without(given[key], tuple(rest))}
    return {name: value for name, value in given.items() if name != key}


def _alone(given: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    key, *rest = path
    return {key: _alone(given[key], tuple(rest)) if rest else given[key]}
