"""What runs in every worker. Ray Train calls it in a thread."""

import os
import sys
from pathlib import Path

from adapt_ray.world import RayWorld


def work(job):
    """Calls the function with the plan and the world; Ray Train gives what the main worker returns to the launcher."""
    del os.environ["http_proxy"]
    os.environ.update(job["environment"])
    world = RayWorld(Path(job["stop"]))
    for number, name in ((1, "out"), (2, "err")):
        file = os.open(Path(job["logs"], f"rank-{world.rank}.{name}"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, number)
    if world.is_main:
        print(f"Ray: {world.size} processes: {', '.join(world.devices)}", file=sys.stderr, flush=True)
    return job["function"](job["plan"], world)
