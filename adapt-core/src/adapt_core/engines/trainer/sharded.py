"""What the Trainer does otherwise where the model is sharded over the processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils import fsdp2_prepare_model
from peft import PeftModel
from torch import nn
from transformers import Trainer

from adapt_core.bundles import Hints
from adapt_core.engines.trainer.sharding import (
    as_on_gpus,
    deal_values,
    dealt,
    filled,
    layers_to_shard,
    require_sharded,
    reshard,
    shared_embeddings_in_root,
    skeleton,
    synchronised_generation,
    whole,
    whole_values,
)
from adapt_core.engines.trainer.shards import are_shards, read_model, read_optimizer, write_shards
from adapt_core.errors import AdaptError

if TYPE_CHECKING:
    from adapt_core.engines.trainer.trainer import Training

SCHEDULER, OPTIMIZER = "scheduler.pt", "optimizer.pt"


class ShardedTraining(Trainer):
    """A class to put before the Trainer: with several processes that shard a model, it holds to Adapt's promises.

    A checkpoint is the same as one process would write (``full``), or each process writes its part (``sharded``); any
    number of processes goes on from either. Weights are those of the main process, which alone need have read them.
    """

    training: Training

    @property
    def sharded(self) -> bool:
        """Whether the model is sharded over the processes."""
        return self.training.world.sharding is not None

    @property
    def _main(self) -> bool:
        return self.training.world.is_main

    def create_accelerator_and_postprocess(self) -> None:
        if not self.sharded:
            super().create_accelerator_and_postprocess()
            return
        with as_on_gpus():
            super().create_accelerator_and_postprocess()

    # ---- from a whole model to a sharded one, and back ------------------------------------------------------------

    def shard(self, hints: Hints) -> None:
        """Before anything is prepared: says which layers are sharded one by one, and what is in 16 bits."""
        sharding = self.training.world.sharding
        assert sharding is not None
        if not self.accelerator.is_fsdp2:
            require_sharded(self._plain)  # accelerate will not do it
        plugin = self.accelerator.state.fsdp_plugin
        if (policy := plugin.mixed_precision_policy) is not None:
            # accelerate would round the loss to 16 bits, and the sums of gradients, which DDP takes in float32.
            plugin.mixed_precision_policy = replace(policy, reduce_dtype=torch.float32, output_dtype=None)
        if sharding["wrap"] != "none":
            plugin.transformer_cls_names_to_wrap = layers_to_shard(self._plain, hints, sharding)

    @property
    def _plain(self) -> nn.Module:
        assert isinstance(self.model, nn.Module)
        return self.model

    def _prepare_for_training(self, *args: Any, **kwargs: Any) -> Any:
        if not self.sharded:
            return super()._prepare_for_training(*args, **kwargs)  # type: ignore[no-untyped-call]
        checkpoint = kwargs.get("resume_from_checkpoint", args[2] if len(args) > 2 else None)
        if checkpoint is not None and (self._main or self._own_state):  # which may change shapes
            with self._unsharded():
                self._load_from_checkpoint(checkpoint, self._plain)
        self._prepare_to_shard()
        if self._main:
            self._skeleton = skeleton(self._plain)
        with shared_embeddings_in_root(self._plain):
            return super()._prepare_for_training(*args, **kwargs)  # type: ignore[no-untyped-call]

    def shard_to_evaluate(self) -> None:
        """Shards a model that is not trained."""
        self._prepare_to_shard()
        with shared_embeddings_in_root(self._plain):
            self.model = fsdp2_prepare_model(self.accelerator, self._plain)
        self.accelerator._models.append(self.model)
        self.settle_values()

    def _prepare_to_shard(self) -> None:
        """Before a model is sharded: makes a quantized one ready, and remembers what is to stay as it is.

        That is its values, in the main process, and how many parameters it has.
        """
        if self.training.quantizer is not None:
            self.training.quantizer.before_sharding(self._plain)
        self._values = self._all_values() if self._main else {}
        self._count = len(list(self._plain.parameters()))

    def settle_values(self) -> None:
        """Hands the main process's weights on, once: they are those of the checkpoint, where there is one."""
        if self.sharded and self._values is not None:
            require_sharded(self._plain)
            count = len(list(self._plain.parameters()))
            if count != self._count:
                raise AdaptError(
                    f"Sharding {type(self._plain).__name__} layer by layer unties {count - self._count} parameters",
                    "Choose launch.name: ddp.",
                )
            deal_values(self._plain, self._values, self.training.world)
            self._values = None
            synchronised_generation(self._plain)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        self.settle_values()  # the model has just been sharded
        return super().create_scheduler(num_training_steps, optimizer)

    def trained_values(self) -> nn.Module | None:
        """A copy of the model that has the values of what is trained, in the main process; every process calls it."""
        values = whole_values(self._plain, self.training.world, trained_only=True)
        return filled(self._skeleton, values) if self._skeleton is not None else None

    def gathered(self) -> nn.Module:
        """The whole model, in the main process; every process calls it, and the others get theirs as it is."""
        values = whole_values(self._plain, self.training.world)
        if self._skeleton is None:
            return self._plain
        model = filled(self._skeleton, values)
        if self.training.quantizer is not None:
            self.training.quantizer.after_gathering(model)
        return model

    _count: int = 0
    _values: dict[str, torch.Tensor] | None = None
    _skeleton: nn.Module | None = None

    def _all_values(self) -> dict[str, torch.Tensor]:
        """By every name that a parameter has: sharding may list a tied one under another."""
        parameters = self._plain.named_parameters(remove_duplicate=False)
        return {name: each.detach() for name, each in [*parameters, *self._plain.named_buffers()]}

    # ---- checkpoints ----------------------------------------------------------------------------------------------

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        if not self.sharded:
            super().save_model(output_dir, _internal_call)
        elif not self._in_shards:
            values = whole_values(self._plain, self.training.world, trained_only=self._adapter)
            if self._main:
                sharded = self.model
                if self._adapter:  # PEFT calls a part of the model to save it
                    assert self._skeleton is not None
                    self.model = filled(self._skeleton, values)
                self._save(output_dir, state_dict=values)
                self.model = sharded

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if not self.sharded:
            super()._save_optimizer_and_scheduler(output_dir)
            return
        if self._in_shards:
            world, optimizer = self.training.world, self._torch_optimizer
            write_shards(self._plain, optimizer, Path(output_dir), world, trained_only=self._adapter)
        else:
            reshard(self._plain)
            state = self._torch_optimizer.state_dict()
            values = {key: {name: whole(each) for name, each in own.items()} for key, own in state["state"].items()}
            if self._main:
                torch.save({**state, "state": values}, Path(output_dir, OPTIMIZER))
        if self._main:
            assert self.lr_scheduler is not None
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir, SCHEDULER))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if self.is_fsdp_enabled:
            return  # it was loaded before it was sharded
        if are_shards(resume_from_checkpoint):
            self._plain.load_state_dict(read_model(Path(resume_from_checkpoint)), strict=False)
            return
        self.load_whole_checkpoint(resume_from_checkpoint, model)

    def load_whole_checkpoint(self, checkpoint: str, model: Any = None) -> None:
        """Loads a checkpoint as one process writes it into a model that is not sharded."""
        super()._load_from_checkpoint(checkpoint, model)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None or not (self.sharded or are_shards(checkpoint)):
            super()._load_optimizer_and_scheduler(checkpoint)
            return
        folder = Path(checkpoint)
        state = None
        if self._main or not self.sharded:
            path = folder / OPTIMIZER
            state = read_optimizer(folder) if are_shards(folder) else torch.load(path, "cpu", weights_only=True)
        self._torch_optimizer.load_state_dict(self._dealt_state(state) if self.sharded else state)
        assert self.lr_scheduler is not None
        self.lr_scheduler.load_state_dict(torch.load(folder / SCHEDULER, weights_only=True))

    def _dealt_state(self, state: dict[str, Any] | None) -> dict[str, Any]:
        """The main process's state of the optimizer, each tensor sharded as its parameter is."""
        outline = None
        if state is not None:
            shapes = {
                number: {name: isinstance(each, torch.Tensor) and each.ndim > 0 for name, each in own.items()}
                for number, own in state["state"].items()
            }
            small = {
                number: {name: each for name, each in own.items() if not shapes[number][name]}
                for number, own in state["state"].items()
            }
            outline = (shapes, small, state["param_groups"])
        shapes, small, groups = self.training.world.gather(outline)[0]  # type: ignore[misc]
        parameters = [each for group in self._torch_optimizer.param_groups for each in group["params"]]
        made: dict[int, dict[str, Any]] = {}
        for number, names in shapes.items():
            made[number] = dict(small[number])
            for name, is_large in names.items():
                if is_large:
                    value = state["state"][number][name] if state is not None else None
                    made[number][name] = dealt(value, parameters[number])
        return {"state": made, "param_groups": groups}

    @property
    def _in_shards(self) -> bool:
        """Whether each process writes its part of a checkpoint; not where the method writes what belongs to one."""
        sharding = self.training.world.sharding
        return sharding is not None and sharding["checkpoints"] == "sharded" and not self._own_state

    @property
    def _own_state(self) -> bool:
        method = self.training.method
        return method is not None and method.has("load_state")

    @property
    def _adapter(self) -> bool:
        return isinstance(self.accelerator.unwrap_model(self._plain), PeftModel)

    @property
    def _torch_optimizer(self) -> Any:
        return getattr(self.optimizer, "optimizer", self.optimizer)

    @contextmanager
    def _unsharded(self) -> Iterator[None]:
        """Within it, the Trainer takes the model for one that is not sharded, as it is before it is prepared."""
        self.is_fsdp_enabled = False
        try:
            yield
        finally:
            self.is_fsdp_enabled = True
