"""Random numbers that do not notice what is done beside the training."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


@contextmanager
def randomness_kept() -> Iterator[None]:
    """Python's, NumPy's and torch's generators, those of all GPUs included, are afterwards as they were before."""
    before = random_state()
    try:
        yield
    finally:
        restore_random_state(before)


def random_state() -> dict[str, Any]:
    """The state of Python's, NumPy's and torch's generators, those of all GPUs included: tensors, numbers and text.

    A checkpoint that holds it continues with the numbers that would have come; ``torch.load`` reads it with
    ``weights_only=True``.
    """
    kind, keys, place, has_gauss, cached = np.random.get_state()
    version, internal, gauss = random.getstate()
    return {
        "python": [version, list(internal), gauss],
        "numpy": [kind, torch.from_numpy(np.asarray(keys).astype(np.int64)), place, has_gauss, cached],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Sets the generators to what :func:`random_state` returned."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, keys, place, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), place, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
