"""What a launcher promises, as tests to inherit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from adapt_core.config.validate import validate_options
from adapt_core.errors import AdaptError
from adapt_core.interfaces import Launcher, World
from adapt_core.kinds import Kind
from adapt_core.plugins.registry import Registry


def introduce(plan: Any, world: World) -> dict[str, Any]:
    """What a process knows of itself and of the others."""
    world.barrier()
    return {"plan": plan, "main": world.is_main, "rank": world.rank, "ranks": world.gather(world.rank)}


def fail(plan: Any, _: World) -> None:
    """An error in every process."""
    raise AdaptError(f"the reason: {plan}", "what to do")


class LauncherContract:
    """Subclass it and name the launcher.

    Attributes:
        launcher: the plugin's name.
        options: its options, as in a configuration.
        size: how many processes it starts with them.
    """

    launcher: ClassVar[str]
    options: ClassVar[Mapping[str, Any]] = {}
    size: ClassVar[int] = 1

    def test_it_returns_what_the_main_process_does(self) -> None:
        """Every process got the plan and knows the others."""
        found: Any = self._launcher().launch(introduce, "the plan")  # type: ignore[arg-type]
        assert found == {"plan": "the plan", "main": True, "rank": 0, "ranks": list(range(self.size))}

    def test_an_error_reaches_the_caller_with_its_reason_and_hint(self) -> None:
        """As it was raised."""
        with pytest.raises(AdaptError) as raised:
            self._launcher().launch(fail, "no such thing")  # type: ignore[arg-type]
        assert (raised.value.message, raised.value.hint) == ("the reason: no such thing", "what to do")

    def _launcher(self) -> Launcher:
        registry = Registry.load()
        entry = registry.get(Kind.LAUNCHER, self.launcher)
        options = validate_options(registry.options(entry.spec), dict(self.options), f"launcher {self.launcher}")
        launcher: Launcher = registry.load_target(entry)(options)
        return launcher
