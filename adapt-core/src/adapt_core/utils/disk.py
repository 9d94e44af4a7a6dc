"""A disk that fills up while something is written, in words: libraries hide what the system said."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from adapt_core.errors import AdaptError
from adapt_core.utils.units import bytes_text

FULL = (errno.ENOSPC, errno.EDQUOT)
"""No space is left on the device, or of what this user may have there."""

TRIED = 1 << 20
"""Bytes that are written to see what the system says."""


@contextmanager
def told_when_full(folder: Path, remedy: Callable[[], str]) -> Iterator[None]:
    """Has whatever library writes into a folder end in the same error when the disk is full.

    Args:
        folder: on that disk.
        remedy: what to do about it, asked for when it has happened.

    Raises:
        AdaptError: the disk is full.
        OSError: the system refused to write for another reason, which a library had wrapped into an error of its own.
    """
    try:
        yield
    except AdaptError:
        raise
    # Broad: each library has its own errors; those that are about something else go on as they came.
    except Exception as error:
        said = _said_by_system(error, folder)
        if said is None or (said is error and said.errno not in FULL):
            raise
        if said.errno not in FULL:
            raise said from error
        what = f"{said.filename} cannot be written" if said.filename else said.strerror
        free = bytes_text(shutil.disk_usage(folder).free)
        raise AdaptError(f"The disk is full: {what} ({free} free in {folder})", remedy()) from error


def _said_by_system(error: Exception, folder: Path) -> OSError | None:
    """The system's error behind a library's; None where there is none."""
    if isinstance(error, OSError):
        return error
    text = str(error)
    if found := re.search(r"\(os error (\d+)\)", text):  # libraries in Rust: safetensors, tokenizers
        return OSError(int(found[1]), os.strerror(int(found[1])))
    # torch.save only says that it is not where it should be in the file.
    if "inline_container.cc" in text and "PytorchStreamReader" not in text:
        return _refusal(folder)
    return None


def _refusal(folder: Path) -> OSError | None:
    """What the system says to writing into a folder now; None where it does not mind."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(TRIED))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error
    return None
