"""What a run needs before it may start: the same random numbers, the same data, and room on the disk."""

from __future__ import annotations

import math
import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from adapt_core.bundles import Data
from adapt_core.errors import AdaptError
from adapt_core.models.quantized import parameters_counted
from adapt_core.plan.run_plan import RunPlan
from adapt_core.runs.folder import RunFolder
from adapt_core.utils.files import read_json
from adapt_core.utils.units import bytes_text

FLOAT32 = 4
"""Bytes of a number."""


def seed_everything(seed: int) -> None:
    """Seeds Python's, NumPy's and torch's generators, those of all devices included."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def require_same_data(folder: RunFolder, data: Data) -> None:
    """Raises AdaptError when a resumed run would go on with other data than it began with."""
    if not folder.data.exists():
        return
    before = read_json(folder.data).get("fingerprint")
    if before != data.info["fingerprint"]:
        raise AdaptError(
            f"The data has changed since the run in {folder.path} began: its fingerprint was {before}, "
            f"now it is {data.info['fingerprint']}",
            "Restore the data, or start anew with --overwrite.",
        )


def require_space_for(plan: RunPlan, folder: RunFolder, module: nn.Module, *, with_base: bool) -> None:
    """Raises AdaptError when the disk has no room for what the run will write beside what it has written before.

    Args:
        plan: of the run.
        folder: of the run.
        module: the model, with what is trained.
        with_base: whether the base is saved beside an adapter.
    """
    parameters = list(module.parameters())
    total = sum(each.numel() * each.element_size() for each in parameters)
    trainable = sum(each.numel() * each.element_size() for each in parameters if each.requires_grad)
    saved = trainable if plan.method.spec.saves == "adapter" else total
    # A quantized base is dequantized before an adapter is merged into it.
    merged = sum(FLOAT32 * count for _, count in parameters_counted(module)) if plan.quantizer else total
    options = plan.training
    there = len(folder.checkpoints.steps())
    kept = max(options.checkpoints, there) + 1  # the newest is written before the oldest goes
    if options.interval == "epoch":
        kept = min(kept, math.ceil(options.epochs))
    new = max(kept - there, 1)  # a stop may have put one between those of the schedule
    needs = []
    if options.do_train:
        what = "1 checkpoint" if new == 1 else f"{new} checkpoints"
        needs.append((what, new * (saved + 2 * trainable)))  # Adam keeps two numbers a parameter
        needs.append(("model/", total if with_base else saved))
        if plan.saver is not None:
            needs.append(("export/", merged))
    require_space(folder.path, needs)


def require_space(path: Path, needs: Sequence[tuple[str, int]]) -> None:
    """Raises AdaptError, with what needs how much, when the disk has less free space than all of it together.

    Args:
        path: where it will be written; need not exist yet.
        needs: what for and how many bytes, such as ``("5 checkpoints", 2_000_000)``.
    """
    place = path.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    total = sum(count for _, count in needs)
    if total <= free:
        return
    width = max(len(what) for what, _ in needs)
    lines = [f"  {what:<{width}}  {bytes_text(count):>9}" for what, count in needs]
    raise AdaptError(
        "\n".join([f"The disk is too full for {path}: {bytes_text(total)} needed, {bytes_text(free)} free.", *lines]),
        f"Free {bytes_text(total - free)}, keep fewer checkpoints (training.checkpoints), or choose an output_dir on "
        "another disk.",
    )
