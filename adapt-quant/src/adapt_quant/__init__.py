"""Quantizers for Adapt. There are none yet: this package registers no plugin."""

from __future__ import annotations

__version__ = "0.1.0"
