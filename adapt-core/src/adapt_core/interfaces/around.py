"""What quantizers, savers and launchers must offer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from adapt_core.bundles import Memory, Model, Module
from adapt_core.errors import UsageError
from adapt_core.interfaces.world import World

if TYPE_CHECKING:
    from adapt_core.interfaces.task import Task
    from adapt_core.plan.run_plan import RunPlan

T = TypeVar("T")


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

    def before_sharding(self, module: Module) -> None:
        """Makes a model ready to have its parameters dealt out and gathered, as plain tensors of any dtype, in place.

        Called in every process, each of which has quantized the base, and only where the spec's ``parallel`` has
        ``"sharded"``. What decodes a weight must not be an attribute of the parameter, which gets replaced: its layer
        keeps it. Here nothing is done, which is enough where scales are parameters or buffers.
        """

    def after_gathering(self, module: Module) -> None:
        """Makes a model whole again after :meth:`before_sharding`, in place; here nothing is done.

        Called in the main process on a copy that has got the gathered values, on the CPU.
        """


class Saver(Protocol):
    """An export format."""

    def __init__(self, options: Any) -> None: ...

    def save(self, model: Model, folder: Path, task: Task) -> Path:
        """Writes the merged model, of which ``task`` knows the library; returns the file or folder to use."""

    def load(self, path: Path, task: Task, info: Mapping[str, Any]) -> Model:
        """Loads what :meth:`save` returned, to check it. ``task`` and ``info`` give the architecture."""


class Launcher(ABC):
    """Sets up the processes of a run. Extend it.

    Attributes:
        size: how many processes there will be, on all machines; None where that is known only once they run.
    """

    size: int | None = None

    def __init__(self, options: Any) -> None:
        self.options = options

    @abstractmethod
    def launch(self, function: Callable[[RunPlan, World], T], plan: RunPlan) -> T:
        """Calls ``function(plan, world)`` in every process and returns the main one's result.

        Only called where :meth:`attached` has found nothing: this process starts the others.
        """

    def attached(self) -> World | None:
        """The processes of which this one is already one, where somebody else has started them; here none.

        Raises:
            AdaptError: they are not those that the options ask for, or they do not meet.
        """
        return None

    def commands(self, system: str, command: Sequence[str], nodes: int, folder: str) -> str:
        """How several machines start the run, in the words of a system; here, that it cannot be done.

        Args:
            system: ``"torchrun"``, ``"slurm"``, ``"kubernetes"`` or ``"skypilot"``.
            command: that every process runs: ``("adapt", "run", "run.yaml")``.
            nodes: how many machines.
            folder: the run's.

        Raises:
            UsageError: the launcher does not run on several machines, or not by this system.
        """
        raise UsageError(
            "The launcher of this configuration runs on one machine.",
            "Choose one for several: launch.name=ddp, which is of adapt-dist.",
        )
