"""What a run does, decided and checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from adapt_core.config.document import plain
from adapt_core.config.sections import NOTHING, DatasetOptions, ModelOptions, TrainingOptions
from adapt_core.kinds import EngineSpec, Library
from adapt_core.options import Options
from adapt_core.plugins.references import made, resolve

if TYPE_CHECKING:
    from adapt_core.interfaces import Engine, Task, World
    from adapt_core.runs.folder import RunFolder
    from adapt_core.terminal.progress import Progress


@dataclass(frozen=True)
class Choice:
    """A plugin that a configuration chose, with its validated options."""

    spec: Any
    options: Options = field(repr=False)

    def make(self) -> Any:
        """The plugin's implementation, with its options. Raises AdaptError where it cannot be loaded or made."""
        return made(self.spec, self.options)


@dataclass(frozen=True)
class RunPlan:
    """Everything a run does, decided and checked before anything heavy is imported.

    Attributes:
        task, method, saver, launcher: the chosen plugins; ``saver`` is None when no export is wanted.
        quantizer: None when the base is not quantized.
        library: where the model comes from, and the engine that trains it.
        model, dataset, training: the validated sections.
        train_head: whether the head is trained beside the adapter; None where the method decides.
        train_batch_norm: whether batch normalisation is.
        seed: of every random choice.
        output_dir: the run's folder.
    """

    task: Choice
    method: Choice
    quantizer: Choice | None
    saver: Choice | None
    launcher: Choice
    library: Library
    model: ModelOptions
    dataset: DatasetOptions
    training: TrainingOptions
    train_head: bool | None
    train_batch_norm: bool
    seed: int
    output_dir: str

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The chosen plugins."""
        return tuple(each for each in (self.task, self.method, self.quantizer, self.saver, self.launcher) if each)

    @property
    def engine(self) -> EngineSpec:
        """What takes the training steps."""
        return self.library.engine

    def make_engine(self, folder: RunFolder, world: World, progress: Progress) -> Engine:
        """The engine, for one process of a run. Raises AdaptError where it cannot be loaded."""
        engine: Engine = resolve(self.engine.target)(self, folder, world, progress)
        return engine

    def make_task(self) -> Task:
        """The task, which is made from the whole plan. Raises AdaptError where it cannot be loaded or made."""
        task: Task = made(self.task.spec, self)
        return task

    def canonical(self) -> dict[str, Any]:
        """The nested configuration that makes this same plan, every default written out."""
        return {
            "task": _named(self.task),
            "model": _dump(self.model),
            "dataset": _dump(self.dataset),
            "method": {
                "name": self.method.spec.name,
                "train_head": self.train_head,
                "train_batch_norm": self.train_batch_norm,
                **_dump(self.method.options),
            },
            "quantization": _named(self.quantizer),
            # Whether a run was resumed says how it was started, not what it does.
            "training": {**_dump(self.training), "resume": False},
            "save": _named(self.saver),
            "launch": _named(self.launcher),
            "seed": self.seed,
            "output_dir": self.output_dir,
        }


def _dump(options: Options) -> dict[str, Any]:
    return {key: plain(value) for key, value in options.model_dump().items()}


def _named(choice: Choice | None) -> dict[str, Any]:
    return {"name": choice.spec.name, **_dump(choice.options)} if choice else {"name": NOTHING}
