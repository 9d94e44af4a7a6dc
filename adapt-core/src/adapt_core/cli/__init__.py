"""The command line, one file a command. ``main`` is the console script ``adapt``."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

INSTANT = {"plugins", "explain", "init", "check", "convert", "schema", "new-plugin"}
"""The commands that compute nothing, and never import torch."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Exits: 0 done, 1 the run failed, 2 wrong command line or configuration, 130 interrupted.

    Args:
        arguments: by default those of the process.
    """
    # These commands end in an instant. A quarter of it would go into collecting garbage, looking for pydantic's plugins
    # among all distributions, and taking the interpreter apart at the end.
    command = next((each for each in sys.argv[1:] if not each.startswith("-")), None)
    instant = arguments is None and (command is None or command in INSTANT)
    if instant:
        gc.disable()
        os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from adapt_core.cli.app import command_line

    code = command_line(sys.argv[1:] if arguments is None else arguments)
    if instant:
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
