"""How much memory it takes to prepare rows, and to draw an epoch of batches from them: the same for few and for many.

    python benchmarks/memory.py [--rows 10000,100000,1000000] [--num-proc 1] [--output runs/memory]

Rows are texts of rotten_tomatoes, numbered so that no two are alike, with their labels, in a JSON lines file. In a new
process for each number of rows, the data of text classification are loaded (a tenth is held out), encoded with
MiniLM's tokenizer, at most 64 tokens a text, into an empty cache, and read in the batches of 16 of one epoch; then once
more, from the cache. What is counted begins when the libraries and the tokenizer are there.

``own`` is memory that nothing but the process can give back (anonymous pages): what must fit. ``mapped`` are pages of
files, which the system takes back whenever it needs them: at most all of the Arrow files, if there is room for them.
Both are the highest of samples taken all the time, of this process and of those that it starts, together.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from common import SEED, minilm, train_and_test

BATCH = 16


def write_rows(path: Path, count: int) -> None:
    """A file of so many rows, made of real ones."""
    lines = train_and_test("rotten_tomatoes")[0].read_text(encoding="utf-8").splitlines()
    with path.open("w", encoding="utf-8") as file:
        for number, line in enumerate(islice(cycle(lines), count)):
            row = json.loads(line)
            file.write(json.dumps({"text": f"{row['text']} {number}", "label": row["label"]}) + "\n")


def resident() -> tuple[int, int]:
    """Bytes of memory of this process and its children: their own, and mapped from files."""
    own = mapped = 0
    for process in [os.getpid(), *_children(os.getpid())]:
        try:
            status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
        except OSError:  # it has ended
            continue
        values = dict(line.split(":", 1) for line in status.splitlines() if line.startswith("Rss"))
        own += int(values["RssAnon"].split()[0]) * 1024
        mapped += int(values["RssFile"].split()[0]) * 1024
    return own, mapped


def _children(process: int) -> list[int]:
    try:
        direct = list(map(int, Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii").split()))
    except OSError:
        return []
    return [each for child in direct for each in (child, *_children(child))]


@contextmanager
def peak(result: dict[str, float]) -> Iterator[None]:
    """Measures the seconds of a block, and how much memory it takes at most over what there is before it."""
    before = highest = resident()
    over = threading.Event()

    def sample() -> None:
        nonlocal highest
        while not over.wait(0.02):
            highest = tuple(map(max, highest, resident()))  # type: ignore[assignment]

    sampler = threading.Thread(target=sample)
    sampler.start()
    begin = time.perf_counter()
    try:
        yield
    finally:
        over.set()
        sampler.join()
        result["seconds"] = time.perf_counter() - begin
        result["own"], result["mapped"] = (top - first for top, first in zip(highest, before, strict=True))


def prepare(file: Path, cache: Path, num_proc: int) -> dict[str, Any]:
    """Prepares rows and draws an epoch of batches, twice, and measures it."""
    import datasets
    from transformers import AutoTokenizer

    from adapt_core.engines.common.loaders import training_loader
    from adapt_core.interfaces import World
    from adapt_nlp.data.preprocessing import Preprocessing
    from adapt_nlp.text_classification.data import load_classification_data
    from adapt_nlp.text_classification.encoding import encode
    from adapt_nlp.text_classification.options import TextClassificationData

    datasets.disable_progress_bars()
    tokenizer = AutoTokenizer.from_pretrained(minilm())
    tokenizer.model_max_length = 64
    tokenizer(["warm", "up"])
    options = TextClassificationData(path=str(file), cache_dir=str(cache), num_proc=num_proc)
    found: dict[str, Any] = {}
    for when in ("first", "again"):
        found[when] = {}
        with peak(found[when]):
            rows = load_classification_data(options, SEED)
            encoded = encode(tokenizer, rows.train, Preprocessing(options), "training rows")
            loader = training_loader(
                encoded,
                len,
                batch=BATCH,
                group=1,
                seed=SEED,
                world=World(),
                lengths=encoded.lengths,
                workers=0,
            )
            found[when]["rows"] = sum(loader)
        del rows, encoded, loader
    found["files"] = sum(path.stat().st_size for path in cache.rglob("*.arrow"))
    return found


def main() -> None:
    """Prints a line for each number of rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="10000,100000,1000000")
    parser.add_argument("--num-proc", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("runs/memory"))
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    cache = arguments.output / "cache"
    if arguments.measure:
        print(json.dumps(prepare(arguments.measure, cache, arguments.num_proc)))
        return
    arguments.output.mkdir(parents=True, exist_ok=True)
    print("| rows | own, first time | own, from the cache | mapped | Arrow files | seconds, first | from the cache |")
    print("|---|---|---|---|---|---|---|")
    for count in map(int, arguments.rows.split(",")):
        file = arguments.output / "rows.jsonl"
        write_rows(file, count)
        shutil.rmtree(cache, ignore_errors=True)
        command = [sys.executable, __file__, "--measure", str(file), "--output", str(arguments.output)]
        done = subprocess.run(
            [*command, "--num-proc", str(arguments.num_proc)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(done.stderr)
        found = json.loads(done.stdout.splitlines()[-1])
        first, again = found["first"], found["again"]
        sizes = [first["own"], again["own"], max(first["mapped"], again["mapped"]), found["files"]]
        cells = [f"{size / 1e6:.0f} MB" for size in sizes]
        seconds = [f"{each['seconds']:.1f}" for each in (first, again)]
        print(f"| {count:,} | {' | '.join([*cells, *seconds])} |", flush=True)
    shutil.rmtree(cache, ignore_errors=True)
    (arguments.output / "rows.jsonl").unlink()


if __name__ == "__main__":
    main()
