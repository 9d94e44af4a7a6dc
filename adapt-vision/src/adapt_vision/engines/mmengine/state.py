"""Where a training is, and its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from adapt_core.engines.common.randomness import random_state, restore_random_state
from adapt_core.errors import AdaptError
from adapt_core.interfaces import World

WEIGHTS, TRAINING = "weights.pt", "training.pt"
"""The files of a checkpoint; ``torch.load`` reads both with ``weights_only=True``."""


class State:
    """What a resumed training must know.

    Args:
        world: the processes, all of which ask for lines and means, and save.

    Attributes:
        step: optimizer steps taken.
        first: the step at which this attempt began.
        rows: that this attempt has trained on.
        lines: of the log.
        looked: whether the gradients of a first step were looked at.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.step = self.first = self.rows = 0
        self.lines: list[dict[str, Any]] = []
        self.looked = False
        self._window, self._logged, self._total = 0.0, 0, 0.0  # the sum since the last line, its step; of all steps
        self._pending: Any = 0.0  # on the device: reading it there at every step would wait for the device
        self._rate = 0.0
        self._random: dict[str, Any] | None = None

    def count(self, loss: Tensor, rows: int, rate: float) -> None:
        """Takes in a step: this process's part of its loss and rows, and the learning rate that it is taken with."""
        self._pending = self._pending + loss
        self.rows += rows
        self._rate = rate

    def line(self, steps_of_epoch: int) -> dict[str, Any]:
        """The next line of the log: the mean loss since the last one."""
        self._settle()
        line = {
            "step": self.step,
            "epoch": self.step / steps_of_epoch,
            "learning_rate": self._rate,
            "loss": self._window / max(self.step - self._logged, 1),
        }
        self._window, self._logged = 0.0, self.step
        return line

    @property
    def mean_loss(self) -> float:
        """Over all steps of the run, those before a resume included."""
        self._settle()
        return self._total / max(self.step, 1)

    def _settle(self) -> None:
        pending = sum(self.world.gather(float(self._pending))) / self.world.size
        self._pending = 0.0
        self._window += pending
        self._total += pending

    def restore_randomness(self) -> None:
        """Sets the generators to where the checkpoint had them; once, and only after :meth:`load`."""
        if self._random is not None:
            restore_random_state(self._random)
            self._random = None

    # ---- checkpoints ----------------------------------------------------------------------------------------------

    def save(self, folder: Path, module: nn.Module, wrapper: Any, schedule: Any) -> None:
        """Writes a checkpoint, in the main process: what is trained, all buffers, and what continues the training."""
        self._settle()
        random = self.world.gather(random_state())
        if not self.world.is_main:
            return
        folder.mkdir(parents=True, exist_ok=True)
        trained = {name: each.detach() for name, each in module.named_parameters() if each.requires_grad}
        torch.save({**trained, **dict(module.named_buffers())}, folder / WEIGHTS)
        content = {
            "step": self.step,
            "lines": self.lines,
            "sums": [self._window, self._logged, self._total],
            "optimizer": wrapper.state_dict(),
            "schedule": schedule.state_dict(),
            "random": random,
        }
        torch.save(content, folder / TRAINING)

    def load(self, folder: Path) -> Mapping[str, Any]:
        """Continues from a checkpoint; what the optimizer and the schedule need is returned.

        Random numbers go on in each process of as many as there were; any other takes the main one's.
        """
        content: dict[str, Any] = torch.load(folder / TRAINING, map_location="cpu", weights_only=True)
        self.step = self.first = content["step"]
        self.lines = content["lines"]
        self._window, self._logged, self._total = content["sums"]
        random = content["random"]
        self._random = random[self.world.rank if len(random) == self.world.size else 0]
        self.looked = True
        return content


def load_weights(module: nn.Module, folder: Path) -> None:
    """Sets what is trained, and all buffers, to what a checkpoint holds.

    Raises:
        AdaptError: the checkpoint lacks some of it.
    """
    found: dict[str, Tensor] = torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True)
    own = {name: each for name, each in module.named_parameters() if each.requires_grad} | dict(module.named_buffers())
    if missing := sorted(set(own) - set(found)):
        raise AdaptError(
            f"The checkpoint {folder} lacks {len(missing)} of what is trained, {missing[0]} among it",
            "Remove its folder, and resume from the one before.",
        )
    with torch.no_grad():
        for name, each in own.items():
            each.copy_(found[name])
