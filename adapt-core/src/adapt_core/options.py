"""The base of every option model, the core's and the plugins' alike.

An option model is a pydantic model whose fields are made with :func:`option`, which also records the flat
name under which the same parameter is accepted at the top level of a configuration.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError


def option(default: Any = ..., *, help: str, flat: str | None = None, **constraints: Any) -> Any:
    """A field of an option model.

    Args:
        default: the value when the key is absent; leave out for a required key.
        help: what the option means, one sentence, with its unit.
        flat: the name under which the top level of a configuration accepts the same parameter.
        constraints: pydantic's own (``gt``, ``ge``, ``le``, ``min_length``, …).
    """
    extra = {"flat": flat} if flat else None
    return Field(default, description=help, json_schema_extra=extra, **constraints)  # type: ignore[arg-type]


def flat_name(field: FieldInfo) -> str | None:
    """The top-level name of an option, or None when it has only its nested one."""
    extra = field.json_schema_extra
    name = extra.get("flat") if isinstance(extra, dict) else None
    return name if isinstance(name, str) else None


class Options(BaseModel):
    """Base class of option models: unknown keys are refused and instances cannot be changed."""

    # Built when first used: a command pays only for the models that it validates.
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        allow_inf_nan=False,
        protected_namespaces=(),
        defer_build=True,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _numbers_are_not_booleans(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuses ``true`` where a number is meant: pydantic would read it as 1."""
        if isinstance(value, bool) and info.field_name:
            accepted = set(_plain_types(cls.model_fields[info.field_name].annotation))
            if accepted & {int, float} and bool not in accepted:
                raise PydanticCustomError("number_not_boolean", "expected a number, not a boolean")
        return value


class NoOptions(Options):
    """For plugins without options."""


def _plain_types(annotation: Any) -> Iterator[Any]:
    """The classes in an annotation's top-level union: ``int | None`` gives int and NoneType."""
    if get_origin(annotation) in (Union, types.UnionType):
        for argument in get_args(annotation):
            yield from _plain_types(argument)
    else:
        yield annotation
