"""Runs the command line in this process, as the console script does."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from typing import Any

from adapt_core.cli.app import command_line


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its standard output, read as JSON."""
        return json.loads(self.out)


def adapt(*args: str) -> Done:
    """Runs ``adapt`` with these arguments."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = command_line(args)
    return Done(code, out.getvalue(), err.getvalue())
