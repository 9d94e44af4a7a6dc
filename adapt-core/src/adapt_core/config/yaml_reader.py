"""YAML 1.2 with positions: PyYAML reads the syntax, this file gives it the core schema's meaning.

PyYAML's own schema is that of YAML 1.1, in which ``no`` is false, ``12:30`` is 750 and ``1e-4`` is text.
Source: https://yaml.org/spec/1.2.2/#103-core-schema
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from adapt_core.config.document import MAX_DEPTH, Document, KeyPath, Position, duplicate_key
from adapt_core.errors import ConfigError, Problem

MAX_VALUES = 100_000
MAX_DIGITS = 1_000

_TAG = "tag:yaml.org,2002:"
_NULL, _BOOL, _INT, _FLOAT, _STR = (_TAG + name for name in ("null", "bool", "int", "float", "str"))
_SEQ, _MAP = _TAG + "seq", _TAG + "map"
CORE_SCHEMA = (
    (_NULL, re.compile(r"null|Null|NULL|~|")),
    (_BOOL, re.compile(r"true|True|TRUE|false|False|FALSE")),
    (_INT, re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")),
    (
        _FLOAT,
        re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?(\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN"),
    ),
)
_PLAINLY = (
    (
        "mapping values are not allowed",
        "':' where none fits; a value that holds ': ' needs quotes, a key a line of its own",
    ),
    ("could not find expected ':'", "expected 'key: value'"),
    ("but found '<block", "the indentation does not fit that of the lines above"),
    ("but found '<scalar>'", "something follows a finished value; a quote or a comma is missing"),
    ("found unexpected end of stream", "a quote is opened and not closed"),
    (r"found character '\t'", "a tab; YAML is indented with spaces"),
    ("expected the node content", "a value is missing"),
    ("but found another document", "a second document begins; a configuration is one"),
)


def read_yaml(text: str, file: str) -> Document:
    """Reads a YAML mapping.

    Raises:
        ConfigError: the text is not YAML, or not one mapping, or does not end (aliases within themselves). Duplicate
            keys, unknown tags and the like are the document's problems.
    """
    node = _compose(text, file)
    if node is None or node.tag == _NULL:
        raise ConfigError([Problem("empty-file", "the file is empty", file=file)])
    if not isinstance(node, MappingNode):
        message = f"the file must hold keys with values ('task: …'), not {_what(node)}"
        raise _refusal(message, file, node.start_mark)
    builder = _Builder(file)
    return Document(builder.value(node, ()), file, builder.positions, tuple(builder.problems))


def read_value(text: str, file: str) -> Any:
    """Reads one YAML value, such as the right side of an override. Raises ConfigError for what is not one."""
    node = _compose(text, file)
    builder = _Builder(file)
    value = None if node is None else builder.value(node, ())
    if builder.problems:
        raise ConfigError(builder.problems)
    return value


class _Loader(Reader, Scanner, Parser, Composer, BaseResolver):
    """PyYAML's stages up to the tree of nodes, with the core schema's tags."""

    def __init__(self, text: str, file: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)
        self.file = file
        self.depth = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _refusal(f"nested more than {MAX_DEPTH} levels deep", self.file, self.get_mark())
        node: Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def compose_scalar_node(self, anchor: Any) -> ScalarNode:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if event.tag == "!":  # "Not what it looks like but text"; PyYAML takes it for "what it looks like".
            event.implicit = (False, True)
        return super().compose_scalar_node(anchor)

    def resolve(self, kind: type[Node], value: Any, implicit: Any) -> str:
        if kind is SequenceNode:
            return _SEQ
        if kind is MappingNode:
            return _MAP
        plain = implicit[0]
        return next((tag for tag, form in CORE_SCHEMA if plain and form.fullmatch(value)), _STR)


def _compose(text: str, file: str) -> Node | None:
    try:
        return _Loader(text, file).get_single_node()
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"not valid YAML: the character U+{ord(text[error.position]):04X} is not allowed"
        raise ConfigError([Problem("invalid-syntax", message, file=file, line=line)]) from None
    except yaml.MarkedYAMLError as error:
        said = (error.problem or error.context or "").replace("\t", r"\t")
        message = next((plain for pattern, plain in _PLAINLY if pattern in said), said)
        # What is never closed, and a key without ':', stands where the context begins.
        opened = (error.context or "").startswith(("while scanning a simple key", "while scanning a quoted scalar"))
        mark = error.context_mark if opened else error.problem_mark
        raise _refusal(f"not valid YAML: {message}", file, mark) from None
    except (ValueError, OverflowError):  # PyYAML's own for "\UFFFFFFFF", a character that does not exist.
        message = "not valid YAML: an escaped character does not exist"
        raise ConfigError([Problem("invalid-syntax", message, file=file)]) from None


class _Builder:
    """Turns nodes into values, and notes where the keys stand."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.positions: dict[KeyPath, Position] = {}
        self.problems: list[Problem] = []
        self.open: set[int] = set()
        self.count = 0

    def value(self, node: Node, path: KeyPath) -> Any:
        self.count += 1
        if self.count > MAX_VALUES:
            raise _refusal(f"the aliases stand for more than {MAX_VALUES:,} values", self.file, node.start_mark)
        if len(path) > MAX_DEPTH:
            raise _refusal(f"nested more than {MAX_DEPTH} levels deep", self.file, node.start_mark)
        if isinstance(node, ScalarNode):
            return self.scalar(node, path)
        if id(node) in self.open:
            raise _refusal("an alias stands within what it stands for, which has no end", self.file, node.start_mark)
        expected = _MAP if isinstance(node, MappingNode) else _SEQ
        if node.tag != expected:
            self.note(f"unknown tag {_shown(node.tag)!r}; remove it", path, node)
        self.open.add(id(node))
        built = self.mapping(node, path) if isinstance(node, MappingNode) else self.sequence(node, path)
        self.open.remove(id(node))
        return built

    def sequence(self, node: Node, path: KeyPath) -> list[Any]:
        items = []
        for index, item in enumerate(node.value):
            self.positions[(*path, index)] = _position(item.start_mark)
            items.append(self.value(item, (*path, index)))
        return items

    def mapping(self, node: Node, path: KeyPath) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self.note(f"a key must be text, not {_what(key_node)}", path, key_node)
                continue
            key = self.scalar(key_node, path)
            here = (*path, key)
            if key in found:
                position = _position(key_node.start_mark)
                self.problems.append(duplicate_key(here, self.file, self.positions[here][0], position))
                continue
            self.positions[here] = _position(key_node.start_mark)
            found[key] = self.value(value_node, here)
        return found

    def scalar(self, node: ScalarNode, path: KeyPath) -> Any:
        text, tag = node.value, node.tag
        form = dict(CORE_SCHEMA).get(tag)
        if form is None and tag != _STR:
            self.note(f"unknown tag {_shown(tag)!r}; remove it", path, node)
        elif form and not form.fullmatch(text):
            self.note(f"{text[:60]!r} is not what its tag {_shown(tag)!r} says", path, node)
        elif tag == _NULL:
            return None
        elif tag == _BOOL:
            return text.lower() == "true"
        elif tag in (_INT, _FLOAT) and len(text) > MAX_DIGITS:
            self.note(f"a number of more than {MAX_DIGITS:,} digits", path, node)
            return 0
        elif tag == _INT:
            return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        elif tag == _FLOAT:
            # Python writes infinity and not-a-number without the dot.
            return float(text.replace(".", "")) if text[-1:].isalpha() else float(text)
        if not text.isascii() and not _encodable(text):
            self.note("the text holds half of a surrogate pair, which is no character", path, node)
            return ""
        return text

    def note(self, message: str, path: KeyPath, node: Node) -> None:
        key = ".".join(map(str, path))
        self.problems.append(Problem("invalid-syntax", message, key, self.file, *_position(node.start_mark)))


def _what(node: Node) -> str:
    if isinstance(node, MappingNode):
        return "a mapping"
    return "a list" if isinstance(node, SequenceNode) else "a single value"


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(tag: str) -> str:
    return "!!" + tag.removeprefix(_TAG) if tag.startswith(_TAG) else tag


def _position(mark: Any) -> Position:
    return mark.line + 1, mark.column + 1


def _refusal(message: str, file: str, mark: Any) -> ConfigError:
    line, column = _position(mark) if mark else (None, None)
    return ConfigError([Problem("invalid-syntax", message, file=file, line=line, column=column)])
