"""Why a step cannot be taken, in the words of the configuration."""

from __future__ import annotations

import traceback

from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from adapt_core.errors import AdaptError, Interrupted
from adapt_core.models.architecture import name_in_model
from adapt_core.runs.folder import RunFolder


def nothing_used(method: str, what: str) -> AdaptError:
    """The error of a run that would train nothing."""
    return AdaptError(
        f"Nothing that {method} trains {what}: the model never calls the layers that it is on",
        "Name other layers in method.target_modules, or choose another method.",
    )


def out_of_memory(error: Exception, key: str, *, trains: bool = True) -> AdaptError:
    """The error of a step that takes more memory than the device has.

    Args:
        error: torch's.
        key: of ``training``, what says how many rows the step takes.
        trains: whether it is a step of training, or of an evaluation.
    """
    less = ", set training.gradient_checkpointing, or use a method that trains less" if trains else ""
    return AdaptError(f"The device is out of memory: {error}", f"Lower training.{key}{less}.")


def left_unused(error: RuntimeError) -> AdaptError | None:
    """What torch's ``DistributedDataParallel`` says after a step that used less than the first; None for any other."""
    if "finished reduction in the prior iteration" not in str(error):
        return None
    return AdaptError(
        "A step left parameters unused that are trained, for which the processes were not prepared",
        "Set launch.find_unused_parameters to true: every step is then looked at.",
    )


def failed_in_method(error: Exception, module: nn.Module, method: str) -> AdaptError | None:
    """What a model's forward pass failed with, if that came up in what the method has added to it.

    A tuner takes a layer by its type, and does not know what the model will hand it: four dimensions instead of three,
    say. What the layer beneath raises is the model's affair, and gives None.

    Args:
        error: with the traceback of the forward pass.
        module: the model, adapted.
        method: its name in the configuration.

    Returns:
        The error to raise in its place, with the layer's name; None where the method has no part in it.
    """
    said = f"{type(error).__name__}: {error}"
    model = next((each for each in module.modules() if isinstance(each, PeftModel)), None)
    if model is not None and model.active_peft_config.is_prompt_learning:
        return AdaptError(
            f"{type(model.get_base_model()).__name__} fails with the tokens that method {method} puts before its "
            f"input: {said}",
            "Choose a method that puts none there, such as lora. If that fails too, the cause is elsewhere.",
        )
    names = {id(each): name for name, each in module.named_modules()}
    running = [names.get(id(frame.f_locals.get("self"))) for frame, _ in traceback.walk_tb(error.__traceback__)]
    innermost = next((name for name in reversed(running) if name is not None), "")
    tuner, beneath = _tuner(module, innermost)
    if tuner is None or beneath.startswith("base_layer"):
        return None
    name = name_in_model(innermost.removesuffix(beneath).removesuffix("."))
    return AdaptError(
        f"method {method} fails on what the model passes to {name} ({type(tuner.get_base_layer()).__name__}): {said}",
        "Name target_modules without this layer, or choose another method.",
    )


def _tuner(module: nn.Module, name: str) -> tuple[BaseTunerLayer | None, str]:
    """The tuner's layer that a layer is or is a part of, and the part's name in it."""
    steps = name.split(".")
    for end in range(len(steps), 0, -1):
        layer = module.get_submodule(".".join(steps[:end]))
        if isinstance(layer, BaseTunerLayer):
            return layer, ".".join(steps[end:])
    return None, ""


def stopped(signal: str, step: int, steps: int, folder: RunFolder) -> Interrupted:
    """The error of a run that a signal has stopped.

    Args:
        signal: its name.
        step: the last that was taken.
        steps: of the whole run.
        folder: of the run, whose newest checkpoint is named.
    """
    saved = folder.checkpoints.steps()
    state = f"the state of step {saved[-1]} is saved" if saved else "no state is saved"
    return Interrupted(
        f"Stopped by {signal} after step {step} of {steps}; {state}.",
        f"Continue with: adapt run {folder.path} --resume" if saved else "Start it again.",
    )
