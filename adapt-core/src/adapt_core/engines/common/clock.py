"""Seconds of training, kept apart from those of what is done between its steps."""

from __future__ import annotations

import time

import torch


class Clock:
    """Adds up the seconds spent within it, the GPU's pending work counted where it belongs: before."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __enter__(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self._begin = time.perf_counter()

    def __exit__(self, *exception: object) -> None:
        self.seconds += time.perf_counter() - self._begin
