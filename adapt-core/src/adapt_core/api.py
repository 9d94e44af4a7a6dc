"""Adapt from Python: run a configuration, use what a run left, and put a method on a model of one's own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adapt_core.bundles import Inspected
from adapt_core.errors import AdaptError, Interrupted, UsageError
from adapt_core.interfaces import Launcher, World
from adapt_core.plan.build import build_plan
from adapt_core.plan.run_plan import RunPlan
from adapt_core.runs.folder import RunFolder
from adapt_core.runs.loaded import LoadedRun, load_run
from adapt_core.runs.resumption import without_replaced

__all__ = ["LoadedRun", "apply_method", "evaluate_run", "inspect_data", "load_run", "merge_run", "plan_of", "run"]

IN_THE_LOOP = ("parameter_groups", "before_training", "after_step")
"""The phases of a method that a training loop must call."""


def run(
    config: str | Path | Mapping[str, Any],
    overrides: Sequence[str] = (),
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Fine-tunes as a configuration says.

    Args:
        config: a YAML or JSON file, the folder of an earlier run (its ``config.yaml``), or the configuration itself.
        overrides: ``"key=value"``, nested (``training.lr=1e-4``) or flat (``LR=1e-4``).
        resume: continue the unfinished run in ``output_dir``.
        overwrite: replace the run in ``output_dir``.

    Returns:
        The content of the run's ``result.json``; nothing in a process that is one of several and not the main one.

    Raises:
        ConfigError: the configuration has mistakes; all of them are listed.
        AdaptError: the run failed, with the reason; :class:`~adapt_core.errors.Interrupted` when it was stopped.
    """
    from adapt_core.runs.claiming import claimed
    from adapt_core.terminal.signals import sigterm_interrupts

    plan = plan_of(config, [*overrides, "training.resume=true"] if resume else overrides)
    launcher: Launcher = plan.launcher.make()
    world = launcher.attached()
    main = world is None or world.is_main
    processes = world.size if world else launcher.size
    with _told(world), claimed(plan, world, processes=processes, overwrite=overwrite) as folder:
        from adapt_core.pipeline.run import run_pipeline
        from adapt_core.terminal.progress import progress_for

        progress = progress_for(quiet=not main)
        for checkpoint, reason in folder.removed.items():
            progress.notice(f"Removed {checkpoint}: {reason}.")
        if plan.training.resume:
            newest = folder.checkpoints.newest()
            begins = f"goes on from {newest.name}" if newest else "has no checkpoint and begins at step 0"
            progress.notice(f"The run in {folder.path} {begins}.")
        with sigterm_interrupts():
            try:
                result: dict[str, Any] = (
                    launcher.launch(run_pipeline, plan) if world is None else run_pipeline(plan, world)
                )
            except KeyboardInterrupt as error:  # outside the training steps, which stop by themselves
                raise _interrupted(folder) from error
            except BaseException:  # whatever ended it: raised again below
                if main:
                    folder.abandon()
                raise
    return result


@contextmanager
def _told(world: World | None) -> Iterator[None]:
    """Tells the other processes what ends this one, and from them why it has lost them."""
    try:
        yield
    except BaseException as error:  # whatever it was: raised again below
        if world is not None:
            world.tell(error)
            if lost := world.why_lost(error):
                raise lost from error
        raise


def _interrupted(folder: RunFolder) -> Interrupted:
    """The error for a run that was stopped before or after its training steps."""
    checkpoint = folder.checkpoints.newest()
    if checkpoint is None:
        folder.abandon()  # only where this process has claimed it
        return Interrupted("Stopped; nothing had been trained yet.", "Start it again.")
    step = checkpoint.name.rpartition("-")[2]
    remedy = f"Continue with: adapt run {folder.path} --resume"
    return Interrupted(f"Stopped; the state of step {step} is saved.", remedy)


def plan_of(config: str | Path | Mapping[str, Any], overrides: Sequence[str] = ()) -> RunPlan:
    """What :func:`run` would do with the same arguments. Raises ConfigError when the configuration has mistakes."""
    if isinstance(config, str | Path) and Path(config).is_dir():
        # The folder may have been moved since its configuration was written.
        moved = not any(override.partition("=")[0].strip() in ("output_dir", "OUTPUT_DIR") for override in overrides)
        overrides = [f"output_dir={json.dumps(str(config))}", *overrides] if moved else overrides
        config = without_replaced(Path(config) / "config.yaml", overrides)
    return build_plan(config, overrides)


def inspect_data(
    config: str | Path | Mapping[str, Any], overrides: Sequence[str] = (), *, examples: int = 3
) -> Sequence[Inspected]:
    """What a model will see of the data that a configuration names. The model's weights are not loaded.

    Args:
        config: as for :func:`run`.
        overrides: as for :func:`run`.
        examples: how many rows of each split to give.

    Returns:
        One a split.

    Raises:
        ConfigError: the configuration has mistakes; all of them are listed.
        AdaptError: the data cannot be used, with the reason, or the task does not show it.
    """
    from adapt_core.terminal.progress import current
    from adapt_core.terminal.quiet import quiet_libraries

    plan = plan_of(config, overrides)
    with quiet_libraries():
        task = plan.make_task()
        with current().stage("Loading the data"):
            data = task.load_data()
        return task.inspect(data, task.load_processor(data.info), examples)


def evaluate_run(path: str | Path, data: str | None = None, split: str | None = None) -> dict[str, Any]:
    """Evaluates what a finished run saved.

    Args:
        path: the run's folder.
        data: other data with the same columns and labels; by default the run's own.
        split: which split of it (``"test"``); by default the one that the run evaluated on.

    Returns:
        ``metrics`` by name, ``notices``, what a person should know of them, ``rows``, their number, and ``data``, where
        they are from.

    Raises:
        AdaptError: there is no finished run in the folder, or the data cannot be used with it.
    """
    from adapt_core.runs.evaluation import evaluate_loaded

    return evaluate_loaded(load_run(path), data, split)


def merge_run(path: str | Path, output: str | Path | None = None, data: str | None = None) -> dict[str, Any]:
    """Merges a finished run's adapter into its base model.

    Args:
        path: the run's folder, which is left as it is.
        output: the folder to write; by default the run's with ``-merged`` added to its name.
        data: other data, with the same columns, to compare outputs on; by default the run's own.

    Returns:
        ``output``, the largest absolute ``difference`` of outputs on real rows before and after, ``largest_output``,
        and ``tolerance``, the share of it that may differ.

    Raises:
        AdaptError: there is no finished run, nothing to merge, or the outputs differ by more than rounding.
    """
    from adapt_core.runs.merging import merge_loaded

    folder = Path(os.path.abspath(path))  # noqa: PTH100  # "." has no name to add to; a link is not followed
    run = load_run(folder)
    return merge_loaded(run, Path(output).resolve() if output else folder.with_name(f"{folder.name}-merged"), data)


def apply_method(
    module: Any,
    method: str,
    *,
    train_head: bool | None = None,
    train_batch_norm: bool = False,
    batches: Iterable[Mapping[str, Any]] | None = None,
    phases: bool = False,
    **options: Any,
) -> Any:
    """Puts a method on a model for a training loop of one's own.

    LoRA's starts ``pissa`` and ``olora`` change the base's weights, as does ``loftq`` where the base is not quantized.
    What the module's ``save_pretrained`` writes then fits only the changed weights. :func:`run` saves what can be used
    without them.

    What is trained is float32. A frozen base in bfloat16 stays so under an adapter; where weights of its own would be
    trained (a head is), and where it is in float16, the whole module becomes float32, which takes twice the memory.

    Some methods do their part while the model is trained: AdaLoRA takes ranks away, LoRA+ has two learning rates. They
    need ``phases=True``, and their phases called in the loop: ``parameter_groups(module, lr)`` for the optimizer, where
    it is not None, ``before_training(module, steps)`` before the first step, and ``after_step(module, step)`` after
    each, counted from 1, before gradients are zeroed.

    Args:
        module: a ``torch.nn.Module``; may be changed in place.
        method: name of an installed method, such as ``"lora"``.
        train_head: whether a transformers model's head is trained beside an adapter; None where the method decides.
        train_batch_norm: train batch normalisation beside an adapter, its running statistics included.
        batches: the batches of training, as a list or a data loader, for a method that looks at data before it trains
            (LoRA with ``init_lora_weights="eva"``). Each holds the keyword arguments of a call, on the module's device.
        phases: give the method's phases too, for the loop to call.
        options: the method's own, as in a configuration.

    Returns:
        The module to train: exactly the parameters that the method trains require gradients. With ``phases``, the
        module and the method (:class:`adapt_core.interfaces.Method`).

    Raises:
        ConfigError: an option is unknown or has a wrong value.
        UsageError: ``module`` is no module; or ``train_head`` or ``train_batch_norm`` is given for a method that
            decides on these itself; or ``batches`` is given for a method that needs none, or missing for one that does;
            or the method has phases that a loop must call, and ``phases`` is not set.
        AdaptError: there is no such method, or it finds nothing to train, or it does not train on the model's quantized
            layers, or with gradient checkpointing, which is on.
    """
    from torch import nn

    from adapt_core.config.validate import validate_options
    from adapt_core.kinds import Kind
    from adapt_core.models.architecture import hints_for
    from adapt_core.models.precision import settle_precision
    from adapt_core.models.quantized import quantized_widths
    from adapt_core.pipeline.applying import applied
    from adapt_core.plan.combinations import why_not_checkpointed, why_not_quantized
    from adapt_core.plugins.references import made
    from adapt_core.plugins.registry import Registry
    from adapt_core.terminal.quiet import quiet_libraries

    if not isinstance(module, nn.Module):
        raise UsageError(f"apply_method takes a model, a torch.nn.Module, and this is of type {type(module).__name__}")
    registry = Registry.load()
    entry = registry.get(Kind.METHOD, method)
    if train_head is not None and entry.spec.head != "beside":  # type: ignore[attr-defined]
        raise UsageError(f"train_head is for adapters; the method {entry.spec.name} decides on the head itself")
    if train_batch_norm and entry.spec.head != "beside":  # type: ignore[attr-defined]
        raise UsageError(f"train_batch_norm is for adapters; {entry.spec.name} is none")
    for bits in quantized_widths(module):
        if refused := why_not_quantized(entry.spec, bits, registry):
            raise AdaptError(
                f"{type(module).__name__} is quantized: {refused}", "Load it in full, or choose one of these."
            )
    refused = why_not_checkpointed(entry.spec)
    if refused and getattr(module, "is_gradient_checkpointing", False):
        raise AdaptError(refused, "Call gradient_checkpointing_disable() on the model.")
    validated = validate_options(registry.options(entry.spec), options, f"method {entry.spec.name}")
    with quiet_libraries():
        chosen: Any = made(entry.spec, validated)
        if not phases and (needed := [each for each in IN_THE_LOOP if chosen.has(each)]):
            raise UsageError(
                f"{entry.spec.name} does a part of its work while the model is trained: {', '.join(needed)}",
                "Give phases=True, and call them in the loop as apply_method's documentation says.",
            )
        calibrates = chosen.has("calibrate")
        if calibrates != (batches is not None):
            raise UsageError(
                f"{entry.spec.name} with these options needs batches= to look at before it trains"
                if calibrates
                else f"{entry.spec.name} with these options does not look at data; remove batches="
            )
        hints = hints_for(module, train_head=train_head)
        adapted = applied(chosen, module, hints, train_batch_norm=train_batch_norm)
        settle_precision(adapted)
        if calibrates:
            chosen.calibrate(adapted, batches)
        return (adapted, chosen) if phases else adapted
