"""The one exception that a user sees, and the problems that a configuration can have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


class AdaptError(Exception):
    """Something went wrong that the user can understand and act on.

    Args:
        message: what is wrong, and where.
        hint: what to do about it; empty when the message says it all.
    """

    exit_code = EXIT_FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UsageError(AdaptError):
    """The command line or an argument is wrong: nothing has been done yet."""

    exit_code = EXIT_USAGE


class Interrupted(AdaptError):
    """The run was stopped from outside, after its state had been saved."""

    exit_code = EXIT_INTERRUPTED


@dataclass(frozen=True)
class Problem:
    """One mistake in a configuration.

    Attributes:
        message: what is wrong, as a full sentence fragment ("unknown key").
        key: the dotted key as the user wrote it, "" for the file as a whole.
        file: the file (or "command line") that holds the mistake.
        line: 1-based, None where no line applies.
        column: 1-based, None where no column applies.
        suggestion: the key to write instead, or None.
    """

    message: str
    key: str = ""
    file: str | None = None
    line: int | None = None
    column: int | None = None
    suggestion: str | None = None

    def as_dict(self) -> dict[str, object]:
        """The form that ``adapt check --json`` prints."""
        keys = ("file", "line", "key", "message", "suggestion")
        return {key: getattr(self, key) for key in keys}

    def __str__(self) -> str:
        place = self.file or ""
        if self.line is not None:
            place += f":{self.line}"
        parts = [part for part in (place, self.key) if part]
        text = ": ".join([*parts, self.message])
        return f"{text}; did you mean {self.suggestion!r}?" if self.suggestion else text


class ConfigError(UsageError):
    """The configuration has problems; all of them are listed at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        count = len(problems)
        head = f"The configuration has {count} problem{'s' if count != 1 else ''}."
        super().__init__("\n".join([head, *(f"  {problem}" for problem in problems)]))
        self.problems = tuple(problems)

    def __reduce__(self) -> tuple[type[ConfigError], tuple[tuple[Problem, ...]]]:
        return (ConfigError, (self.problems,))
