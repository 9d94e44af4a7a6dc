"""What runs in every worker. Ray Train calls it in a thread."""

import os
import sys
import time
from pathlib import Path

import torch.distributed as dist

from adapt_ray.world import RayWorld

PATIENCE = 10
"""Seconds for which a worker keeps an error of its connection: another one is gone, which Ray is to see first."""


def work(job):
    """Calls the function with the plan and the world; Ray Train gives what the main worker returns to the launcher."""
    del os.environ["http_proxy"]
    os.environ.update(job["environment"])
    world = RayWorld(Path(job["stop"]), job["unused"])
    for number, name in ((1, "out"), (2, "err")):
        file = os.open(Path(job["logs"], f"rank-{world.rank}.{name}"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, number)
    if world.is_main:
        print(f"Ray: {world.size} processes: {', '.join(world.devices)}", file=sys.stderr, flush=True)
    try:
        return job["function"](job["plan"], world)
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or "gloo" in str(error):
            time.sleep(PATIENCE)
        raise
