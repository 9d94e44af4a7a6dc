"""Quantizers for Adapt: 4 and 8 bits with bitsandbytes."""

from __future__ import annotations

__version__ = "0.1.0"
