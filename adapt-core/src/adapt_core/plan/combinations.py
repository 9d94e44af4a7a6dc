"""Refuses plugins that cannot work together, with the reason."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from adapt_core.config.flat import Nested, as_boolean
from adapt_core.errors import Problem
from adapt_core.kinds import EngineSpec, Kind, Library, normalise
from adapt_core.options import Options, must_be_there
from adapt_core.plugins.registry import Entry, Registry

IMPOSSIBLE = "impossible-combination"


def impossible(
    nested: Nested, chosen: Mapping[Kind, Entry], library: Library | None, registry: Registry
) -> Iterator[Problem]:
    """Every combination of the chosen plugins that cannot work.

    Args:
        nested: the configuration.
        chosen: the plugins; a kind that is not in it is left out.
        library: where the model comes from; None where the task has no such library.
        registry: the plugins there are.
    """
    specs: dict[Kind, Any] = {kind: entry.spec for kind, entry in chosen.items()}
    yield from _denied(nested, chosen)
    if method := specs.get(Kind.METHOD):
        yield from _expert(nested, method)
        yield from _head(nested, method)
        yield from _batch_norm(nested, method)
        yield from _checkpointing(nested, method)
    quantizer = specs.get(Kind.QUANTIZER)
    if method and quantizer and (refused := why_not_quantized(method, quantizer.bits, registry, quantizer.name)):
        yield nested.problem(("quantization", "name"), IMPOSSIBLE, refused)
    if method and specs.get(Kind.SAVER) and not method.merges:
        yield nested.problem(
            ("save", "name"),
            IMPOSSIBLE,
            f"an export needs the adapter merged into the model's weights, which the method {method.name} cannot do; "
            "model/ will hold the adapter; remove this",
        )
    if task := specs.get(Kind.TASK):
        yield from _libraries(nested, specs, task, library)
        if library is not None:
            yield from _engines(nested, specs, library.engine)
    launcher = specs.get(Kind.LAUNCHER)
    if method and launcher and (refused := why_not_parallel(Kind.METHOD, method, launcher, registry)):
        yield nested.problem(("launch", "name"), IMPOSSIBLE, refused)
    if quantizer and launcher and (refused := why_not_parallel(Kind.QUANTIZER, quantizer, launcher, registry)):
        yield nested.problem(("quantization", "name"), IMPOSSIBLE, refused)


def why_not_quantized(method: Any, bits: int, registry: Registry, quantizer: str = "") -> str | None:
    """Why a method does not train on a base of a width, with those that do; None where it claims that.

    Args:
        method: its spec.
        bits: bits per weight.
        registry: the plugins.
        quantizer: the name of the one that gives this width, where one was chosen.
    """
    if bits in method.quantization:
        return None
    able = [entry.spec.name for entry in registry.entries(Kind.METHOD) if bits in _bits(entry.spec)]
    by = f" ({quantizer})" if quantizer else ""
    hint = f"; methods that can: {', '.join(able)}" if able else ""
    return f"the method {method.name} cannot train on a base in {bits} bits{by}{hint}"


def why_not_parallel(kind: Kind, spec: Any, launcher: Any, registry: Registry) -> str | None:
    """Why a method or a quantizer does not work with a launcher, with what to take instead; None where it says it does.

    Args:
        kind: the method's or the quantizer's.
        spec: its.
        launcher: likewise.
        registry: the plugins.
    """
    if launcher.parallel is None or launcher.parallel in spec.parallel:
        return None
    launchers: list[Any] = [entry.spec for entry in registry.entries(Kind.LAUNCHER)]
    alike: list[Any] = [entry.spec for entry in registry.entries(kind)]
    others = [each.name for each in launchers if each.parallel in spec.parallel]
    able = [each.name for each in alike if launcher.parallel in each.parallel]
    choose = [f"launch.name: {' or '.join(others or ['local'])}"]
    choose += [f"a {kind.value} that does: {', '.join(able)}"] if able else []
    does = "does not train with" if kind is Kind.METHOD else "does not make"
    reason = getattr(spec, "why_not_parallel", None)
    return (
        f"the {kind.value} {spec.name} {does} {launcher.parallel} models, as the launcher {launcher.name} "
        f"has them{f': {reason}' if reason else ''}; choose {', or '.join(choose)}"
    )


def missing_files(nested: Nested, models: Mapping[str, type[Options]]) -> Iterator[Problem]:
    """Local models and data that are not there, and folders given as names of the hub, which no other place would find.

    Args:
        nested: the configuration.
        models: the option models of the sections ``model`` and ``dataset``, which say what is a path.
    """
    for section, model in models.items():
        for key, path in nested.data.get(section, {}).items():
            if isinstance(path, str) and path and isinstance(key, str) and must_be_there(model.model_fields.get(key)):
                path = os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111  # Path.absolute() keeps "..".
                if not os.path.exists(path):  # noqa: PTH110  # Path.exists() raises for a name that is too long.
                    yield nested.problem((section, key), "no-such-file", f"there is no such file or folder: {path}")
        name = nested.data.get(section, {}).get("name")
        if isinstance(name, str) and os.path.isdir(name):  # noqa: PTH112  # As above.
            message = f"{name} is a folder here, and not a name of the hub: give it as {section}.path"
            yield nested.problem((section, "name"), "invalid-value", message)


def _denied(nested: Nested, chosen: Mapping[Kind, Entry]) -> Iterator[Problem]:
    """A switch that is false, and the plugin that it stands for chosen in another way."""
    for switch, origin in nested.denials:
        entry = chosen.get(switch.kind)
        if entry and entry.spec.name == switch.plugin:
            by = nested.origin(switch.path)
            message = f"false says not {switch.plugin}, which {by or 'the default'} chooses; keep one"
            yield origin.problem(IMPOSSIBLE, message)


def _expert(nested: Nested, method: Any) -> Iterator[Problem]:
    """Methods that no configuration can run."""
    if method.support == "expert":
        yield nested.problem(
            ("method", "name"),
            "expert-method",
            f"{method.name} is for experts: it needs inputs, layers or other adapters that no configuration gives; put "
            f'it on a model in Python, with adapt_core.apply_method(model, "{method.name}", ...), and train it in a '
            "loop of your own, or choose another method",
        )


def _head(nested: Nested, method: Any) -> Iterator[Problem]:
    """Methods that decide themselves what becomes of the head, and are told otherwise."""
    path = ("method", "train_head")
    wanted = as_boolean(nested.data.get("method", {}).get("train_head"))
    if wanted is False and method.head == "all":
        yield nested.problem(
            path, IMPOSSIBLE, f"the method {method.name} trains every parameter, the head's too; it cannot be frozen"
        )
    elif wanted is False and method.head == "only":
        yield nested.problem(
            path, IMPOSSIBLE, f"the method {method.name} trains the head; with the head frozen nothing would train"
        )
    elif wanted and method.head == "all":
        by = nested.origin(("method", "name"))
        chosen = f", which {by} chooses," if by else ""
        yield nested.problem(
            path,
            IMPOSSIBLE,
            f"this trains the head beside an adapter or alone, but the method {method.name}{chosen} trains every "
            "parameter, the head's too; remove one",
        )


def _batch_norm(nested: Nested, method: Any) -> Iterator[Problem]:
    """Methods beside which batch normalisation cannot be trained."""
    path = ("method", "train_batch_norm")
    if method.head != "beside" and as_boolean(nested.data.get("method", {}).get(path[1])):
        does = "trains batch normalisation with all else" if method.head == "all" else "trains no layers beside it"
        yield nested.problem(path, IMPOSSIBLE, f"this is for adapters, and the method {method.name} {does}; remove it")


def _checkpointing(nested: Nested, method: Any) -> Iterator[Problem]:
    """Methods whose learned values get lost where activations are recomputed."""
    path = ("training", "gradient_checkpointing")
    refused = why_not_checkpointed(method)
    if refused and as_boolean(nested.data.get("training", {}).get(path[1])):
        yield nested.problem(path, IMPOSSIBLE, f"{refused}; remove it")


def why_not_checkpointed(method: Any) -> str | None:
    """Why a method is not used with gradient checkpointing; None where it can be."""
    if method.checkpointing:
        return None
    return (
        f"the method {method.name} does not train with gradient checkpointing: what it learns does not reach layers "
        "whose activations are recomputed"
    )


def _engines(nested: Nested, specs: Mapping[Kind, Any], engine: EngineSpec) -> Iterator[Problem]:
    for kind in (Kind.METHOD, Kind.LAUNCHER):
        spec = specs.get(kind)
        if spec and spec.engines is not None and not set(engine.names) & set(spec.engines):
            yield nested.problem(
                (kind.section, "name"),
                IMPOSSIBLE,
                f"the {kind.value} {spec.name} does not work with the engine {engine.name}, which trains the task "
                f"{specs[Kind.TASK].name}; it works with {', '.join(spec.engines) or 'none'}",
            )
            return
    launcher = specs.get(Kind.LAUNCHER)
    if launcher and launcher.parallel and launcher.parallel not in engine.parallel:
        reason = f": {engine.why_not_parallel}" if engine.why_not_parallel else ""
        yield nested.problem(
            ("launch", "name"),
            IMPOSSIBLE,
            f"the engine {engine.name}, which trains the task {specs[Kind.TASK].name}, does not train "
            f"{launcher.parallel} models in several processes, as the launcher {launcher.name} has them{reason}",
        )


def _libraries(nested: Nested, specs: Mapping[Kind, Any], task: Any, library: Library | None) -> Iterator[Problem]:
    if library is None:
        names = " or ".join(each.name for each in task.libraries)
        asked = normalise(str(nested.data.get("model", {}).get("library")))
        message = f"the task {task.name} takes models from {names}, not from {asked}"
        yield nested.problem(("model", "library"), IMPOSSIBLE, message)
        return
    for kind in (Kind.QUANTIZER, Kind.SAVER):
        spec = specs.get(kind)
        if spec and spec.libraries is not None and library.name not in spec.libraries:
            yield nested.problem(
                (kind.section, "name"),
                IMPOSSIBLE,
                f"the {kind.value} {spec.name} works with models from {' or '.join(spec.libraries)}, "
                f"and this one is from {library.name}",
            )


def _bits(spec: Any) -> tuple[int, ...]:
    return tuple(spec.quantization)
