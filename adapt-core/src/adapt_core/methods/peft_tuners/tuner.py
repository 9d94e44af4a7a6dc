"""What all tuners of PEFT have in common; those that need more are in :mod:`adapt_core.methods.peft_tuners.special`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from torch import nn

from adapt_core.bundles import Hints
from adapt_core.errors import AdaptError
from adapt_core.methods.peft_tuners.source import config_fields
from adapt_core.methods.peft_tuners.table import tuner
from adapt_core.methods.shared.peft_adapter import PeftAdapter, stored_transposed
from adapt_core.methods.shared.targets import resolve

DISTRIBUTIONS = {"sklearn": "scikit-learn"}
"""What is installed for a library that is imported under another name."""


class PeftTuner(PeftAdapter):
    """Any tuner, by its name; its options are the fields of its configuration."""

    preset: ClassVar[str] = "all-linear"
    """The layers by default."""

    @property
    def layer_types(self) -> tuple[str, ...]:
        """The types of layers that it can be told to adapt, by class name; empty means any."""
        return tuner(self.name).layer_types

    def config(self, module: nn.Module, hints: Hints) -> Any:
        """The tuner's ``PeftConfig``: what differs from PEFT's defaults, and the layers, by default all linear ones."""
        from peft import PeftType
        from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

        kind: Any = PEFT_TYPE_TO_CONFIG_MAPPING[PeftType(self.name.upper())]
        return kind(**self.arguments(module, hints))

    def arguments(self, module: nn.Module, hints: Hints) -> dict[str, Any]:
        """What the tuner's ``PeftConfig`` is made of."""
        known = defaults(self.name)
        given = {name: value for name, value in self.options if value != known[name]}
        if "progressbar" in known:  # PEFT's is drawn into a file too
            given["progressbar"] = self.options.progressbar and sys.stderr.isatty()
        if "target_modules" in known:
            targets = self.targets(module, hints, given.get("target_modules"))
            if targets is not None:
                given["target_modules"] = targets
                if "fan_in_fan_out" in known and stored_transposed(module, targets):
                    given["fan_in_fan_out"] = True
        return given

    def targets(self, module: nn.Module, hints: Hints, asked: Any) -> list[str] | str | None:
        """The layers to adapt: those that are asked for, or those by default; None leaves them to PEFT."""
        return resolve(module, hints, asked, self.preset, self.layer_types)

    # ---- PEFT's calls, some of which import libraries that PEFT itself does not bring -----------------------------

    def apply(self, module: nn.Module, hints: Hints) -> nn.Module:
        """Adds the adapter; see :meth:`PeftAdapter.apply`. Raises AdaptError where a library is missing."""
        with _libraries(self.name):
            return super().apply(module, hints)

    def load(self, module: nn.Module, folder: Path, hints: Hints) -> nn.Module:
        """Puts a saved adapter on a base model. Raises AdaptError where a library is missing."""
        with _libraries(self.name):
            return super().load(module, folder, hints)

    def add(self, module: nn.Module, folder: Path) -> str:
        """Loads a saved adapter beside the others; see :meth:`PeftAdapter.add`."""
        with _libraries(self.name):
            return super().add(module, folder)


def defaults(name: str) -> dict[str, Any]:
    """PEFT's own defaults of a tuner's options."""
    return {field.name: field.default for field in config_fields(name)}


@contextmanager
def _libraries(name: str) -> Iterator[None]:
    """Says of a library that is missing what to install."""
    try:
        yield
    except ImportError as error:
        # PEFT raises errors of its own, in the course of handling the one that knows the library's name.
        cause = error.__cause__ or error.__context__
        missing = error.name or (cause.name if isinstance(cause, ImportError) else None)
        library = (missing or "").partition(".")[0]
        raise AdaptError(
            f"method.name: {name} needs {library or 'a library'}, which cannot be imported: {error}",
            f"Install it (pip install {DISTRIBUTIONS.get(library, library)}), or choose another method."
            if library
            else "Install it, or choose another method.",
        ) from error
