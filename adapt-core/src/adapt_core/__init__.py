"""The core of Adapt: plugins, configuration, pipeline and command line.

``run``, ``load_run``, ``evaluate_run``, ``merge_run``, ``inspect_data`` and ``apply_method`` are Adapt from Python; see
:mod:`adapt_core.api`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adapt_core.api import apply_method, evaluate_run, inspect_data, merge_run, run
    from adapt_core.errors import AdaptError, ConfigError, Interrupted
    from adapt_core.runs.loaded import LoadedRun, load_run

__version__ = "0.1.0"
__all__ = [
    "AdaptError",
    "ConfigError",
    "Interrupted",
    "LoadedRun",
    "apply_method",
    "evaluate_run",
    "inspect_data",
    "load_run",
    "merge_run",
    "run",
]


def __getattr__(name: str) -> Any:
    """Imports the API on first use: the command line, which does not need it, starts faster."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from adapt_core import api, errors

    return getattr(errors if hasattr(errors, name) else api, name)
