"""The one exception that a user sees, and the problems that a configuration can have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

CODES: Mapping[str, str] = {
    "no-such-file": "A file or folder that is named is not there.",
    "unreadable-file": "The file cannot be read, or holds no text.",
    "empty-file": "The file holds nothing.",
    "invalid-syntax": "The file is not one mapping in YAML or JSON, or holds what these cannot.",
    "invalid-override": "An override is not of the form key=value.",
    "given-twice": "A key, or one parameter under two names, is given twice.",
    "unknown-key": "No section, option or plugin has this key.",
    "misplaced-key": "The key belongs to another section, or to the top level.",
    "key-of-another-plugin": "The key belongs to a plugin that is not chosen here, or not installed.",
    "missing": "Something that is required is not given.",
    "wrong-type": "The value is of another type than the option.",
    "out-of-range": "The value is too small, too large, too short or too long.",
    "not-a-choice": "The value is none of the words that the option takes.",
    "invalid-value": "The value, or several together, cannot be what they are.",
    "no-such-plugin": "Nothing that is installed has this name.",
    "plugin-not-installed": "The plugin is one of Adapt's, in a package that is not installed.",
    "package-missing": "A package that the plugin needs is not installed.",
    "plugin-broken": "The plugin is installed and cannot be used.",
    "plugin-ambiguous": "More than one plugin answers to this name.",
    "expert-method": "The method needs more than a configuration gives.",
    "impossible-combination": "Things that are each right cannot work together.",
}
"""The codes of problems, with what they mean. They stay the same when the words of a message change."""


class AdaptError(Exception):
    """Something went wrong that the user can understand and act on.

    Args:
        message: what is wrong, and where.
        hint: what to do about it; empty when the message says it all.
        code: one of :data:`CODES` where it becomes a :class:`Problem` of a configuration.
    """

    exit_code = EXIT_FAILED

    def __init__(self, message: str, hint: str = "", code: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint
        self.code = code

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
        code: what kind of mistake it is, one of :data:`CODES`.
        message: what is wrong, as a part of a sentence ("unknown key").
        key: the dotted key as the user wrote it, "" for the file as a whole.
        file: the file (or "command line") that holds the mistake.
        line: 1-based, None where no line applies.
        column: 1-based, None where no column applies.
        suggestion: the key to write instead, or None.
    """

    code: str
    message: str
    key: str = ""
    file: str | None = None
    line: int | None = None
    column: int | None = None
    suggestion: str | None = None

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"{self.code!r} is none of the codes of problems: {', '.join(CODES)}")

    def as_dict(self) -> dict[str, object]:
        """The form that ``adapt check --json`` prints."""
        keys = ("file", "line", "key", "code", "message", "suggestion")
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
