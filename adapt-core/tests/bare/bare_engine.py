"""A training loop of a page, on what every engine shares."""

import time
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader

from adapt_core.bundles import Trained
from adapt_core.engines.common.clock import Clock
from adapt_core.engines.common.failures import stopped
from adapt_core.engines.common.gradients import idle_notice
from adapt_core.engines.common.log import RunLog
from adapt_core.engines.common.measuring import measure, rows_in
from adapt_core.engines.common.randomness import random_state, randomness_kept, restore_random_state
from adapt_core.engines.common.rows import Collation, CountedRows, EpochBatches, EvaluationBatches
from adapt_core.errors import AdaptError
from adapt_core.interfaces import Engine, World
from adapt_core.models.counting import count_parameters
from adapt_core.terminal.signals import StopRequest, stop_on_signal


@dataclass(frozen=True)
class BareInputs:
    train: Any
    evaluation: Any
    collate: Any
    step: Any
    meter: Any = None


class BareEngine(Engine):
    def __init__(self, plan, folder, world, progress):
        self.plan, self.options, self.folder, self.world, self.progress = plan, plan.training, folder, world, progress

    def check(self):
        for key in ("fp16", "bf16", "warmup_steps"):
            if getattr(self.options, key):
                raise AdaptError(f"training.{key}: the bare engine does not do that", "Remove it.")

    def train(self, model, method, inputs, checkpoint):
        options, module = self.options, model.module
        order = EpochBatches(inputs.train, self.plan.seed, options.batch_size, 1, self.world)
        if checkpoint is None and method.has("calibrate"):
            with randomness_kept():
                method.calibrate(module, _Calibration(inputs, self.plan.seed, options.batch_size))
        self.progress.parameters(count_parameters(module))
        group = options.gradient_accumulation_steps
        per_epoch = -(-len(order) // group)
        total = options.max_steps or round(options.epochs * per_epoch)
        optimizer = self._optimizer(module, method)
        history, step = [], 0
        if checkpoint is not None:
            history, step = self._resumed(checkpoint, module, method, optimizer)
        method.before_training(module, total)
        log, request, saving = RunLog(self.folder, self.progress, self.world), StopRequest(), Clock()
        log.start(total, total / per_epoch, step, history)
        rows, losses, looked, evaluating = 0, [], False, Clock()
        begin = time.perf_counter()
        with stop_on_signal(request):
            while step < total and request.signal is None:
                order.set_epoch(step // per_epoch)
                batches = list(order)[step % per_epoch * group :]
                for start in range(0, len(batches), group):
                    micro = [self._batch(inputs, numbers) for numbers in batches[start : start + group]]
                    count = sum(map(rows_in, micro))
                    module.train()
                    loss = 0.0
                    for batch in micro:
                        part = inputs.step(module, batch)["loss"] * rows_in(batch) / count
                        part.backward()
                        loss += float(part.detach())
                    if not looked and (notice := idle_notice(module, model.hints, self.plan.method.spec.name)):
                        self.progress.notice(notice)
                    looked = True
                    if options.max_grad_norm:
                        trained = [each for each in module.parameters() if each.requires_grad]
                        torch.nn.utils.clip_grad_norm_(trained, options.max_grad_norm)
                    optimizer.step()
                    step, rows = step + 1, rows + count
                    method.after_step(module, step)
                    optimizer.zero_grad()
                    losses.append(loss)
                    log.advance(step)
                    if step % options.logging_steps == 0:
                        rates = [each["lr"] for each in optimizer.param_groups]
                        mean = sum(losses) / len(losses)
                        line = {"step": step, "epoch": step / per_epoch, "learning_rate": rates[0], "loss": mean}
                        log.write(line)
                        history.append(line)
                        losses = []
                    ends = step == total or step % per_epoch == 0
                    due = step % options.interval_steps == 0 if options.interval == "steps" else ends
                    if due and options.do_eval:
                        with evaluating:
                            found = self.evaluate(model, inputs).metrics
                        line = {"step": step, "epoch": step / per_epoch, **{f"eval_{k}": v for k, v in found.items()}}
                        log.write(line)
                        history.append(line)
                    if due or request.signal is not None:
                        with saving:
                            self._save(step, module, method, optimizer, history, losses)
                    if step == total or request.signal is not None:
                        break
        self.progress.stop()
        if request.signal is not None:
            raise stopped(request.signal, step, total, self.folder)
        seconds = time.perf_counter() - begin - evaluating.seconds - saving.seconds
        return Trained(step, seconds, 0.0, evaluating.seconds, saving.seconds, rows, {})

    def evaluate(self, model, inputs):
        size = self.options.eval_batch_size or 2 * self.options.batch_size
        batches = EvaluationBatches(len(inputs.evaluation), size, self.world)
        rows = DataLoader(CountedRows(inputs.evaluation), batch_sampler=batches, collate_fn=Collation(inputs.collate))
        meter = inputs.meter() if inputs.meter else None
        with randomness_kept():
            return measure(model.module, rows, inputs.step, rows_in, meter, self.world)

    def _batch(self, inputs, numbers):
        return inputs.collate([inputs.train[number] for number in numbers])

    def _optimizer(self, module, method):
        options = self.options
        groups = [dict(each) for each in method.parameter_groups(module, options.lr) or ()]
        claimed = {id(each) for group in groups for each in group["params"]}
        rest = [each for each in module.parameters() if each.requires_grad and id(each) not in claimed]
        groups = [{"params": rest}, *groups] if rest else groups
        return torch.optim.SGD(groups, options.lr, options.momentum, weight_decay=options.weight_decay)

    def _save(self, step, module, method, optimizer, history, losses):
        checkpoints = self.folder.checkpoints
        checkpoints.mark_incomplete(step)
        place = checkpoints.at(step)
        place.mkdir(parents=True, exist_ok=True)
        state = {"model": dict(module.state_dict()), "optimizer": optimizer.state_dict(), "random": random_state()}
        torch.save({**state, "history": history, "losses": losses, "step": step}, place / "state.pt")
        method.save_state(module, place)
        checkpoints.mark_complete(step)
        checkpoints.keep_newest(self.options.checkpoints)

    def _resumed(self, checkpoint, module, method, optimizer):
        state = torch.load(checkpoint / "state.pt", weights_only=True)
        if method.has("load_state"):
            method.load_state(module, checkpoint)
        else:
            module.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        restore_random_state(state["random"])
        return state["history"], state["step"]


class _Calibration:
    def __init__(self, inputs, seed, size):
        self.inputs, self.order = inputs, EpochBatches(inputs.train, seed, size, 1, World())

    def __iter__(self):
        for numbers in self.order:
            yield self.inputs.collate([self.inputs.train[number] for number in numbers])


def inputs_of_a_tiny_model(tiny):
    batch = tiny.batch()
    rows = [{name: each[index] for name, each in batch.items()} for index in range(8)]

    def collate(some):
        return {name: torch.stack([row[name] for row in some]) for name in some[0]}

    return BareInputs(rows, rows, collate, lambda module, each: {"loss": module(**each).loss})
