"""What goes into a head, computed once for every row where only the head is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset, Subset, default_collate

from adapt_core.bundles import Hints
from adapt_core.engines.common.loaders import evaluation_loader, is_stream
from adapt_core.engines.common.randomness import randomness_kept
from adapt_core.engines.trainer.trainer import AdaptTrainer
from adapt_core.errors import AdaptError
from adapt_core.interfaces import World
from adapt_core.terminal.progress import Progress
from adapt_core.utils.memory import free_memory
from adapt_core.utils.units import bytes_text

FEATURES, LABELS = "features", "labels"
SHARE_OF_MEMORY = 0.5


class Unsuitable(Exception):
    """Why features are not kept."""


class KeptFeatures(Dataset[dict[str, Any]]):
    """Rows as their features and labels.

    Args:
        features: of shape (rows, ...), on the CPU.
        labels: of shape (rows,).
    """

    def __init__(self, features: torch.Tensor, labels: torch.Tensor) -> None:
        self.features, self.labels = features, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {FEATURES: self.features[row], LABELS: self.labels[row]}


def keep_features(trainer: AdaptTrainer, hints: Hints, progress: Progress) -> None:
    """Has a trainer train on features rather than on the task's rows, if that is asked for and possible.

    The frozen part of the model runs once over every row, in evaluation mode. From then on a step is the head alone.
    With ``training.cache_features: auto`` that happens only where it changes nothing: the rows are the same in every
    epoch, and the frozen part computes the same in training as in evaluation, which is tried.

    Args:
        trainer: before its first step.
        hints: of its model.
        progress: shows that it happens.

    Raises:
        AdaptError: it is asked for, and not possible; says why.
    """
    wanted = trainer.training.options.cache_features
    if wanted is False:
        return
    try:
        head = _head(trainer, hints)
        with randomness_kept():
            _try_first_batch(trainer, head, alike=wanted == "auto")
            _require_memory(trainer, head)
            with progress.counting("Computing what goes into the head, once for every row", _number(trainer)) as done:
                kept = _kept(trainer, head, done)
    except Unsuitable as reason:
        if wanted is True:
            raise AdaptError(f"training.cache_features: {reason}", "Remove the key.") from reason
        return
    inputs = trainer.training.inputs
    step = partial(_step, trainer, head)
    train, evaluation = kept.get("train"), kept.get("evaluation")
    trainer.training.inputs = replace(inputs, step=step, evaluation_step=step, train=train, evaluation=evaluation)
    trainer.train_dataset, trainer.eval_dataset = train, evaluation
    trainer.data_collator = default_collate
    trainer.training.workers = 0


# ---- whether it is possible ---------------------------------------------------------------------------------------


def _head(trainer: AdaptTrainer, hints: Hints) -> nn.Module:
    """The head, if it is one module that holds all that is trained."""
    inputs, module = trainer.training.inputs, _model(trainer)
    if inputs.head_loss is None:
        raise Unsuitable("the rows of this task are not the same in every epoch, or its head takes more than features")
    if is_stream(inputs.train):
        raise Unsuitable("the rows come as a stream")
    if trainer.training.world.size > 1:
        raise Unsuitable("the training runs in several processes")
    if len(hints.head) != 1:
        raise Unsuitable("the model's head is not one module")
    head: nn.Module = module.get_submodule(hints.head[0])
    own = set(head.parameters())
    if any(each.requires_grad and each not in own for each in module.parameters()):
        raise Unsuitable("more than the model's head is trained")
    return head


def _try_first_batch(trainer: AdaptTrainer, head: nn.Module, *, alike: bool) -> None:
    """Requires of the first batch that the head takes one tensor with a row for each, and that logits come out of it.

    Args:
        trainer: gives the batch.
        head: of its model.
        alike: require also that the frozen part computes the same in training as in evaluation.
    """
    batch = next(_batches(trainer, trainer.training.inputs.train))
    features, outputs = _run(trainer, head, batch)
    again = _logits(trainer, head, features)
    logits = outputs.get("logits")
    if logits is None or logits.shape != again.shape or not torch.allclose(logits.float(), again, rtol=1e-4, atol=1e-5):
        raise Unsuitable("what the head gives is not yet the model's output")
    if alike:
        training, _ = _run(trainer, head, batch, training=True)
        if not torch.allclose(training.float(), features.float(), rtol=1e-5, atol=1e-6):
            raise Unsuitable("the layers before the head compute otherwise in training (dropout)")


def _require_memory(trainer: AdaptTrainer, head: nn.Module) -> None:
    rows = _number(trainer)
    features, _ = _run(trainer, head, next(_batches(trainer, trainer.training.inputs.train)))
    needed = rows * features[0].numel() * features.element_size()
    free = free_memory()
    if needed > SHARE_OF_MEMORY * free:
        raise Unsuitable(f"the features of {rows:,} rows take {bytes_text(needed)}, and {bytes_text(free)} are free")


def _model(trainer: AdaptTrainer) -> Any:
    return trainer.model


# ---- features -----------------------------------------------------------------------------------------------------


def _data_sets(trainer: AdaptTrainer) -> dict[str, Any]:
    inputs = trainer.training.inputs
    every = {"train": inputs.train, "evaluation": inputs.evaluation if trainer.training.options.do_eval else None}
    return {name: rows for name, rows in every.items() if rows is not None}


def _number(trainer: AdaptTrainer) -> int:
    return sum(map(len, _data_sets(trainer).values()))


def _batches(trainer: AdaptTrainer, rows: Any) -> Iterator[Mapping[str, Any]]:
    loader = evaluation_loader(
        rows,
        trainer.training.inputs.collate,
        batch=trainer.args.per_device_eval_batch_size,
        world=World(),
        workers=trainer.training.options.num_workers,
    )
    for batch in loader:
        yield trainer._prepare_inputs(batch)


def _kept(trainer: AdaptTrainer, head: nn.Module, done: Callable[[int], None]) -> dict[str, KeptFeatures]:
    """The features of every data set, by its name. ``done`` is told how many rows are through."""
    kept, count = {}, 0
    for name, rows in _data_sets(trainer).items():
        order = _by_length(trainer, rows) if name == "train" else list(range(len(rows)))
        features, labels = [], []
        for batch in _batches(trainer, Subset(rows, order)):
            features.append(_run(trainer, head, batch)[0].cpu())
            labels.append(batch[LABELS].cpu())
            count += len(labels[-1])
            done(count)
        back = torch.tensor(order).argsort()
        kept[name] = KeptFeatures(torch.cat(features)[back], torch.cat(labels)[back])
    return kept


def _by_length(trainer: AdaptTrainer, rows: Any) -> list[int]:
    """The rows from the shortest to the longest, so that little is padded; as they come where they have no lengths."""
    lengths = trainer.training.inputs.lengths
    return sorted(range(len(rows)), key=None if lengths is None else lengths.__getitem__)


def _run(
    trainer: AdaptTrainer, head: nn.Module, batch: Mapping[str, Any], *, training: bool = False
) -> tuple[torch.Tensor, Mapping[str, Any]]:
    """What goes into the head for a batch, of shape (rows, ...), and the model's outputs."""
    module = _model(trainer)
    before = module.training
    module.train(training)
    try:
        with torch.no_grad(), trainer.accelerator.autocast(), _taken(head) as taken:
            outputs = trainer._outputs(module, dict(batch))
    finally:
        module.train(before)
    if len(taken) != 1 or len(taken[0]) != len(batch[LABELS]):
        raise Unsuitable("the head does not take one vector a row")
    return taken[0], outputs


@contextmanager
def _taken(head: nn.Module) -> Iterator[list[torch.Tensor]]:
    """The tensors that a head is called with inside the block."""
    taken: list[torch.Tensor] = []

    def note(_: nn.Module, given: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        if len(given) != 1 or named or not isinstance(given[0], torch.Tensor):
            raise Unsuitable("the head takes more than one tensor")
        taken.append(given[0].detach())

    handle = head.register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield taken
    finally:
        handle.remove()


def _logits(trainer: AdaptTrainer, head: nn.Module, features: torch.Tensor) -> torch.Tensor:
    with trainer.accelerator.autocast():
        logits: torch.Tensor = head(features)
    return logits.float()


def _step(trainer: AdaptTrainer, head: nn.Module, _: nn.Module, batch: Mapping[str, Any]) -> Mapping[str, Any]:
    """The head alone; its dropout, where it has one, as ever."""
    loss = trainer.training.inputs.head_loss
    assert loss is not None
    logits = _logits(trainer, head, batch[FEATURES])
    return {"loss": loss(logits, batch), "logits": logits}
