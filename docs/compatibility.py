"""``docs/compatibility.md``: what works with what, as the installed plugins declare it. See generate_reference.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from adapt_core.kinds import EngineSpec, Kind
from adapt_core.plugins.registry import Registry

INTRODUCTION = """\
# What works with what

As the plugins of Adapt's own packages declare it. The contract suites (`adapt_core.testing`) hold every method to what
it declares, both ways: what is declared works, and what is not is refused with the reason. `adapt check` refuses
plugins that cannot work together; what depends on the model itself is refused before training."""

LAYERS = """\
Layers that `method.target_modules` may name, by class; a class that extends one of these counts as that. `Conv1D` is
transformers' transposed linear layer."""

METHODS = """\
The engine takes the training steps of a task. With a launcher of several processes, each has the whole model (`ddp`) or
a part of it (`fsdp`). Bits are the widths of quantized bases that a method trains on. One
that merges can be exported as an ordinary model; one that starts as the base gives its outputs until the first step."""

HEADS = {"beside": "beside it", "only": "nothing else", "all": "with all"}
SAVES = {"adapter": "an adapter", "model": "a whole model"}


def code(text: str) -> str:
    """Text as Markdown code."""
    return f"`{text}`"


def grid(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ("---",) * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


def compatibility() -> list[str]:
    """The parts of the page."""
    registry = Registry.load()
    specs: dict[Kind, list[Any]] = {
        kind: [entry.spec for entry in registry.entries(kind) if not entry.error] for kind in Kind
    }
    tested = [spec for spec in specs[Kind.METHOD] if spec.support == "tested"]
    engines = list(dict.fromkeys(each.engine for spec in specs[Kind.TASK] for each in spec.libraries))
    tables = {
        "Methods and layers": (LAYERS, _layers(tested, registry)),
        "Methods": (METHODS, _methods(tested, engines, specs[Kind.LAUNCHER])),
        "Quantizers": ("", _quantizers(specs[Kind.QUANTIZER], tested, specs[Kind.LAUNCHER])),
        "Savers": ("", _savers(specs[Kind.SAVER])),
        "Launchers": ("", _launchers(specs[Kind.LAUNCHER], engines)),
        "Tasks": ("", _tasks(specs[Kind.TASK])),
    }
    parts = [INTRODUCTION]
    for title, (text, table) in tables.items():
        parts += [f"## {title}", text, table] if table else []
        if title == "Methods":
            parts += [_others(specs[Kind.METHOD])]
    return parts


def _layers(methods: Sequence[Any], registry: Registry) -> str:
    types = [kind for kind, _ in Counter(kind for spec in methods for kind in spec.module_types).most_common()]
    told = [spec for spec in methods if "target_modules" in registry.options(spec).model_fields]
    rows = [[code(spec.name), *(_mark(_allows(spec.module_types or None, kind)) for kind in types)] for spec in told]
    rest = ", ".join(code(spec.name) for spec in methods if spec not in told)
    return grid(["method", *types], rows) + f"\n\nChoosing by themselves what they train: {rest}."


def _methods(methods: Sequence[Any], engines: Sequence[EngineSpec], launchers: Sequence[Any]) -> str:
    several = [spec for spec in launchers if spec.parallel]
    columns = [
        "method",
        *(code(engine.name) for engine in engines),
        *(code(launcher.name) for launcher in several),
        "bits",
        "merges",
        "starts as the base",
        "trains the head",
        "saves",
    ]
    rows = [
        [
            code(spec.name),
            *(_mark(_runs(spec.engines, engine)) for engine in engines),
            *(_mark(launcher.parallel in spec.parallel) for launcher in several),
            ", ".join(map(str, spec.quantization)),
            _mark(spec.merges),
            _mark(spec.identity),
            HEADS[spec.head],
            SAVES[spec.saves],
        ]
        for spec in methods
    ]
    return grid(columns, rows)


def _others(methods: Sequence[Any]) -> str:
    """The methods that no row is about."""
    reasons = {"untested": "no test has run them", "expert": "they need more than a configuration gives"}
    found = {why: [code(spec.name) for spec in methods if spec.support == support] for support, why in reasons.items()}
    return " ".join(f"Not in these tables, for {why}: {', '.join(names)}." for why, names in found.items() if names)


def _quantizers(quantizers: Sequence[Any], methods: Sequence[Any], launchers: Sequence[Any]) -> str:
    several = [spec for spec in launchers if spec.parallel]
    rows = [
        [
            code(spec.name),
            str(spec.bits),
            ", ".join(spec.libraries),
            *(_mark(launcher.parallel in spec.parallel) for launcher in several),
            ", ".join(code(method.name) for method in methods if spec.bits in method.quantization),
        ]
        for spec in quantizers
    ]
    columns = ["quantizer", "bits", "models from", *(code(launcher.name) for launcher in several), "methods"]
    return grid(columns, rows) if rows else ""


def _savers(savers: Sequence[Any]) -> str:
    rows = [
        [code(spec.name), ", ".join(spec.libraries or ["any library"]), _mark(spec.added_biases), _mark(spec.pickle)]
        for spec in savers
    ]
    return grid(
        ["saver", "models from", "keeps biases that the architecture lacks", "loading it runs code (pickle)"], rows
    )


def _launchers(launchers: Sequence[Any], engines: Sequence[EngineSpec]) -> str:
    rows = [[code(spec.name), *(_mark(_starts(spec, engine)) for engine in engines)] for spec in launchers]
    return grid(["launcher", *(code(engine.name) for engine in engines)], rows)


def _tasks(tasks: Sequence[Any]) -> str:
    rows = [[code(spec.name), each.name, code(each.engine.name)] for spec in tasks for each in spec.libraries]
    return grid(["task", "models from", "engine"], rows)


def _allows(declared: Sequence[str] | None, name: str) -> bool:
    return declared is None or name in declared


def _runs(declared: Sequence[str] | None, engine: EngineSpec) -> bool:
    return declared is None or bool(set(declared) & set(engine.names))


def _starts(launcher: Any, engine: EngineSpec) -> bool:
    """Whether a launcher works with an engine, which must train in its way of having several processes."""
    return _runs(launcher.engines, engine) and launcher.parallel in (None, *engine.parallel)


def _mark(works: bool) -> str:
    return "✓" if works else ""
