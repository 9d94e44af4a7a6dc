"""Memory of this machine."""

from __future__ import annotations

from pathlib import Path


def free_memory(group: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes of memory that are free for this process: on the machine, and within its container's limit."""
    import psutil

    free = int(psutil.virtual_memory().available)
    try:
        limit, used = ((group / f"memory.{name}").read_text().strip() for name in ("max", "current"))
    except OSError:  # no control group of version 2
        return free
    return free if limit == "max" else min(free, max(0, int(limit) - int(used)))
