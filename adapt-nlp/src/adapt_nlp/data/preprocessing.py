"""Makes the model's input of rows, through ``datasets``' own ``map``, and keeps it in the cache."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

from datasets import Dataset, Features, List, Value, concatenate_datasets, disable_progress_bars
from datasets.utils import are_progress_bars_disabled, enable_progress_bars
from transformers import PreTrainedTokenizerBase

from adapt_core.errors import AdaptError
from adapt_core.terminal.progress import current
from adapt_nlp.data.cache import Cache, Entry, key_of
from adapt_nlp.data.options import SplitDataOptions
from adapt_nlp.data.views import BATCH, ArrowFiles, Column

Columns = Mapping[str, Sequence[Any]]
Encode = Callable[[int, int], Columns]
"""From the first row and the one behind the last to columns. There may be more or fewer rows of these."""

ROWS_EACH = 50_000
"""Rows that are worth a process of their own."""

IDS = List(Value("int32"))
BITS = List(Value("int8"))
TYPES: Mapping[str, Any] = {"attention_mask": BITS, "token_type_ids": BITS, "special_tokens_mask": BITS}
"""How the columns that are no token ids are kept; a task adds its own."""

COUNT = "rows done"


class Encoded:
    """The model's input of some rows, in Arrow files.

    Attributes:
        columns: by name.
        key: what they were made of.
    """

    def __init__(self, entry: Entry) -> None:
        files = ArrowFiles(entry.files)
        self.columns = {name: Column(files, name) for name in entry.about["names"]}
        self.key = entry.key
        self._paths = entry.files

    def dataset(self) -> Dataset:
        """The same as a data set of the library."""
        return concatenate_datasets([Dataset.from_file(str(path)) for path in self._paths])


class Preprocessing:
    """Makes the model's input of rows, or finds it in the cache.

    Args:
        options: the ``dataset`` section.
    """

    def __init__(self, options: SplitDataOptions) -> None:
        self.cache = Cache(options.cache_dir)
        self.num_proc = options.num_proc

    def encoded(self, what: str, rows: int, encode: Encode, types: Mapping[str, Any], *made_of: Any) -> Encoded:
        """What a function makes of rows.

        Args:
            what: what the rows are called, for a person: ``"training rows"``.
            rows: their number.
            encode: makes columns out of some of them; may be called in other processes.
            types: of the columns that are neither token ids nor masks, as ``datasets`` has them.
            made_of: all on which the columns depend, as JSON: the content of the rows, the tokenizer, the options.

        Raises:
            AdaptError: what ``encode`` raises; or the cache cannot be written.
        """
        key = key_of("encoded", _source(encode), *made_of)
        entry = self.cache.entry(key, partial(self._map, what, rows, encode, types))
        if entry.found:
            current().notice(f"{rows:,} {what} were encoded before, and are taken from {self.cache.folder}.")
        return Encoded(entry)

    def packed(
        self, encoded: Encoded, numbers: Sequence[int] | None, limit: int, pack: Callable[..., Dataset]
    ) -> Dataset:
        """Encoded rows as rows of several texts each.

        Args:
            encoded: with ``input_ids`` and ``labels``.
            numbers: the rows to take; None for all.
            limit: tokens of a row.
            pack: takes a data set and arguments of its ``map``.
        """

        def make(folder: Path) -> dict[str, Any]:
            whole = encoded.dataset().select_columns(["input_ids", "labels"])
            chosen = whole if numbers is None else whole.select(numbers)
            with quiet_map():
                made = pack(chosen, _arguments(folder))
            return _about(made)

        entry = self.cache.entry(key_of("packed", encoded.key, limit), make)
        return Encoded(entry).dataset()

    def _map(self, what: str, rows: int, encode: Encode, types: Mapping[str, Any], folder: Path) -> dict[str, Any]:
        names = list(encode(0, 1))
        features = Features({name: types.get(name) or TYPES.get(name, IDS) for name in names})
        processes = min(self.num_proc or max(1, min(_cores(), rows // ROWS_EACH)), rows)
        numbers = Dataset.from_dict({"row": range(rows)})
        count = folder / COUNT
        with current().counting(f"Encoding {rows:,} {what}", rows) as done, _counted(count, done), _environment():
            try:
                with quiet_map():
                    made = numbers.map(
                        partial(_encode, encode, count),
                        batched=True,
                        batch_size=BATCH,
                        remove_columns=["row"],
                        features=features,
                        num_proc=processes if processes > 1 else None,
                        **_arguments(folder),
                    )
            except RuntimeError as error:
                if "abruptly died" not in str(error):
                    raise
                raise AdaptError(
                    f"One of the {processes} processes that encode the {what} was killed, most likely for lack of "
                    "memory",
                    "Give fewer in dataset.num_proc.",
                ) from error
        return _about(made)


def tokenizer_key(tokenizer: PreTrainedTokenizerBase) -> str:
    """A hash of all that a tokenizer makes tokens by, its state of this moment aside."""
    about: list[Any] = [
        type(tokenizer).__name__,
        tokenizer.model_max_length,
        tokenizer.padding_side,
        tokenizer.truncation_side,
        tokenizer.special_tokens_map,
        getattr(tokenizer, "chat_template", None),
        getattr(tokenizer, "src_lang", None),
        getattr(tokenizer, "tgt_lang", None),
    ]
    if tokenizer.is_fast:
        whole = json.loads(tokenizer.backend_tokenizer.to_str())
        about.append({name: part for name, part in whole.items() if name not in ("truncation", "padding")})
    else:
        about += [tokenizer.get_vocab(), getattr(tokenizer, "init_kwargs", None)]
    return hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()


def _source(encode: Encode) -> str:
    """A hash of the module that holds a function, through all that is bound to it: another one encodes otherwise."""
    import sys

    function: Any = encode
    while isinstance(function, partial):
        function = function.func
    path = sys.modules[function.__module__].__file__ or ""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _encode(encode: Encode, count: Path, batch: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    rows = batch["row"]
    made = dict(encode(rows[0], rows[-1] + 1))
    with count.open("ab") as file:  # one byte for each row, whichever process adds it
        file.write(bytes(len(rows)))
    return made


@contextmanager
def _counted(count: Path, done: Callable[[int], None]) -> Iterator[None]:
    """Tells, while the block lasts, how many rows are done: as many as a file has bytes."""
    over = Event()

    def tell() -> None:
        while not over.wait(0.5):
            if count.exists():
                done(count.stat().st_size)

    teller = Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()
        count.unlink(missing_ok=True)


@contextmanager
def _environment() -> Iterator[None]:
    """Undoes what ``map`` does to the environment: it turns the threads of tokenizers off for forked processes."""
    name, environ = "TOKENIZERS_PARALLELISM", os.environ
    before = environ.get(name)
    try:
        yield
    finally:
        os.environ = environ  # noqa: B003  # ``map`` has put a copy in its place
        if before is None:
            environ.pop(name, None)
        else:
            environ[name] = before


@contextmanager
def quiet_map() -> Iterator[None]:
    """Keeps the library's own bars away: the run shows its progress itself."""
    shown = not are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            enable_progress_bars()


def _arguments(folder: Path) -> dict[str, Any]:
    """Arguments of ``map`` that have it write into a folder, and look nothing up."""
    return {
        "cache_file_name": str(folder / "rows.arrow"),
        "load_from_cache_file": False,
        "new_fingerprint": "adapt",
    }


def _about(made: Dataset) -> dict[str, Any]:
    return {"files": [Path(each["filename"]).name for each in made.cache_files], "names": made.column_names}


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
