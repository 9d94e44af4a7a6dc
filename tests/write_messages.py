"""Makes ``tests/broken_configs/messages.golden.txt``: what is said of every mistake in a configuration, word for word.

    python tests/write_messages.py            compares the file with what is said
    python tests/write_messages.py --write    writes it

The mistakes are the files beside it, for the installed plugins, and those in ``adapt-core/tests/mistakes.py``, for the
plugins that the core's tests make up. Run it where every package of this repository is installed, and read the
difference: it is what users will read.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from adapt_core.errors import Problem
from adapt_core.plan.build import check

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "tests" / "broken_configs"
GOLDEN = FOLDER / "messages.golden.txt"
NOT_BROKEN = ("table.toml", GOLDEN.name)
LONGEST = 70
"""The most characters of a mistake that head what is said of it."""


def place(name: str, content: bytes, folder: Path) -> Path:
    """Writes a configuration into a folder, beside the model and the data that it names."""
    (folder / "model").mkdir()
    (folder / "data.csv").write_text("text,label\ngood,1\nbad,0\n")
    for word, path in (("{model}", folder / "model"), ("{data}", folder / "data.csv"), ("{tmp}", folder)):
        content = content.replace(word.encode(), str(path).encode())
    file = folder / name
    file.write_bytes(content)
    return file


def mistakes() -> Iterator[tuple[str, list[Problem], str]]:
    """Every mistake, with its problems and the folder that they name."""
    sys.path.insert(0, str(ROOT / "adapt-core" / "tests"))
    from mistakes import problems_by_mistake

    for file in sorted(FOLDER.iterdir()):
        if file.name not in NOT_BROKEN:
            with tempfile.TemporaryDirectory() as scratch:
                yield file.name, check(place(file.name, file.read_bytes(), Path(scratch))), scratch
    with tempfile.TemporaryDirectory() as scratch:
        for mistake, problems in problems_by_mistake(Path(scratch)):
            yield repr(mistake if len(mistake) <= LONGEST else f"{mistake[:LONGEST]}…"), problems, scratch


def golden(found: Iterable[tuple[str, list[Problem], str]]) -> str:
    """The text of the file."""
    parts = []
    for mistake, problems, scratch in found:
        lines = (str(problem).removeprefix(f"{scratch}/").replace(scratch, "{tmp}") for problem in problems)
        parts.append("\n".join([mistake, *(f"    {line}" for line in lines)]))
    return "\n\n".join(parts) + "\n"


def main(arguments: list[str]) -> int:
    """Compares, or with ``--write`` writes; returns the exit code."""
    text = golden(mistakes())
    if arguments == ["--write"]:
        GOLDEN.write_text(text, encoding="utf-8")
        return 0
    same = GOLDEN.is_file() and GOLDEN.read_text(encoding="utf-8") == text
    print("up to date" if same else f"{GOLDEN.name} is out of date: run python tests/write_messages.py --write")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
