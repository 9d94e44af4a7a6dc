"""What the stages of a run hand on: ``data -> model -> method -> train -> evaluate -> save``.

Every stage takes the bundle before it and returns its own. Modules are typed ``Any`` so that this file never imports
torch.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from adapt_core.utils.units import bytes_text

Module = Any
"""A ``torch.nn.Module``."""

Row = Mapping[str, Any]
"""One example as the task understands it, JSON-serialisable."""


@dataclass(frozen=True)
class Data:
    """Rows that a task has loaded and checked.

    Attributes:
        train: the training rows, in the task's own container.
        evaluation: the evaluation rows; None when there are none.
        info: becomes ``data.json``: fingerprint, row counts, label counts, columns, and all that the task needs to
            rebuild its model later. ``evaluation`` in it says in words where the evaluation rows are from.
            JSON-serialisable.
    """

    train: Any
    evaluation: Any
    info: Mapping[str, Any]


@dataclass(frozen=True)
class Model:
    """A model with what it needs beside its weights.

    Attributes:
        module: the ``torch.nn.Module``.
        processor: its tokenizer or image processor; anything with ``save_pretrained(folder)`` and
            ``from_pretrained(folder)``, or None.
        hints: what a method should know of it.
        notices: what a person should know of it before it is trained, a sentence each.
    """

    module: Module
    processor: Any
    hints: Hints
    notices: tuple[str, ...] = ()

    def with_module(self, module: Module) -> Model:
        """The same with another module."""
        return replace(self, module=module)


@dataclass(frozen=True)
class Hints:
    """What a method should know of a model.

    Attributes:
        head: dotted names of the modules that make up the head.
        fresh: dotted names of the modules that every method trains whole: those whose weights are newly initialised,
            and batch normalisation where the configuration asks for it.
        loose: names of newly initialised parameters that belong to no module but the model itself.
        blocks: dotted names of the repeated blocks, first to last (the transformer layers), where there are any.
        train_head: whether to train the head beside what the method adds; None where the method decides.
        peft_task: PEFT's ``TaskType`` for the model, None where PEFT has none.
    """

    head: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()
    loose: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()
    train_head: bool | None = None
    peft_task: str | None = None

    def holds(self, name: str) -> bool:
        """Whether a module or parameter of this dotted name is in the head or in a fresh module."""
        return f"{name}.".startswith(tuple(f"{each}." for each in (*self.head, *self.fresh)))


@dataclass(frozen=True)
class Trained:
    """What training did.

    Attributes:
        steps: optimizer steps of the finished run, those before a resume included.
        seconds: time in the training steps of this process, calibration, evaluation and checkpoints excluded.
        calibrating: seconds of the method's calibration before them.
        evaluating: seconds of evaluation between them.
        saving: seconds of writing checkpoints between them.
        samples: rows that this process trained on in ``seconds``.
        metrics: such as ``train_loss``.
        loading: seconds of ``seconds`` in which this process waited for its data; None where the engine does not know.
    """

    steps: int
    seconds: float
    calibrating: float
    evaluating: float
    saving: float
    samples: int
    metrics: Mapping[str, float]
    loading: float | None = None


@dataclass(frozen=True)
class Evaluated:
    """What evaluation found.

    Attributes:
        metrics: by name, without a prefix (``accuracy``).
        outputs: what the task's meter keeps for :meth:`Task.sections`, in its own form.
        beside: what stands beside ``metrics`` in ``result.json`` and what ``adapt eval --json`` prints, by its key
            (``by_class``); JSON-serialisable.
    """

    metrics: Mapping[str, float]
    outputs: Any
    beside: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Section:
    """One part of the report that a task adds.

    Attributes:
        title: the heading.
        kind: ``"table"``; ``"matrix"``: counts, one row for each true class and one column for each predicted one;
            ``"spans"``: in each row a text, its marked ranges as ``(start, end, label)`` in characters, and a remark;
            ``"images"``: in each row the bytes of a PNG, JPEG or SVG file, and a caption.
        columns: the headings, or the names of the matrix's classes; of spans the labels to explain, of images none.
        rows: the cells.
    """

    title: str
    kind: Literal["table", "matrix", "spans", "images"]
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Inspected:
    """What a model will see of one split, before there is a model.

    Attributes:
        name: of the split.
        keys: one a row, equal where the rows are: duplicates and rows that two splits share are found by them.
        lengths: of the rows as they are, before anything is cut; empty where length means nothing.
        limit: what is longer is cut, or split; None where nothing is.
        unit: of lengths: ``"tokens"``.
        labels: how often each label comes.
        numbers: further numbers of the rows, or of what is in them, by what they are (``"width in pixels"``): their
            spread is shown.
        counts: how often further values come, by what they are (``"format"``).
        names: what to call each row, as in a message; then those that come again are named.
        examples: a few rows as the model will see them, what the loss sees marked.
        notices: what a person should know of the split, a sentence each.
    """

    name: str
    keys: Sequence[Hashable]
    lengths: Sequence[int] = ()
    limit: int | None = None
    unit: str = "tokens"
    labels: Mapping[str, int] = field(default_factory=dict)
    numbers: Mapping[str, Sequence[float]] = field(default_factory=dict)
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    names: Sequence[str] = ()
    examples: Sequence[Section] = ()
    notices: Sequence[str] = ()


@dataclass(frozen=True)
class Memory:
    """What the weights of a model take, in bytes.

    Attributes:
        parameters: how many weights are quantized.
        weights: what their codes take.
        constants: what goes with them: the scale of every block, tables of codes.
        rest: all other parameters and buffers.
    """

    parameters: int
    weights: int
    constants: int
    rest: int

    @property
    def text(self) -> str:
        """For a person."""
        quantized = self.weights + self.constants
        return (
            f"{self.parameters:,} quantized weights take {bytes_text(quantized)} "
            f"({8 * quantized / max(self.parameters, 1):.2f} bits each), the rest of the model {bytes_text(self.rest)}"
        )
