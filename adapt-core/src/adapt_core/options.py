"""The base of every option model, the core's and the plugins' alike.

An option model is a pydantic model whose fields are made with :func:`option`, which also records the flat
name under which the same parameter is accepted at the top level of a configuration.
"""

from __future__ import annotations

import os
import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic.fields import FieldInfo

LIBRARY_NAME = "library_name"
"""The key of a field's metadata that holds its name in the library behind a plugin."""


LocalPath = bool | Literal["new"]
"""Whether text names a local file or folder; ``"new"``: one that need not be there."""


def option(
    default: Any = ...,
    *,
    help: str,
    flat: str | tuple[str, ...] | None = None,
    library_name: str | None = None,
    path: LocalPath = False,
    **constraints: Any,
) -> Any:
    """A field of an option model.

    Args:
        default: the value when the key is absent; leave out for a required key.
        help: what the option means, one sentence, with its unit.
        flat: the name, or names, under which the top level of a configuration accepts the same parameter.
        library_name: its name in the library behind a plugin, where that is another. A key of that name is refused with
            an error that gives the one here.
        path: whether text in it names a local file or folder. A leading ``~`` is the home folder then. In the sections
            ``model`` and ``dataset`` the file must be there when a run starts, unless this is ``"new"``, and is found
            from any folder later.
        constraints: pydantic's own (``gt``, ``ge``, ``le``, ``min_length``, …).

    Raises:
        TypeError: pydantic has no such constraint.
    """
    # By itself pydantic takes any other name for a part of the JSON Schema.
    if unknown := constraints.keys() - (Field.__kwdefaults__ or {}).keys():
        raise TypeError(f"option() got {', '.join(sorted(unknown))}, which pydantic's Field does not have")
    given: dict[str, Any] = {"flat": flat, LIBRARY_NAME: library_name, "path": path}
    extra = {name: value for name, value in given.items() if value}
    return Field(default, description=help, json_schema_extra=extra or None, **constraints)


def is_none(value: Any) -> bool:
    """Whether a value is none, or the word that Python writes for it."""
    return value is None or (isinstance(value, str) and value.strip().lower() == "none")


def flat_names(field: FieldInfo) -> tuple[str, ...]:
    """The top-level names of an option; none where it has only its nested one."""
    extra = field.json_schema_extra
    names = extra.get("flat") if isinstance(extra, dict) else None
    return (names,) if isinstance(names, str) else tuple(map(str, names or ()))  # type: ignore[arg-type]


def flat_name(field: FieldInfo) -> str | None:
    """The first of an option's top-level names, or None when it has only its nested one."""
    return next(iter(flat_names(field)), None)


def library_names(model: type[Options]) -> dict[str, str]:
    """The names of options in the library behind a plugin, of those that have another name there."""
    extras = {name: field.json_schema_extra for name, field in model.model_fields.items()}
    found = {name: extra.get(LIBRARY_NAME) for name, extra in extras.items() if isinstance(extra, dict)}
    return {name: str(other) for name, other in found.items() if other}


def is_path(field: FieldInfo | None) -> bool:
    """Whether text in an option names a local file or folder."""
    extra = field.json_schema_extra if field else None
    return isinstance(extra, dict) and bool(extra.get("path"))


def must_be_there(field: FieldInfo | None) -> bool:
    """Whether text in an option names a local file or folder that a run does not make itself."""
    extra = field.json_schema_extra if field else None
    return isinstance(extra, dict) and extra.get("path") is True


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

    @model_validator(mode="before")
    @classmethod
    def _numbers_are_not_booleans(cls, values: Any) -> Any:
        """Has ``true`` refused where a number is meant: pydantic would read it as 1."""
        if not isinstance(values, dict):
            return values
        booleans = [key for key, value in values.items() if isinstance(value, bool) and _takes_numbers(cls, key)]
        return values | {key: _Boolean(values[key]) for key in booleans}

    @field_validator("*", mode="after")
    @classmethod
    def _home_folder(cls, value: Any, info: ValidationInfo) -> Any:
        """``~`` in a path is the home folder, as a shell has it."""
        if isinstance(value, str) and info.field_name and is_path(cls.model_fields.get(info.field_name)):
            return os.path.expanduser(value)  # noqa: PTH111  # Path.expanduser() raises where there is no home.
        return value


class NoOptions(Options):
    """For plugins without options."""


class _Boolean:
    """A boolean where a number is meant. No number itself, so that the field refuses it, in its place."""

    def __init__(self, value: bool) -> None:
        self.value = value

    def __repr__(self) -> str:
        return str(self.value).lower()


def _takes_numbers(model: type[Options], key: Any) -> bool:
    """Whether a field takes numbers and no booleans."""
    field = model.model_fields.get(key) if isinstance(key, str) else None
    accepted = set(_plain_types(field.annotation)) if field else set()
    return bool(accepted & {int, float}) and bool not in accepted


def _plain_types(annotation: Any) -> Iterator[Any]:
    """The classes in an annotation's top-level union: ``int | None`` gives int and NoneType."""
    if get_origin(annotation) in (Union, types.UnionType):
        for argument in get_args(annotation):
            yield from _plain_types(argument)
    else:
        yield annotation
