"""Builds a data set out of the documentation strings of Python's own standard library.

The question is which area a text documents. Modules are split, not texts: training and test share no module, so a model
cannot win by remembering one. Run alone, it writes the data and prints how many rows each split has:

    python examples/quickstart/stdlib_docs.py FOLDER
"""

from __future__ import annotations

import builtins
import importlib
import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

SPLITS = ("train", "validation", "test")

AREAS: dict[str, dict[str, str]] = {
    # area -> split -> modules, and builtin types
    "text": {
        "train": "str codecs difflib html.parser json.decoder pprint shlex string textwrap tokenize unicodedata "
        "xml.dom.minidom xml.etree.ElementTree",
        "validation": "html json.encoder locale quopri",
        "test": "base64 binascii bytes re",
    },
    "numbers": {
        "train": "cmath complex decimal float heapq int numbers operator",
        "validation": "bisect colorsys fractions random",
        "test": "math statistics",
    },
    "files": {
        "train": "configparser csv genericpath io ntpath os pathlib posixpath stat tarfile",
        "validation": "bz2 fileinput linecache",
        "test": "fnmatch glob shelve shutil tempfile zlib",
    },
    "networking": {
        "train": "ftplib http.client http.cookiejar socket ssl urllib.parse urllib.request",
        "validation": "http.cookies urllib.robotparser",
        "test": "http.server poplib smtplib urllib.error",
    },
    "concurrency": {
        "train": "asyncio.events asyncio.futures asyncio.tasks multiprocessing.connection "
        "multiprocessing.context multiprocessing.managers multiprocessing.shared_memory subprocess threading",
        "validation": "asyncio.runners asyncio.streams asyncio.timeouts multiprocessing.reduction",
        "test": "asyncio.locks asyncio.queues concurrent.futures._base concurrent.futures.thread multiprocessing.pool "
        "queue",
    },
    "code": {
        "train": "ast dis doctest importlib.metadata inspect unittest.case",
        "validation": "code codeop importlib.abc",
        "test": "importlib.util modulefinder pstats traceback unittest.loader unittest.suite",
    },
}
FEWEST_WORDS, MOST_WORDS = 5, 60  # a shorter text says too little; of a longer one the beginning is kept


def build() -> dict[str, list[dict[str, str]]]:
    """The rows of every split, each ``{"text", "label", "module"}``; no text occurs twice, whatever its case."""
    splits: dict[str, list[dict[str, str]]] = {split: [] for split in SPLITS}
    seen: set[str] = set()
    for area, modules in AREAS.items():
        for split in SPLITS:
            for module in modules[split].split():
                for text in map(_prose, _docstrings(module)):
                    if len(text.split()) >= FEWEST_WORDS and text.casefold() not in seen:
                        seen.add(text.casefold())
                        splits[split].append({"text": text, "label": area, "module": module})
    return splits


def write(folder: Path) -> dict[str, list[dict[str, str]]]:
    """Writes one JSON-lines file a split into a folder, and returns the rows."""
    folder.mkdir(parents=True, exist_ok=True)
    splits = build()
    for split, rows in splits.items():
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{split}.jsonl").write_text(lines, encoding="utf-8")
    return splits


def _docstrings(name: str) -> Iterator[str]:
    """The documentation strings of a module, or of a builtin type, and of what it defines."""
    owner = getattr(builtins, name, None) or importlib.import_module(name)
    homes = {name, f"_{name}", f"_{name.rpartition('.')[2]}"}  # many modules are made in C, under a leading underscore
    yield owner.__doc__ or ""
    for member in _members(owner):
        if isinstance(owner, ModuleType) and getattr(member, "__module__", None) not in homes:
            continue  # imported from elsewhere
        yield _own_doc(member)
        if isinstance(member, type):
            yield from map(_own_doc, _members(member))


def _members(owner: object) -> list[object]:
    """What a module or class holds, without the special methods: their documentation is everywhere the same."""
    return [member for name, member in vars(owner).items() if not name.startswith("__")]


def _own_doc(member: object) -> str:
    """The documentation of a class, function, method or property; that of other values is their type's."""
    documented = isinstance(member, (type, property, classmethod, staticmethod)) or inspect.isroutine(member)
    return (member.__doc__ or "") if documented else ""


def _prose(docstring: str) -> str:
    """The text without signatures, examples and lists, as one line of at most ``MOST_WORDS`` words."""
    text = re.sub(r"^[\w.]+\(.*\) *(->.*)?$", "", inspect.cleandoc(docstring), flags=re.MULTILINE)
    prose = [part for part in text.split("\n\n") if not re.match(r"\s*(>>>|[-*=+|])", part)]
    return " ".join(" ".join(prose).split()[:MOST_WORDS])


if __name__ == "__main__":
    for split, rows in write(Path(sys.argv[1])).items():
        print(f"{split}: {len(rows)} rows")
