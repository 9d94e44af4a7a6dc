"""What processes leave for the one that has started them: why they failed, in files that are whole or not there."""

from __future__ import annotations

import re
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import torch.distributed as dist

from adapt_core.errors import AdaptError
from adapt_core.utils.files import read_json, write_json

ECHOES = re.compile(
    r"connection (closed|reset|refused)|broken pipe|socket (timeout|closed)|failed to recv|remote (peer|process)"
    r"|ncclremoteerror|ncclsystemerror|process group .* (abort|has been shut)"
    r"|read error .*gloo|gloo.*(read|write) error|timed out waiting .*(recv|send)|wait timeout",
    re.IGNORECASE,
)
"""What a process raises because another one is gone: never the reason."""


@dataclass(frozen=True)
class Failure:
    """Why one process failed.

    Attributes:
        rank: its number.
        time: seconds since the epoch.
        message: what is wrong.
        hint: what to do about it.
        echo: whether it only tells that another process is gone.
    """

    rank: int
    time: float
    message: str
    hint: str
    echo: bool


class Failures:
    """The folder in which the processes of one start leave why they failed.

    Args:
        folder: on this machine, for this run alone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, rank: int, attempt: int, error: BaseException) -> None:
        """Leaves an error."""
        known = isinstance(error, AdaptError)
        message = error.message if isinstance(error, AdaptError) else f"{type(error).__name__}: {error}"
        write_json(
            self.folder / f"failure-{attempt}-{rank}.json",
            {
                "rank": rank,
                "time": time.time(),
                "message": message,
                "hint": error.hint if isinstance(error, AdaptError) else "",
                "echo": not known and is_echo(error),
                "known": known,
                "traceback": "" if known else "".join(traceback.format_exception(error)),
            },
        )

    def read(self, attempt: int) -> list[Failure]:
        """Those of an attempt, in order of time."""
        found = [read_json(path) for path in self.folder.glob(f"failure-{attempt}-*.json")]
        names = Failure.__dataclass_fields__
        return sorted(
            (Failure(**{name: each[name] for name in names}) for each in found), key=lambda failure: failure.time
        )

    def ask_to_stop(self) -> None:
        """Has processes that are started from now on end at once: somebody has asked the run to stop."""
        (self.folder / "stop").touch()

    @property
    def stopping(self) -> bool:
        """Whether somebody has asked the run to stop."""
        return (self.folder / "stop").exists()


def is_echo(error: BaseException) -> bool:
    """Whether an error only tells that another process is gone."""
    if isinstance(error, dist.DistBackendError | dist.DistNetworkError):
        return True
    return isinstance(error, RuntimeError) and bool(ECHOES.search(str(error)))
