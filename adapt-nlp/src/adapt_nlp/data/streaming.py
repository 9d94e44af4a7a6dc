"""Training rows that are read while they are trained on, for data that fits neither in memory nor on the disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Generic, TypeVar

from adapt_core.plan.run_plan import RunPlan
from adapt_core.utils.seeds import derived_seed
from adapt_nlp.data.table import Table

Q = TypeVar("Q")

Features = Mapping[str, Any]


@dataclass(frozen=True)
class StreamedRows(Generic[Q]):
    """The rows of a split that are read some at a time.

    Attributes:
        parts: gives tables of them, from the first.
        read: makes a task's rows of a table, as it does of any.
        seed: of the order.
        buffer: rows in memory, of which the next is drawn; 0 keeps the order.
    """

    parts: Callable[[], Iterator[Table]]
    read: Callable[[Table], Q]
    seed: int
    buffer: int

    def encoded(self, encode: Callable[[Q], Iterable[Features]]) -> EncodedStream[Q]:
        """The same as the model's input. ``encode`` makes it of some rows at a time."""
        return EncodedStream(self, encode)


class EncodedStream(Generic[Q]):
    """The model's input of a stream; an iterable, which begins anew each time.

    The order is a function of the seed and the epoch alone, so that a resumed run goes on with the rows that an
    uninterrupted one would have had.
    """

    def __init__(self, rows: StreamedRows[Q], encode: Callable[[Q], Iterable[Features]]) -> None:
        self.rows, self.encode = rows, encode
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """The pass over the data that the next iteration is."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Features]:
        """Raises AdaptError for a row that cannot be trained on, with its number."""
        rows = (row for part in self.rows.parts() if len(part) for row in self.encode(self.rows.read(part)))
        return shuffled(rows, self.rows.buffer, derived_seed(self.rows.seed, self.epoch))


def shuffled(rows: Iterable[Any], buffer: int, seed: int) -> Iterator[Any]:
    """The rows in another order, each at most ``buffer`` places before its own."""
    if buffer < 2:
        yield from rows
        return
    random, held = Random(seed), list[Any]()
    for row in rows:
        if len(held) < buffer:
            held.append(row)
            continue
        place = int(random.random() * buffer)  # one of the few draws whose sequence Python guarantees
        yield held[place]
        held[place] = row
    order = sorted(range(len(held)), key=lambda place: (random.random(), place))
    for place in order:
        yield held[place]


def check(plan: RunPlan) -> Iterator[tuple[tuple[str, ...], str]]:
    """What of a plan cannot work with a stream of rows, by the key."""
    options: Any = plan.dataset
    if not getattr(options, "streaming", False) or not plan.training.do_train:
        return
    if plan.training.max_steps is None:
        yield (
            ("training", "max_steps"),
            "is needed with dataset.streaming: nobody knows how many rows a stream has, so there are no epochs to "
            "count; say after how many steps the training ends",
        )
    if options.max_train_samples is not None:
        yield (
            ("dataset", "max_train_samples"),
            "draws from all rows, which a stream does not know; remove it, and say in training.max_steps how long to "
            "train",
        )


def tell(plan: RunPlan, info: Mapping[str, Any]) -> None:
    """Tells the user what a run on a stream does otherwise; of ``info``, its ``data.json``, ``streamed`` says so."""
    from adapt_core.terminal.progress import current  # not above: this module also checks configurations, at start-up

    if info.get("streamed") and plan.training.do_train:
        options: Any = plan.dataset
        current().notice(notice(info["streamed"], options.shuffle_buffer, plan.training.interval))


def notice(shown: int, buffer: int, interval: str) -> str:
    """What a person should know of a run on a stream, of which the first rows are ``shown``."""
    order = f"drawn from {buffer:,} at a time (dataset.shuffle_buffer)" if buffer > 1 else "in the order of the data"
    saved = (
        "checkpoints and evaluations come at the end alone, as a stream has no epochs (training.interval=steps makes "
        "more of them)"
        if interval == "epoch"
        else "checkpoints and evaluations come by steps"
    )
    return (
        f"The training rows are a stream, read as they are trained on and {order}. What is said of them is said of the "
        f"first {shown:,}: not how many there are, and not whether rows are there twice or are evaluated on, too. "
        f"Batches are not of like length (training.group_by_length), and {saved}."
    )
