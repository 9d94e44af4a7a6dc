"""Models of tests, quantized."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adapt_core.bundles import Model
from adapt_core.config.validate import validate_options
from adapt_core.kinds import Kind
from adapt_core.models.architecture import head_and_output, hints_for
from adapt_core.plugins.registry import Registry


def quantizer(name: str, **options: Any) -> Any:
    registry = Registry.load()
    entry = registry.get(Kind.QUANTIZER, name)
    return registry.load_target(entry)(validate_options(registry.options(entry.spec), options, name))


def quantized(module: Any, folder: Path, name: str, **options: Any) -> tuple[Any, Any]:
    """A model after quantizing it, and the quantizer."""
    module.save_pretrained(folder)
    using = quantizer(name, **options)
    again = type(module).from_pretrained(folder, **using.load_kwargs(head_and_output(module)))
    return using.prepare(Model(again, None, hints_for(again))).module, using
