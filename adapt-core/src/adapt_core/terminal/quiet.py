"""Keeps the libraries' own notices from drowning what a user should read."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from logging import ERROR, getLogger

KERNELS = "bitsandbytes.backends.cpu.ops"
"""A logger. When PEFT imports its library on some CPUs, it says that a package for faster kernels is missing."""


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silences transformers' load reports and progress bars, and warnings of what libraries call in one another.

    Errors still pass. What a user must know of a report, such as a fresh head, Adapt says in its own words.
    """
    from transformers.utils import logging

    kernels = getLogger(KERNELS)
    level = kernels.level
    kernels.setLevel(ERROR)
    verbosity = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|peft|torch|accelerate)\b")
            warnings.filterwarnings("ignore", category=UserWarning, module=r"torch\.utils\.data\b")
            yield
    finally:
        kernels.setLevel(level)
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
