"""Makes chunks of noun phrases out of parts of speech: a rule, to have data for ``chunk``.

    python noun_phrases.py SOURCE TARGET

SOURCE holds CoNLL-U files, or JSON lines with ``tokens`` and ``upos``; TARGET gets one JSON lines file for each, with
``tokens`` and ``chunk_tags``. A noun phrase is a pronoun, or a determiner if there is one, then adjectives, numbers and
nouns, the last of them a noun or a name. Its first word is tagged B-NP, its others I-NP, and all other words O.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

LETTERS = {"DET": "d", "ADJ": "a", "NUM": "a", "NOUN": "n", "PROPN": "n", "PRON": "p"}
PHRASE = re.compile("p|d?[an]*n")


def chunk_tags(upos: Sequence[str]) -> list[str]:
    """The chunk tags of a sentence's parts of speech."""
    tags = ["O"] * len(upos)
    for phrase in PHRASE.finditer("".join(LETTERS.get(each, "-") for each in upos)):
        tags[phrase.start() : phrase.end()] = ["B-NP", *["I-NP"] * (phrase.end() - phrase.start() - 1)]
    return tags


def sentences(file: Path) -> Iterator[tuple[list[str], list[str]]]:
    """The words and parts of speech of each sentence of a file."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".jsonl":
        for line in text.splitlines():
            row = json.loads(line)
            yield row["tokens"], row["upos"]
        return
    for block in text.split("\n\n"):
        cells = [line.split("\t") for line in block.splitlines() if line[:1].isdecimal()]
        words = [each for each in cells if each[0].isdecimal()]  # no contractions, no words that are not written
        if words:
            yield [each[1] for each in words], [each[3] for each in words]


def main(source: str, target: str) -> None:
    """Writes a file of chunks for each file of parts of speech."""
    files = sorted(file for file in Path(source).iterdir() if file.suffix in (".jsonl", ".conllu"))
    if not files:
        sys.exit(f"There are no .conllu or .jsonl files in {source}")
    Path(target).mkdir(parents=True, exist_ok=True)
    for file in files:
        rows = [json.dumps({"tokens": words, "chunk_tags": chunk_tags(upos)}) for words, upos in sentences(file)]
        (Path(target) / f"{file.stem}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
        print(f"{file.stem}: {len(rows)} sentences")


if __name__ == "__main__":
    main(*sys.argv[1:])
