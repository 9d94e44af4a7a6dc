"""How long AdaLoRA's three phases are: all ranks there, ranks taken away, ranks settled."""

from __future__ import annotations

from dataclasses import dataclass

from adapt_core.errors import AdaptError

FIRST_SHARE = 0.15
"""Of the run, in which no rank is taken away: importances mean nothing before the updates have learnt something."""

LAST_SHARE = 0.45
"""Of the run, in which the ranks that are left are trained."""


@dataclass(frozen=True)
class Phases:
    """The steps of each phase, one after the other.

    Attributes:
        first: all ranks are there (PEFT's ``tinit``).
        falling: ranks are taken away.
        last: the ranks stay as they are (PEFT's ``tfinal``).
    """

    first: int
    falling: int
    last: int

    @property
    def total(self) -> int:
        """The steps of the run."""
        return self.first + self.falling + self.last


def phases_of(tinit: int | None, tfinal: int | None, total_steps: int) -> Phases:
    """The phases of a run.

    Args:
        tinit: steps of the first; None for its share of the steps that the other, where it is given, leaves.
        tfinal: steps of the last, likewise.
        total_steps: of the run.

    Raises:
        AdaptError: what is given leaves no step for taking ranks away.
    """
    free = total_steps - (tinit or 0) - (tfinal or 0)
    if free <= 0:
        asked = {"tinit": tinit, "tfinal": tfinal}
        given = [f"method.{name} ({steps})" for name, steps in asked.items() if steps]
        raise AdaptError(
            f"{' and '.join(given)} {'leave' if len(given) > 1 else 'leaves'} none of the {total_steps} "
            "steps of training for taking ranks away",
            "Lower what is given, or train longer.",
        )
    first = int(FIRST_SHARE * free) if tinit is None else tinit
    last = int(LAST_SHARE * free) if tfinal is None else tfinal
    return Phases(first, total_steps - first - last, last)
