"""From ``"module:Class"`` to the object that it names."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from adapt_core.errors import AdaptError
from adapt_core.interfaces import Method
from adapt_core.kinds import MethodSpec, PluginSpec
from adapt_core.plugins.discovery import reason


def resolve(reference: str) -> Any:
    """The object that a ``"module:Class"`` string names.

    Raises:
        AdaptError: the module cannot be imported, or has no such attribute; with the reason.
    """
    module_name, _, attributes = reference.partition(":")
    found: Any = resolve_module(module_name, reference)
    for attribute in attributes.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError as error:
            raise AdaptError(f"cannot load {reference}: {error}") from error
    return found


def resolve_module(name: str, reference: str) -> Any:
    """Imports the module of a reference. Raises AdaptError, with the reason, when it cannot be imported."""
    try:
        return importlib.import_module(name)
    # Broad: importing an implementation runs native libraries' start-up code, which raises OSError, RuntimeError
    # and others when an installation is damaged; a module may even call sys.exit(). The reason is passed on.
    except (Exception, SystemExit) as error:
        raise AdaptError(f"cannot load {reference}: {reason(error)}") from error


def module_exists(module: str) -> bool:
    """Whether a module can be found. Unlike ``importlib.util.find_spec``, imports no package on the way."""
    path: Any = None
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        name = ".".join(parts[:depth])
        spec = getattr(sys.modules.get(name), "__spec__", None)
        finders = (finder.find_spec(name, path) for finder in sys.meta_path if hasattr(finder, "find_spec"))
        spec = spec or next((found for found in finders if found), None)
        if spec is None:
            return False
        path = spec.submodule_search_locations
        if path is None and depth < len(parts):
            return False
    return True


def made(spec: PluginSpec, argument: Any) -> Any:
    """A plugin's implementation.

    Args:
        spec: names it as ``target``.
        argument: what it is made from: its options, or for a task the plan.

    Raises:
        AdaptError: it cannot be loaded, or lacks what its kind must have.
    """
    target = resolve(spec.target)
    if isinstance(target, type) and (missing := sorted(getattr(target, "__abstractmethods__", ()))):
        raise AdaptError(f"{spec.target} lacks {', '.join(missing)}", "This is a mistake in the plugin.")
    found = target(argument)
    if not isinstance(spec, MethodSpec):
        return found
    if not isinstance(found, Method):
        raise AdaptError(
            f"{spec.target} makes {type(found).__name__}, which does not extend adapt_core.interfaces.Method",
            "This is a mistake in the plugin.",
        )
    if spec.saves == "adapter" and (missing := [call for call in ("save", "load") if not found.has(call)]):
        raise AdaptError(f"{spec.target} lacks {', '.join(missing)}", "This is a mistake in the plugin.")
    return found
