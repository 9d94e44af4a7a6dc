"""What the implementation behind each kind of plugin must offer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from adapt_core.bundles import Data, Evaluated, Hints, Memory, Model, Module, Row, Section, Trained

if TYPE_CHECKING:
    import numpy as np

    from adapt_core.plan.run_plan import RunPlan
    from adapt_core.runs.folder import RunFolder
    from adapt_core.terminal.progress import Progress

T = TypeVar("T")

OWN_BASE = "base"
"""The folder beside a saved adapter that holds its base, where a method has put other weights in place of those that
the configuration names: a whole model of its library."""


# ---- processes ------------------------------------------------------------------------------------------------


class World:
    """The processes of a run, as everything but the launcher and the engine sees them.

    This one is a single process; launchers of several return a subclass.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and talks to the user."""
        return self.rank == 0

    def barrier(self) -> None:
        """Returns once every process has called it."""

    def gather(self, value: T) -> list[T]:
        """Every process's value, in order of rank, on every process."""
        return [value]


# ---- plugins --------------------------------------------------------------------------------------------------


class Task(Protocol):
    """A task. Made once a run, from the plan."""

    def __init__(self, plan: RunPlan) -> None: ...

    def load_data(self) -> Data:
        """Loads and checks the data. Raises :class:`~adapt_core.errors.AdaptError` for data that cannot work."""

    def load_split(self, source: str | None, split: str | None, info: Mapping[str, Any]) -> Data:
        """Rows to evaluate a finished run on, as :attr:`Data.evaluation`; there are no training rows.

        Args:
            source: other data than the run's own, None for that.
            split: which split; None for the one that the run evaluated on.
            info: the run's ``data.json``.
        """

    def load_model(
        self, info: Mapping[str, Any], path: Path | None = None, quantizer: Quantizer | None = None
    ) -> Model:
        """Loads the model.

        Args:
            info: :attr:`Data.info`, of this run or read back from ``data.json``.
            path: a folder that a run saved a whole model in; None for the base model that the plan names.
            quantizer: gives arguments for the library's loading function; told which modules stay as they are.
        """

    def engine_inputs(self, data: Data, model: Model) -> Any:
        """What the task's engine takes: its own agreement with that engine."""

    def preview(self, data: Data) -> Sequence[Section]:
        """What the run trains on, shown before it starts: a few rows as the model will see them."""

    def sections(self, evaluated: Evaluated, data: Data) -> Sequence[Section]:
        """Parts of the report: sample predictions, a confusion matrix, …."""

    def probe_rows(self, data: Data) -> Sequence[Row]:
        """A few real rows on which a saved model is compared with the trained one."""

    def outputs(self, model: Model, rows: Sequence[Row]) -> np.ndarray:
        """The model's raw outputs for rows, in evaluation mode, float32, first axis the rows."""

    def parse_inputs(self, inputs: Sequence[str], file: Path | None, info: Mapping[str, Any]) -> Sequence[Row]:
        """Rows from the command line's arguments and a file, for prediction; ``info`` is the run's ``data.json``."""

    def predict(self, model: Model, rows: Sequence[Row], info: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
        """One JSON-serialisable prediction a row."""

    def card(self, info: Mapping[str, Any], folder: Path) -> str:
        """The README of ``model/``, with Python code that loads it without Adapt.

        Args:
            info: the run's ``data.json``.
            folder: ``model/`` with what the method and the processor have saved.
        """


class Method(Protocol):
    """A method of fine-tuning. Made from its validated options."""

    def __init__(self, options: Any) -> None: ...

    def apply(self, module: Module, hints: Hints) -> Module:
        """Returns the model with exactly its trainable parameters requiring gradients.

        The given module may be changed in place. Raises :class:`~adapt_core.errors.AdaptError` when the method
        finds nothing to train.
        """

    def save(self, module: Module, folder: Path) -> None:
        """Writes what was trained in its ecosystem's own format."""

    def load(self, module: Module, folder: Path, hints: Hints) -> Module:
        """Puts what :meth:`save` wrote on a base model; only called where the spec saves ``"adapter"``.

        The base is the one in :data:`OWN_BASE`, where :meth:`save` wrote one.
        """

    def merge(self, module: Module) -> Module:
        """The model as an ordinary one of its library, the adapter folded into its weights. May work in place.

        It need not be this method that applied or loaded the adapter, but one with the same options.
        """


class Phases(Protocol):
    """What a method may have beside :class:`Method`: the engine and the pipeline call each where it is there.

    Attributes:
        changes_base: whether it has put other weights in place of the base's, which :meth:`Method.save` writes to
            :data:`OWN_BASE` then; known once it is applied.
    """

    changes_base: bool

    def calibrate(self, module: Module, batches: Iterable[Mapping[str, Any]]) -> None:
        """Prepares the applied method from data, in place, once before the first step; not when a run is resumed.

        It may add, remove or reshape what is trained; :meth:`load_state` must then bring a module that has only been
        through :meth:`Method.apply` into the same shape. Random numbers may be drawn: training does not see it.

        Args:
            module: what :meth:`Method.apply` returned, on its device, in any mode; the mode must be left as it is.
            batches: training batches in the order of the first epoch, on the same device, each made when it is asked
                for: the arguments of a call of the module. Every iteration begins anew; each process gets the same.
        """

    def before_training(self, module: Module, total_steps: int) -> None:
        """Called once the number of optimizer steps of the whole run is known, also when a run is resumed."""

    def after_step(self, module: Module, step: int) -> None:
        """Called after every optimizer step, the first being 1, before gradients are set to zero."""

    def save_state(self, module: Module, folder: Path) -> None:
        """Adds to a checkpoint what continues the training; :meth:`load_state` must be there too."""

    def load_state(self, module: Module, folder: Path) -> None:
        """Restores the module from what :meth:`save_state` wrote, in place of the engine's own loading."""

    def added_biases(self, module: Module) -> Sequence[str]:
        """The layers of an adapted module that :meth:`Method.merge` will give a bias, by their names in the base."""

    def sections(self, module: Module) -> Sequence[Section]:
        """Parts of the report on the trained module."""

    def add(self, module: Module, folder: Path) -> str:
        """Puts what :meth:`Method.save` wrote of another run beside the adapter that is loaded; it is not used yet.

        Returns:
            The name under which :meth:`use` knows it.

        Raises:
            AdaptError: the two cannot be on one base, with the reason; the module is as it was.
        """

    def use(self, module: Module, name: str | None) -> None:
        """Has the module compute with the adapter of a name and no other; None is the one that was loaded first."""


class Quantizer(Protocol):
    """A quantizer: it acts before the weights exist, and after."""

    def __init__(self, options: Any) -> None: ...

    def load_kwargs(self, keep: Sequence[str]) -> Mapping[str, Any]:
        """Arguments for the library's loading function.

        Args:
            keep: names of modules that are not to be quantized: the head and the output layer.

        Raises:
            AdaptError: this machine cannot do what the options ask for.
        """

    def load_code(self, keep: Sequence[str]) -> str:
        """The same arguments as Python source, ``name=expression`` with what must be imported in full."""

    def prepare(self, model: Model) -> Model:
        """Makes a loaded quantized model ready for training."""

    def dequantize(self, module: Module) -> Module:
        """The same model of its library in float32 without quantized layers, on the CPU; may work in place."""

    def tolerance(self) -> float | None:
        """How far outputs may be from those of the dequantized model, as a share of the largest.

        None where it computes otherwise than with dequantized weights.
        """

    def memory(self, module: Module) -> Memory:
        """What a quantized model's weights take."""

    def notices(self) -> Sequence[str]:
        """What a person should know of these options on this machine before training starts."""


class Saver(Protocol):
    """An export format."""

    def __init__(self, options: Any) -> None: ...

    def save(self, model: Model, folder: Path) -> Path:
        """Writes the merged model; returns the file or folder to use."""

    def load(self, path: Path, task: Task, info: Mapping[str, Any]) -> Model:
        """Loads what :meth:`save` returned, to check it. ``task`` and ``info`` give the architecture."""


class Launcher(Protocol):
    """Sets up the processes of a run."""

    def __init__(self, options: Any) -> None: ...

    def launch(self, function: Callable[[RunPlan, World], T], plan: RunPlan) -> T:
        """Calls ``function(plan, world)`` in every process and returns the main one's result."""


class Engine(Protocol):
    """Takes the training steps. Named by the task's spec."""

    def __init__(self, plan: RunPlan, folder: RunFolder, world: World, progress: Progress) -> None: ...

    def check(self) -> None:
        """Raises :class:`~adapt_core.errors.AdaptError` for what this machine cannot do, before any work."""

    def train(self, model: Model, method: Method, inputs: Any, checkpoint: Path | None) -> Trained:
        """Trains in place, from a checkpoint of an earlier attempt where one is given.

        Calls what the method has of :class:`Phases`.

        Raises :class:`~adapt_core.errors.Interrupted` when stopped from outside, after checkpointing.
        """

    def evaluate(self, model: Model, inputs: Any) -> Evaluated:
        """Evaluates on the inputs' evaluation rows."""
