"""What the tests have processes do. A module of its own, since they import it: it must be light."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from adapt_core.errors import AdaptError
from adapt_core.interfaces import World


def fail_in_one(plan: Any, world: World) -> None:
    """The second process fails while the first waits for it."""
    if world.rank == 1:
        raise AdaptError("the row is wrong", "mend it")
    world.barrier()
    world.barrier()


def fail_unexpectedly_in_one(plan: Any, world: World) -> None:
    """The same with an error of Python's."""
    if world.rank == 1:
        raise KeyError("no such key")
    world.barrier()
    world.barrier()


def die_in_one(plan: Any, world: World) -> None:
    """The second process is killed while the first waits for it."""
    world.barrier()
    if world.rank == 1:
        Path(plan).write_text(str(time.time()))
        os.kill(os.getpid(), signal.SIGKILL)
    world.barrier()
    time.sleep(60)


def die_once(plan: Any, world: World) -> Any:
    """The second process is killed, unless it was started anew."""
    world.barrier()
    if world.rank == 1 and world.attempt == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return [world.attempt, *world.gather(world.rank)]
