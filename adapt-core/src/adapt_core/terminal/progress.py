"""What a person sees during a run, all of it on standard error: standard output is for results."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn
from rich.progress import Progress as Display
from rich.table import Column
from rich.text import Text

from adapt_core.terminal.tables import print_sections
from adapt_core.utils.units import number_text, seconds_text

if TYPE_CHECKING:
    from adapt_core.bundles import Section

PLAIN_WIDTH = 120
"""Columns of a table where there is no terminal to ask."""

MOMENT, BETWEEN = 2.0, 10.0
"""Seconds that need no line, and those between two lines of one count."""


class Progress:
    """Says nothing, for every process but the main one. The two classes that extend it each say it in their own way."""

    @contextmanager
    def stage(self, text: str) -> Iterator[None]:
        """Shows a stage of the run (``"Loading the data"``) for as long as the block lasts."""
        yield

    @contextmanager
    def counting(self, text: str, total: int) -> Iterator[Callable[[int], None]]:
        """Shows how far something is that takes longer than a moment. The block tells how many are done."""
        yield lambda done: None

    def show(self, sections: Sequence[Section]) -> None:
        """Shows what the run is about to train on."""

    def parameters(self, counts: Mapping[str, int]) -> None:
        """How many parameters there are, and how many are trained (``total``, ``trainable``)."""

    def start(self, total_steps: int, total_epochs: float | None, step: int = 0) -> None:
        """Training begins, after ``step`` steps of an earlier attempt; the epochs of a stream are not known."""

    def advance(self, step: int) -> None:
        """So many steps have been taken."""

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        """What is known after a step: ``epoch``, ``loss``, ``learning_rate``, or results of an evaluation."""

    def notice(self, text: str) -> None:
        """Something that a person should know and that is no error."""

    def stop(self) -> None:
        """Training has ended, well or not."""


_current: ContextVar[Progress | None] = ContextVar("progress", default=None)


def current() -> Progress:
    """The progress of the run that goes on, for what is not handed one; it says nothing where no run does."""
    return _current.get() or Progress()


@contextmanager
def shown_by(progress: Progress) -> Iterator[None]:
    """Makes a progress the :func:`current` one."""
    token = _current.set(progress)
    try:
        yield
    finally:
        _current.reset(token)


class PlainProgress(Progress):
    """One line for each thing that happens, without control characters: for files and pipes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._pace = _Pace(0, 0)

    @contextmanager
    def stage(self, text: str) -> Iterator[None]:
        begin = time.perf_counter()
        self._print(f"{text} …")
        yield
        self._print(f"{text}: {seconds_text(time.perf_counter() - begin)}")

    @contextmanager
    def counting(self, text: str, total: int) -> Iterator[Callable[[int], None]]:
        begin = told = time.perf_counter()

        def done(count: int) -> None:
            nonlocal told
            if time.perf_counter() - told >= (BETWEEN if told > begin else MOMENT):
                told = time.perf_counter()
                self._print(f"{text}: {count:,} of {total:,}")

        yield done
        if told > begin:
            self._print(f"{text}: {seconds_text(time.perf_counter() - begin)}")

    def show(self, sections: Sequence[Section]) -> None:
        console = Console(file=self._stream, width=PLAIN_WIDTH, color_system=None, force_terminal=False)
        print_sections(sections, console)

    def parameters(self, counts: Mapping[str, int]) -> None:
        self._print(_parameters_text(counts))

    def start(self, total_steps: int, total_epochs: float | None, step: int = 0) -> None:
        self._pace = _Pace(total_steps, step)
        self._print(_start_text(total_steps, total_epochs, step))

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        parts = [f"step {step}/{self._pace.total}", values_text(values)]
        left = self._pace.left(step)
        if left:
            parts.append(f"{left} left")
        self._print(", ".join(part for part in parts if part))

    def notice(self, text: str) -> None:
        self._print(text)

    def _print(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()  # a log that is followed must not lag behind


class TerminalProgress(Progress):
    """A bar with elapsed and remaining time, and above it what should stay."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False)
        self._display = Display(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[info]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=self._console,
            transient=True,
        )
        self._training: TaskID | None = None
        self._pace = _Pace(0, 0)
        self._latest = ""

    @contextmanager
    def stage(self, text: str) -> Iterator[None]:
        begin = time.perf_counter()
        task = self._add(text, total=None)
        try:
            yield
        finally:
            self._remove(task)
        self._console.print(Text.assemble(("✓ ", "green"), text, (f"  {_since(begin)}", "dim")))

    @contextmanager
    def counting(self, text: str, total: int) -> Iterator[Callable[[int], None]]:
        begin = time.perf_counter()
        task = self._add(text, total=total)
        try:
            yield lambda done: self._display.update(task, completed=done, info=f"{done:,}/{total:,}")
        finally:
            self._remove(task)
        if time.perf_counter() - begin >= MOMENT:
            self._console.print(Text.assemble(("✓ ", "green"), text, (f"  {_since(begin)}", "dim")))

    def show(self, sections: Sequence[Section]) -> None:
        print_sections(sections, self._console)

    def parameters(self, counts: Mapping[str, int]) -> None:
        self._console.print(Text(_parameters_text(counts)))

    def start(self, total_steps: int, total_epochs: float | None, step: int = 0) -> None:
        self._pace = _Pace(total_steps, step)
        self._console.print(Text(_start_text(total_steps, total_epochs, step)))
        self._training = self._add("Training", total=total_steps)
        self.advance(step)

    def advance(self, step: int) -> None:
        if self._training is None:
            return
        left = self._pace.left(step)
        times = _since(self._pace.begin) + (f", {left} left" if left else "")
        parts = [f"{step}/{self._pace.total}", times, self._latest]
        self._display.update(self._training, completed=step, info=" · ".join(part for part in parts if part))

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        if "loss" in values:
            self._latest = values_text(values)
        else:  # an evaluation: worth keeping on the screen
            self._console.print(Text(f"  step {step}: {values_text(values)}"))
        self.advance(step)

    def notice(self, text: str) -> None:
        self._console.print(Text(text, style="yellow"))

    def stop(self) -> None:
        if self._training is not None:
            self._remove(self._training)
            self._training = None

    def _add(self, text: str, total: float | None) -> TaskID:
        task = self._display.add_task(text, total=total, info="")
        self._display.start()
        return task

    def _remove(self, task: TaskID) -> None:
        self._display.remove_task(task)
        if not self._display.tasks:
            self._display.stop()


class _Pace:
    """How fast training goes, and so how long it will still take."""

    def __init__(self, total: int, first: int) -> None:
        self.total = total
        self.first = first
        self.begin = time.perf_counter()

    def left(self, step: int) -> str:
        """The remaining time at the mean speed so far; empty before the first step and after the last."""
        done = step - self.first
        if done <= 0 or step >= self.total:
            return ""
        seconds = (time.perf_counter() - self.begin) / done * (self.total - step)
        return f"{math.ceil(seconds)} s" if seconds < 10 else seconds_text(seconds)


def progress_for(stream: TextIO | None = None, *, quiet: bool = False) -> Progress:
    """The progress that suits a stream: a bar on a terminal, lines elsewhere.

    Args:
        stream: where to write; standard error by default.
        quiet: say nothing at all.
    """
    if quiet:
        return Progress()
    stream = stream if stream is not None else sys.stderr
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        return TerminalProgress(stream)
    return PlainProgress(stream)


def values_text(values: Mapping[str, Any]) -> str:
    """``"epoch 0.40, loss 0.5312, lr 9.8e-05, eval accuracy 0.81"``."""
    parts = []
    for name, value in values.items():
        if name == "step" or isinstance(value, str):
            continue
        shown = f"{value:.2f}" if name == "epoch" else "none" if value is None else number_text(value)
        parts.append(f"{'lr' if name == 'learning_rate' else name.replace('_', ' ')} {shown}")
    # The epoch first, whatever the engine's order.
    return ", ".join(sorted(parts, key=lambda part: not part.startswith("epoch ")))


def _start_text(total_steps: int, total_epochs: float | None, step: int) -> str:
    start = f", going on after step {step}" if step else ""
    epochs = "" if total_epochs is None else f", {number_text(total_epochs)} epochs"
    return f"Training: {total_steps} steps{epochs}{start}"


def _parameters_text(parameters: Mapping[str, int]) -> str:
    total, trainable = parameters["total"], parameters["trainable"]
    share = trainable / total if total else 0.0
    return f"Parameters: {number_text(trainable)} of {number_text(total)} are trained ({share:.2%})"


def _since(begin: float) -> str:
    return seconds_text(time.perf_counter() - begin)
