"""What a method must offer, and what it may."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from adapt_core.bundles import Hints, Module, Section

PHASES = (
    "parameter_groups", "calibrate", "before_training", "after_step", "save_state", "load_state", "added_biases",
    "sections",
)  # fmt: skip
"""The phases whose name may be mistyped: one is called only if it has its very name."""

OWN_BASE = "base"
"""The folder beside a saved adapter that holds its base, where a method has put other weights in place of those that
the configuration names: a whole model of its library."""


class Method(ABC):
    """A method of fine-tuning, made from its validated options. Extend it.

    ``apply`` and ``merge`` must be there, ``save`` and ``load`` where the spec saves ``"adapter"``: whole models are
    the task's to save and load. The rest are phases that a method may have: the engine
    and the pipeline call each at its time, and here each does nothing.

    Attributes:
        changes_base: whether it has put other weights in place of the base's, which :meth:`save` writes to
            :data:`OWN_BASE` then; known once it is applied.
        reads_base: whether the shapes of what :meth:`apply` or :meth:`calibrate` makes, or tensors that it keeps
            outside the module's parameters and buffers, depend on the base's weights. Where a model is sharded, every
            process reads these then; else all but one have zeros until training begins, when they get the main one's
            parameters and buffers.
    """

    changes_base: bool = False
    reads_base: bool = False

    def __init__(self, options: Any) -> None:
        self.options = options

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuses a public name that is nearly that of a phase: it would never be called."""
        super().__init_subclass__(**kwargs)
        for name in set(vars(cls)) - set(PHASES):
            if near := difflib.get_close_matches(name, PHASES, n=1, cutoff=0.85):
                raise TypeError(f"{cls.__name__}.{name} is no phase of a method; did you mean {near[0]!r}?")

    @classmethod
    def has(cls, phase: str) -> bool:
        """Whether the method has a phase of its own."""
        return getattr(cls, phase) is not getattr(Method, phase)

    # ---- what every method does -----------------------------------------------------------------------------------

    @abstractmethod
    def apply(self, module: Module, hints: Hints) -> Module:
        """Returns the model with exactly its trainable parameters requiring gradients.

        The given module may be changed in place. Raises :class:`~adapt_core.errors.AdaptError` when the method
        finds nothing to train.
        """

    def save(self, module: Module, folder: Path) -> None:
        """Writes the adapter in its ecosystem's own format; only called where the spec saves ``"adapter"``."""
        raise NotImplementedError

    def load(self, module: Module, folder: Path, hints: Hints) -> Module:
        """Puts what :meth:`save` wrote on a base model; only called where the spec saves ``"adapter"``.

        The base is the one in :data:`OWN_BASE`, where :meth:`save` wrote one.
        """
        raise NotImplementedError

    @abstractmethod
    def merge(self, module: Module) -> Module:
        """The model as an ordinary one of its library, the adapter folded into its weights. May work in place.

        It need not be this method that applied or loaded the adapter, but one with the same options.
        """

    # ---- phases ---------------------------------------------------------------------------------------------------

    def parameter_groups(self, module: Module, lr: float) -> Sequence[Mapping[str, Any]] | None:
        """Groups of trained parameters with optimizer settings of their own; None for one learning rate for all.

        Args:
            module: what :meth:`apply` returned.
            lr: the learning rate that the configuration asks for.

        Returns:
            As ``torch.optim`` takes them: ``params``, and what differs (``lr``, ``weight_decay``). Trained parameters
            in no group are treated as ever.
        """
        return None

    def calibrate(self, module: Module, batches: Iterable[Mapping[str, Any]]) -> None:
        """Prepares the applied method from data, in place, once before the first step; not when a run is resumed.

        It may add, remove or reshape what is trained; :meth:`load_state` must then bring a module that has only been
        through :meth:`apply` into the same shape. Random numbers may be drawn: training does not see it.

        Args:
            module: what :meth:`apply` returned, on its device, in any mode; the mode must be left as it is.
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
        """The layers of an adapted module that :meth:`merge` will give a bias, by their names in the base."""
        return ()

    def sections(self, module: Module) -> Sequence[Section]:
        """Parts of the report on the trained module."""
        return ()

    def add(self, module: Module, folder: Path) -> str:
        """Puts what :meth:`save` wrote of another run beside the adapter that is loaded; it is not used yet.

        Returns:
            The name under which :meth:`use` knows it.

        Raises:
            AdaptError: the two cannot be on one base, with the reason; the module is as it was.
        """
        raise NotImplementedError

    def use(self, module: Module, name: str | None) -> None:
        """Has the module compute with the adapter of a name and no other; None is the one that was loaded first."""
