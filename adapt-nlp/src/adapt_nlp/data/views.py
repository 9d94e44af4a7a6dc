"""Columns of rows that stay where they are, in a memory-mapped Arrow file, and become Python values row by row."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import numpy as np

from adapt_core.errors import AdaptError

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")

BATCH = 1000
"""Rows that are in memory at a time."""


NEAR = 8
"""Rows are read with all between them where there are fewer than so many of these for each."""


class View(Sequence[T], Generic[T]):
    """Values by row, made when they are asked for. A slice is a list."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def values(self, start: int, stop: int) -> list[T]:
        """The values of rows that follow one another."""

    @overload
    def __getitem__(self, row: int) -> T: ...
    @overload
    def __getitem__(self, row: slice) -> list[T]: ...
    def __getitem__(self, row: int | slice) -> T | list[T]:
        if isinstance(row, slice):
            start, stop, step = row.indices(len(self))
            return self.values(start, stop) if step == 1 else [self[each] for each in range(start, stop, step)]
        row = int(row)
        place = row if row >= 0 else row + len(self)
        if not 0 <= place < len(self):
            raise IndexError(f"there is no row {row} among {len(self)}")
        return self.values(place, place + 1)[0]

    def __iter__(self) -> Iterator[T]:
        for start in range(0, len(self), BATCH):
            yield from self.values(start, min(start + BATCH, len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str | bytes):
            return NotImplemented
        return len(self) == len(other) and all(mine == its for mine, its in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__} of {len(self):,} rows"


class ArrowFiles:
    """Arrow files of one schema, end to end, mapped into memory. Another process gets their paths and maps them anew.

    Args:
        paths: IPC streams, as ``datasets`` writes them.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)
        self._table: pa.Table | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"paths": self.paths, "_table": None}

    @property
    def table(self) -> pa.Table:
        """All of them."""
        if self._table is None:
            import pyarrow as pa

            parts = [pa.ipc.open_stream(pa.memory_map(str(path))).read_all() for path in self.paths]
            self._table = pa.concat_tables(parts)
        return self._table

    def column(self, name: str) -> pa.ChunkedArray:
        """A column by name."""
        return self.table.column(name)


class SavedRows:
    """A data set of the library ``datasets``, whose files it maps into memory itself."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def column(self, name: str) -> pa.ChunkedArray:
        """A column by name."""
        column: pa.ChunkedArray = self.dataset.data.column(name)
        return column


class Column(View[Any]):
    """A column of Arrow files.

    Args:
        files: which hold it.
        name: of the column.
        source: what the data are called, for messages.
        is_json: whether each cell is JSON text.
    """

    def __init__(self, files: ArrowFiles | SavedRows, name: str, source: str = "", *, is_json: bool = False) -> None:
        self.files, self.name, self.source, self.is_json = files, name, source, is_json
        self.arrow = files.column(name)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "arrow"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, arrow=state["files"].column(state["name"]))

    def __len__(self) -> int:
        return len(self.arrow)

    def values(self, start: int, stop: int) -> list[Any]:
        """Raises AdaptError where what should be text is none."""
        try:
            # A single row is found by bisection; a slice begins by looking through the chunks before it.
            one = stop - start == 1
            found: list[Any] = [self.arrow[start].as_py()] if one else self.arrow.slice(start, stop - start).to_pylist()
        except UnicodeDecodeError as error:
            raise AdaptError(
                f"{self.source}: column {self.name!r} is not UTF-8 text: {error}.", "Write it as UTF-8."
            ) from error
        if not self.is_json:
            return found
        return list(json.loads(f"[{','.join('null' if cell is None else cell for cell in found)}]"))


class Derived(View[T]):
    """What a function makes of the values of other columns, anew each time.

    Args:
        make: takes a value of each.
        sources: columns of equally many rows.
    """

    def __init__(self, make: Callable[..., T], *sources: Sequence[Any]) -> None:
        self.make, self.sources = make, sources

    def __len__(self) -> int:
        return len(self.sources[0])

    def values(self, start: int, stop: int) -> list[T]:
        parts = (source[start:stop] for source in self.sources)
        return list(starmap(self.make, zip(*parts, strict=True)))


def derived(make: Callable[..., T], *sources: Sequence[Any]) -> Sequence[T]:
    """What a function makes of the values of columns: a view where one of these is, else a list."""
    view = Derived(make, *sources)
    return view if any(isinstance(source, View) for source in sources) else list(view)


def failing(values: Iterable[Any], *checks: Callable[[Any], bool]) -> list[list[int]]:
    """The rows at which each check is the first to find something wrong, in one pass."""
    found: list[list[int]] = [[] for _ in checks]
    for row, value in enumerate(values):
        for number, wrong in enumerate(checks):
            if wrong(value):
                found[number].append(row)
                break
    return found


class Picked(View[T]):
    """Some rows of a column.

    Args:
        source: the column.
        rows: their numbers, int64.
    """

    def __init__(self, source: View[T], rows: np.ndarray) -> None:
        self.source, self.rows = source, rows

    def __len__(self) -> int:
        return len(self.rows)

    def values(self, start: int, stop: int) -> list[T]:
        rows = self.rows[start:stop]
        if len(rows) > 1:
            first, last = int(rows.min()), int(rows.max())
            if last - first < NEAR * len(rows):
                span = self.source.values(first, last + 1)
                return [span[row] for row in (rows - first).tolist()]
        return [self.source[row] for row in rows.tolist()]


class Chained(View[T]):
    """Columns end to end."""

    def __init__(self, sources: Sequence[Sequence[T]]) -> None:
        self.sources = sources
        self.ends = np.cumsum([len(source) for source in sources]).tolist()

    def __len__(self) -> int:
        return int(self.ends[-1])

    def values(self, start: int, stop: int) -> list[T]:
        found: list[T] = []
        for source, end in zip(self.sources, self.ends, strict=True):
            before = end - len(source)
            if before < stop and start < end:
                found += source[max(start - before, 0) : stop - before]
        return found


def pick(values: Sequence[T], rows: Sequence[int] | np.ndarray) -> Any:
    """Some rows of a column, in the order of their numbers: a view of a view, an array of a range, else a list."""
    if isinstance(values, View):
        numbers = np.asarray(rows, np.int64)
        return Picked(values.source, values.rows[numbers]) if isinstance(values, Picked) else Picked(values, numbers)
    if isinstance(values, range | np.ndarray):
        return np.asarray(values)[np.asarray(rows, np.int64)]
    return [values[row] for row in rows]


def largest(values: Sequence[Sequence[int]]) -> int:
    """The largest number in the lists of a column; of an Arrow column without reading the lists."""
    if isinstance(values, Column):
        import pyarrow.compute as pc

        return max((pc.max(chunk.flatten()).as_py() or 0 for chunk in values.arrow.chunks), default=0)
    return max((max(each, default=0) for each in values), default=0)


def sizes(values: Sequence[Any]) -> Any:
    """How long the lists of a column are; of an Arrow column an int64 array, without reading the lists."""
    if isinstance(values, Picked):
        return pick(sizes(values.source), values.rows)
    if isinstance(values, Column) and not values.is_json:
        import pyarrow.compute as pc

        return pc.list_value_length(values.arrow).to_numpy().astype(np.int64)
    return [len(each) for each in values]
