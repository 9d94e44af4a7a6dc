"""The configurations of PEFT's tuners, read off its source: importing it imports torch, which checking must not.

Only the syntax is read: the calls of ``register_peft_method``, and the fields of the configuration dataclasses with
their annotations, defaults and help texts.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Optional, Union

from adapt_core.errors import AdaptError

INTERNAL = frozenset({"task_type", "peft_type", "peft_version", "auto_mapping", "base_model_name_or_path", "revision"})
"""Fields of every configuration that PEFT or Adapt fills in."""

TYPES: dict[str, Any] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "Any": Any,
    "None": None,
    "Optional": Optional,
    "Union": Union,
    "Literal": Literal,
    "list": list,
    "List": list,
    "tuple": tuple,
    "dict": dict[str, Any],
    "Dict": dict,
}
REQUIRED = ...


@dataclass(frozen=True)
class Field:
    """One field of a configuration of PEFT.

    Attributes:
        name: its name.
        type: its type; what is a class of PEFT's own is any mapping or value here.
        default: its default, ``...`` where it must be given.
        help: what PEFT says of it.
    """

    name: str
    type: Any
    default: Any
    help: str


def config_class(tuner: str) -> str:
    """The name of a tuner's configuration class.

    Raises:
        AdaptError: the installed PEFT has no such tuner.
    """
    for file, text in _texts():
        call = re.search(rf'register_peft_method\([^)]*name="{re.escape(tuner)}"[^)]*\)', text)
        config = re.search(r"config_cls=(\w+)", call[0]) if call and file.name == "__init__.py" else None
        if config:
            return config[1]
    raise AdaptError(f"the installed PEFT has no tuner {tuner!r}")


def config_fields(tuner: str) -> tuple[Field, ...]:
    """The fields of a tuner's configuration that a user may set, those of its base classes first."""
    fields: dict[str, Field] = {}
    for node, constants in _lineage(config_class(tuner)):
        for statement in node.body:
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                fields[statement.target.id] = _field(statement, constants)
    hidden = INTERNAL | {"inference_mode"}
    return tuple(field for name, field in fields.items() if name not in hidden)


@cache
def _texts() -> tuple[tuple[Path, str], ...]:
    """The files of PEFT that register tuners or hold their configurations."""
    root = peft_folder()
    if root is None:
        return ()
    patterns = ("tuners/*/__init__.py", "tuners/*/config.py", "tuners/*.py", "config.py")
    files = [file for pattern in patterns for file in sorted(root.glob(pattern))]
    return tuple((file, file.read_text(encoding="utf-8")) for file in files)


@cache
def _parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def _lineage(name: str) -> Iterator[tuple[ast.ClassDef, Constants]]:
    """A class and its bases within PEFT, the bases first, each with the constants of its file."""
    found = _class(name)
    if found is None:
        return
    node, file = found
    for base in node.bases:
        if isinstance(base, ast.Name):
            yield from _lineage(base.id)
    yield node, Constants(file)


@cache
def _class(name: str) -> tuple[ast.ClassDef, Path] | None:
    for file, text in _texts():
        # The class alone is parsed, without the rest of its file.
        found = re.search(rf"^class {name}\b.*?(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
        if found:
            (node,) = ast.parse(found[0]).body
            assert isinstance(node, ast.ClassDef)
            return node, file
    return None


class Constants:
    """Names of a file that stand for a plain value, members of its enumerations included; parsed when one is needed."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __getitem__(self, name: str) -> Any:
        """The value, None where there is none."""
        return _constants(self.file).get(name)


@cache
def _constants(file: Path) -> Mapping[str, Any]:
    values: dict[str, Any] = {}
    for node in _parsed(file).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            values[node.targets[0].id] = _value(node.value, Constants(file))
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.Assign) and isinstance(inner.targets[0], ast.Name):
                    values[f"{node.name}.{inner.targets[0].id}"] = _value(inner.value, Constants(file))
    return values


def _field(statement: ast.AnnAssign, constants: Constants) -> Field:
    assert isinstance(statement.target, ast.Name)
    name, text = statement.target.id, ""
    default: Any = REQUIRED
    value = statement.value
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "field":
        given = {word.arg: word.value for word in value.keywords}
        if "default" in given:
            default = _value(given["default"], constants)
        elif isinstance(factory := given.get("default_factory"), ast.Name):
            default = {"dict": {}, "list": []}.get(factory.id)
        elif "default_factory" in given:
            default = None
        metadata = given.get("metadata")
        text = str(_value(metadata, constants).get("help", "")) if metadata is not None else ""
    elif value is not None:
        default = _value(value, constants)
    return Field(name, _with_default(_type(statement.annotation, constants), default), default, " ".join(text.split()))


def _with_default(kind: Any, default: Any) -> Any:
    """The type, widened where PEFT gives a default that its own annotation does not allow."""
    return Optional[kind] if default is None else kind  # noqa: UP045  # the kind may be a special form


def _value(node: ast.expr, constants: Constants) -> Any:
    """A constant expression; a name that stands for one; None for what is computed."""
    if isinstance(node, ast.Name):
        return constants[node.id]
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return constants[f"{node.value.id}.{node.attr}"]
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return {_value(key, constants): _value(value, constants) for key, value in pairs if key is not None}
    if isinstance(node, ast.BinOp | ast.JoinedStr):
        return _folded(node)
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def _folded(node: ast.expr) -> Any:
    """A sum of texts, or arithmetic on constants."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _folded(node.left), _folded(node.right)
        return left + right if isinstance(left, str) and isinstance(right, str) else None
    return node.value if isinstance(node, ast.Constant) else None


def _type(node: ast.expr, constants: Constants) -> Any:
    """An annotation as a type; any value where it names a class that only PEFT has."""
    if isinstance(node, ast.Constant):
        return _type(ast.parse(node.value, mode="eval").body, constants) if isinstance(node.value, str) else node.value
    if isinstance(node, ast.Name):
        return TYPES.get(node.id, Any)
    if isinstance(node, ast.BinOp):
        return Union[_type(node.left, constants), _type(node.right, constants)]  # noqa: UP007  # made at run time
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if node.value.id == "Literal":
            return Literal[tuple(_value(each, constants) for each in inner)]
        outer = {"dict": dict, "Dict": dict}.get(node.value.id) or TYPES.get(node.value.id)
        arguments = tuple(_type(each, constants) for each in inner)
        return outer[arguments if len(arguments) > 1 else arguments[0]] if outer is not None else Any
    return Any


def peft_folder() -> Path | None:
    """The folder of the installed PEFT; None where there is none."""
    spec = importlib.util.find_spec("peft")
    return Path(spec.origin).parent if spec and spec.origin else None


@cache
def tuners() -> tuple[str, ...]:
    """The tuners of the installed PEFT, as ``PeftType`` names them, in lower case and sorted; none without PEFT."""
    root = peft_folder()
    if root is None:
        return ()
    text = (root / "utils" / "peft_types.py").read_text(encoding="utf-8")
    enum = re.search(r"^class PeftType\(.*?(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    members = re.findall(r'^    \w+ = "(\w+)"$', enum[0] if enum else "", re.MULTILINE)
    return tuple(sorted(member.lower() for member in members))
