"""Options of the launchers. Imports nothing heavy: it is loaded to check a configuration."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import ValidationError, field_validator, model_validator

from adapt_core.options import Options, flat_names, option
from adapt_dist.accelerate_file import options_of

LAUNCHERS = {"FSDP": "fsdp", "MULTI_GPU": "ddp", "MULTI_CPU": "ddp", "NO": "local"}
"""The launcher that is what accelerate calls a ``distributed_type``."""


class LaunchOptions(Options):
    """What DDP and FSDP have in common: how many processes there are, and how they are started."""

    launcher: ClassVar[str]
    """Its name."""

    accelerate_config: str | None = option(
        None,
        path=True,
        help="File that accelerate config wrote for this launcher: what it sets holds where no key here says "
        "otherwise. Its num_processes counts the processes of all machines, as accelerate does.",
    )
    num_processes: int | None = option(
        None,
        flat="num_processes",
        gt=0,
        help="Processes on each machine; by default one for each GPU. Needed where there is no GPU.",
    )
    num_nodes: int = option(1, flat=("num_nodes", "num_machines"), gt=0, help="Machines; another number does not run.")
    use_cpu: bool = option(False, flat="use_cpu", help="Compute on the CPU also where there are GPUs.")
    max_restarts: int = option(
        0, ge=0, help="How often a run that fails is started anew from its last checkpoint, by itself."
    )
    rdzv_backend: str = option(
        "static",
        flat="rdzv_backend",
        examples=["static", "c10d"],
        help="How several machines meet, in the commands that adapt launch-command writes: static, where each is told "
        "its number, or c10d, where they number themselves.",
    )
    main_process_ip: str | None = option(
        None, flat="main_process_ip", help="Address of the first machine, in torchrun's commands for several machines."
    )
    main_process_port: int | None = option(
        None, flat="main_process_port", gt=0, le=65535, help="Port of the first machine, in the same commands."
    )
    start_timeout: float = option(
        300.0, gt=0, help="Seconds that processes wait for one another at the start; a message names the missing ones."
    )
    timeout: float = option(
        1800.0, gt=0, help="Seconds that a process waits for the others in training before the run fails."
    )
    mixed_precision: str | None = option(
        None,
        flat="mixed_precision",
        examples=["no", "bf16", "fp16"],
        help="Must say the same as training.bf16 and fp16.",
    )
    debug: bool = option(False, flat="debug", help="Have torch check every collective operation, which is slow.")

    @model_validator(mode="before")
    @classmethod
    def _from_accelerate(cls, values: Any) -> Any:
        """What accelerate's file sets stands beneath what is given."""
        if not isinstance(values, dict) or not isinstance(values.get("accelerate_config"), str):
            return values
        file = values["accelerate_config"]
        names = {flat: name for name, info in cls.model_fields.items() for flat in flat_names(info)}
        found = options_of(file, names)
        try:
            cls.model_validate(found)
        except ValidationError as error:  # said here, where the file is known
            said = [f"{each['loc'][0]}: {each['msg'].removeprefix('Value error, ')}" for each in error.errors()]
            raise ValueError(f"{file}: {'; '.join(said)}") from error
        return found | values

    @field_validator("mixed_precision", "downcast_bf16", mode="before", check_fields=False)
    @classmethod
    def _no_is_a_word(cls, value: Any) -> Any:
        """YAML reads a bare ``no`` as false."""
        return "no" if value is False else value

    @field_validator("mixed_precision")
    @classmethod
    def _known_precision(cls, value: str | None) -> str | None:
        return None if value is None else one_of(value, ("no", "bf16", "fp16"))

    @field_validator("rdzv_backend")
    @classmethod
    def _known_backend(cls, value: str) -> str:
        return one_of(value, ("static", "c10d"))

    @field_validator("distributed_type", check_fields=False)
    @classmethod
    def _this_launcher(cls, value: str) -> str:
        named = LAUNCHERS.get(value.upper())
        if named == cls.launcher:
            return value.upper()
        what = f"this launcher is {cls.launcher.upper()}"
        raise ValueError(f"{what}; write launch.name: {named}" if named else what)


class DdpOptions(LaunchOptions):
    """Options of DDP."""

    launcher = "ddp"

    distributed_type: str = option(
        "MULTI_GPU", flat="distributed_type", help="MULTI_GPU or MULTI_CPU, which this launcher is."
    )
    find_unused_parameters: bool | None = option(
        None,
        help="Look in each step for trained parameters that the loss does not depend on, which takes time. By default "
        "the first batch tells whether there are any; set it where another batch uses others.",
    )


def one_of(value: str, words: tuple[str, ...]) -> str:
    """The value. Raises ValueError where it is none of the words."""
    if value in words:
        return value
    raise ValueError(f"expected {' or '.join(words)}, got {value!r}")
