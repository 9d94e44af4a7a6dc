"""Makes sure that a run goes on, and an adapter is used, with the base model that it began with."""

from __future__ import annotations

import hashlib

from adapt_core.bundles import Model
from adapt_core.errors import AdaptError
from adapt_core.runs.folder import RunFolder
from adapt_core.utils.files import read_json

KEY = "base_model"
"""Where ``environment.json`` has the fingerprint."""

SAMPLE = 64
"""Values of each parameter that are looked at: a few milliseconds for a large model, and enough to tell two models of
one shape apart, but not two that differ in some rows of an embedding only."""


def fingerprint(model: Model) -> str:
    """The SHA-256 of a loaded base model's parameters: their names, shapes and evenly spaced values, as float32.

    It is the same on every device. So it leaves out the codes of quantized weights, which another device may round
    differently. It also leaves out the head and whatever is newly initialised (:attr:`Hints.fresh`,
    :attr:`Hints.loose`).
    """
    digest = hashlib.sha256()
    for name, each in model.module.named_parameters():
        if each.is_floating_point() and not model.hints.holds(name) and name not in model.hints.loose:
            digest.update(f"{name} {tuple(each.shape)}\n".encode())
            step = max(each.numel() // SAMPLE, 1)
            digest.update(each.detach().reshape(-1)[::step][:SAMPLE].float().cpu().numpy().tobytes())
    return digest.hexdigest()


def require_same_base(folder: RunFolder, model: Model, source: str) -> str:
    """Compares a base model with the one that a run began with; a run that has not begun has none.

    Args:
        folder: of the run.
        model: as the task has loaded it, before a method changes it.
        source: where it is from, for the message.

    Returns:
        Its fingerprint.

    Raises:
        AdaptError: it has other weights.
    """
    before, now = _recorded(folder), fingerprint(model)
    if before is not None and before != now:
        raise AdaptError(
            f"The base model {source} is not the one with which the run in {folder.path} began: its weights are others",
            "Restore it, or train again. To use the adapter with other weights all the same, load it with PEFT.",
        )
    return now


def require_same_weights(run: RunFolder, other: RunFolder) -> None:
    """Raises AdaptError if two finished runs began with other weights, though with a base model of one name."""
    known = {_recorded(run), _recorded(other)} - {None}
    if len(known) > 1:
        raise AdaptError(
            f"{other.path} began with other weights of the base model than {run.path}, though it has the same name",
            "Load it by itself, with load_run.",
        )


def _recorded(folder: RunFolder) -> str | None:
    return read_json(folder.environment).get(KEY) if folder.environment.exists() else None
