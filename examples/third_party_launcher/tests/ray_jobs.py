"""What the tests have workers do."""

import os
import signal
import time

from transformers import TrainerCallback

from adapt_core.errors import AdaptError


def kill_one(_, world):
    """The second worker is killed while the first waits for it."""
    assert world.unused_parameters is True
    world.barrier()
    if world.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    world.barrier()
    time.sleep(60)


class FailInOne(TrainerCallback):
    """The second worker fails at its second step."""

    def on_step_end(self, args, state, control, **kwargs):
        if args.process_index == 1 and state.global_step == 2:
            raise AdaptError("The disk of worker 1 is full", "Empty it.")
