"""The command line, one file a command. ``main`` is the console script ``adapt``."""

from __future__ import annotations

from adapt_core.cli.app import main

__all__ = ["main"]
