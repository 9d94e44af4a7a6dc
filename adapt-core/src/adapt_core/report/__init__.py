"""The report of a run: one HTML file that opens anywhere, offline and without scripts."""

from __future__ import annotations

from adapt_core.report.page import write_report

__all__ = ["write_report"]
