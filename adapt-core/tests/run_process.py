"""``adapt run`` in a process of its own, to be signalled and killed.

It is forked from a server that has imported the libraries: that takes seconds, and is none of a run's doing.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["adapt_core.cli", "adapt_core.pipeline.run", "adapt_core.engines.trainer.engine"])


class RunProcess:
    """A run that has been started; it leads a group of processes, as one that a shell has started.

    Attributes:
        pid: of the process.
        shown: the file with what it has shown.
    """

    def __init__(self, config: dict[str, Any], folder: Path, *arguments: str) -> None:
        file = folder / "config.json"
        file.write_text(json.dumps(config))
        self.shown = folder / "shown.txt"
        self._process: ForkServerProcess = SERVER.Process(
            target=_run, args=(dict(os.environ), str(self.shown), ["run", str(file), *arguments])
        )
        self._process.start()
        self.pid = self._process.pid

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Until something has happened; fails when the run ends before."""
        deadline = time.monotonic() + 240
        while not condition():
            assert self._process.is_alive(), f"ended before its time: {self.shown.read_text()[-3000:]}"
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def ended(self) -> int | None:
        """The exit code, waited for; that of a signal is negative."""
        self._process.join(240)
        return self._process.exitcode

    def kill(self) -> int | None:
        """As the system kills. Returns the exit code."""
        self._process.kill()
        return self.ended()


def _run(environment: dict[str, str], shown: str, arguments: list[str]) -> None:
    from adapt_core.cli.app import command_line

    os.environ.clear()
    os.environ.update(environment)
    multiprocessing.set_start_method(None, force=True)  # its own processes start as those of any other
    os.setsid()
    file = os.open(shown, os.O_WRONLY | os.O_CREAT)
    os.dup2(file, 1)
    os.dup2(file, 2)
    raise SystemExit(command_line(arguments))
