"""Distributed launchers for Adapt: DDP and FSDP, on one machine or many."""

from __future__ import annotations

__version__ = "0.1.0"
