"""The command line, one file a command. ``main`` is the console script ``adapt``."""

from __future__ import annotations

import gc
import os
import sys
from typing import NoReturn

COMPUTING = {"run", "eval", "predict", "doctor"}
"""The commands that import torch."""


def main() -> NoReturn:
    """Exits: 0 done, 1 the run failed, 2 wrong command line or configuration, 130 interrupted."""
    arguments = sys.argv[1:]
    if COMPUTING.intersection(arguments):
        from adapt_core.cli.app import command_line

        sys.exit(command_line(arguments))
    # The others end in an instant, of which collecting garbage, looking for plugins of pydantic's among all
    # distributions, and taking the interpreter apart at the end would be a quarter.
    gc.disable()
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from adapt_core.cli.app import command_line

    code = command_line(arguments)
    sys.stderr.flush()
    os._exit(code)
