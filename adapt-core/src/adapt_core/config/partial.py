"""What can still be said of a section in which something is wrong: what its other options must be together."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cache
from types import new_class
from typing import Any, cast

from pydantic import ValidationError

from adapt_core.options import Options


class Undecided(Exception):
    """An option was read whose value is wrong, or not known. No AttributeError: ``getattr`` has no default for it."""


def without(options: Options, undecided: Collection[str]) -> Options:
    """Options of which some are undecided: reading one of these raises :class:`Undecided`."""
    left = _alone(type(options)).model_construct(_fields_set=set(options.model_fields_set), **dict(options))
    return _forgetting(left, undecided)


def partial(model: type[Options], given: Mapping[str, Any], undecided: Collection[str]) -> Options | None:
    """The options that a section gives, without those that are undecided, not yet held against one another.

    Args:
        model: of the section.
        given: its keys, of which unknown ones are left out.
        undecided: the options whose value is wrong, or not known.

    Returns:
        None where nothing can be said: an option that is required is undecided.
    """
    values = {key: value for key, value in given.items() if key in model.model_fields and key not in undecided}
    try:
        options = _alone(model).model_validate(values)
    # Broad: validators are a plugin's own code, and the fault has been reported where the whole section was validated.
    except Exception:  # noqa: BLE001
        return None
    return _forgetting(options, undecided)


def _forgetting(options: Options, undecided: Collection[str]) -> Options:
    for name in undecided:
        options.__dict__.pop(name, None)  # they are frozen against all else
    return options


def faults(model: type[Options], options: Options) -> Iterator[str]:
    """What is wrong with options together, as far as it depends on none that is undecided.

    Each of the model's rules is tried by itself: validation ends with the first that fails.
    """
    for rule in _rules(model):
        try:
            getattr(model, rule)(options)
        except ValidationError:
            continue  # of another model, made inside: no rule of this one
        except (ValueError, AssertionError) as error:
            yield str(error)
        # Broad: it reads an option that is undecided, or fails at what it makes of it.
        except Exception:  # noqa: BLE001
            continue


def _rules(model: type[Options]) -> list[str]:
    """The names of the validators that see all options of a model together."""
    return [name for name, one in model.__pydantic_decorators__.model_validators.items() if one.info.mode == "after"]


@cache
def _alone(model: type[Options]) -> type[Options]:
    """The same model without these validators, in the place of each of which one stands that holds of all options."""

    def undecided(self: Options, name: str) -> Any:
        if name in model.model_fields:
            raise Undecided(name)
        return super(one, self).__getattr__(name)  # type: ignore[misc]

    names = {
        "__module__": model.__module__,
        "__getattr__": undecided,
        **dict.fromkeys(_rules(model), lambda self: self),
    }
    one = cast(type[Options], new_class(model.__name__, (model,), exec_body=lambda body: body.update(names)))
    return one
