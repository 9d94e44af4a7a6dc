"""JSON with positions: the standard library's scanner reads strings and numbers, this file what holds them."""

from __future__ import annotations

import bisect
import json
import re
from typing import Any, NoReturn

from adapt_core.config.document import MAX_DEPTH, Document, KeyPath, Position, duplicate_key
from adapt_core.errors import ConfigError, Problem

_SPACE = re.compile(r"[ \t\n\r]*")


def read_json(text: str, file: str) -> Document:
    """Reads a JSON object. Raises ConfigError for anything else; duplicate keys are the document's problems."""
    return _Reader(text, file).document()


class _Reader:
    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.positions: dict[KeyPath, Position] = {}
        self.problems: list[Problem] = []
        self.line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self.scanner = json.JSONDecoder(parse_constant=_no_constant)

    def document(self) -> Document:
        start = self.skip(0)
        if start == len(self.text):
            raise ConfigError([Problem("empty-file", "the file is empty", file=self.file)])
        if self.text[start] != "{":
            self.refuse("the file must hold a JSON object: keys with values in braces", start)
        data, end = self.value(start, ())
        end = self.skip(end)
        if end < len(self.text):
            self.refuse("not valid JSON: something follows the closing brace", end)
        return Document(data, self.file, self.positions, tuple(self.problems))

    def value(self, at: int, path: KeyPath) -> tuple[Any, int]:
        """The value that begins at an index, and the index after it."""
        if len(path) > MAX_DEPTH:
            self.refuse(f"nested more than {MAX_DEPTH} levels deep", at)
        opening = self.text[at : at + 1]
        if opening == "{":
            return self.object(at + 1, path)
        if opening == "[":
            return self.array(at + 1, path)
        return self.scalar(at)

    def scalar(self, at: int) -> tuple[Any, int]:
        try:
            value, end = self.scanner.raw_decode(self.text, at)
        except json.JSONDecodeError as error:
            if error.msg == "Expecting value":
                self.refuse("not valid JSON: expected a value", error.pos)
            self.refuse(f"not valid JSON: {error.msg[:1].lower()}{error.msg[1:]}", error.pos)
        except ValueError as error:  # A constant that JSON lacks, or an integer of thousands of digits.
            self.refuse(f"not valid JSON: {error}", at)
        if isinstance(value, str) and not value.isascii():
            self.check_text(value, at)
        return value, end

    def check_text(self, value: str, at: int) -> None:
        try:
            value.encode()
        except UnicodeEncodeError:
            self.refuse("the text holds half of a surrogate pair, which is no character", at)

    def object(self, at: int, path: KeyPath) -> tuple[dict[str, Any], int]:
        found: dict[str, Any] = {}
        at = self.skip(at)
        if self.text[at : at + 1] == "}":
            return found, at + 1
        while True:
            at = self.skip(at)
            if self.text[at : at + 1] != '"':
                self.refuse("not valid JSON: expected a key in double quotes", at)
            key, end = self.scalar(at)
            position = self.position(at)
            colon = self.skip(end)
            if self.text[colon : colon + 1] != ":":
                self.refuse("not valid JSON: expected ':' after the key", colon)
            duplicate = key in found
            if duplicate:
                first = self.positions[(*path, key)][0]
                self.problems.append(duplicate_key((*path, key), self.file, first, position))
            else:
                self.positions[(*path, key)] = position
            # A duplicate is read for what is wrong with it, under a path that no key has.
            value, at = self.value(self.skip(colon + 1), (*path, None if duplicate else key))
            found.setdefault(key, value)
            at = self.skip(at)
            if self.text[at : at + 1] == "}":
                return found, at + 1
            if self.text[at : at + 1] != ",":
                self.refuse("not valid JSON: expected ',' or '}'", at)
            at += 1

    def array(self, at: int, path: KeyPath) -> tuple[list[Any], int]:
        found: list[Any] = []
        at = self.skip(at)
        if self.text[at : at + 1] == "]":
            return found, at + 1
        while True:
            at = self.skip(at)
            self.positions[(*path, len(found))] = self.position(at)
            value, at = self.value(at, (*path, len(found)))
            found.append(value)
            at = self.skip(at)
            if self.text[at : at + 1] == "]":
                return found, at + 1
            if self.text[at : at + 1] != ",":
                self.refuse("not valid JSON: expected ',' or ']'", at)
            at += 1

    def skip(self, at: int) -> int:
        match = _SPACE.match(self.text, at)
        return match.end() if match else at

    def position(self, at: int) -> Position:
        line = bisect.bisect_right(self.line_starts, at)
        return line, at - self.line_starts[line - 1] + 1

    def refuse(self, message: str, at: int) -> NoReturn:
        line, column = self.position(at)
        raise ConfigError([Problem("invalid-syntax", message, file=self.file, line=line, column=column)])


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
