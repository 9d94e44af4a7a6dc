"""What a run was made with: versions, device and the state of the code around it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from email.parser import HeaderParser
from importlib import metadata
from pathlib import Path
from typing import Any

import adapt_core


def describe_environment() -> dict[str, Any]:
    """The content of ``environment.json``. It holds no name of a user or a machine, no path and no address.

    Keys: ``time`` (UTC, ISO 8601), ``adapt_core``, ``python`` and ``platform``, ``packages`` (the version of every
    installed distribution by name), ``device`` and ``git`` (of the current folder: ``commit`` and ``dirty``, whether
    a tracked file differs from it; None where there is no commit). A run adds the fingerprint of its base model.
    """
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "adapt_core": adapt_core.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": installed_packages(),
        "device": describe_device(),
        "git": git_state(),
    }


def installed_packages() -> dict[str, str]:
    """Version by name of every installed distribution, in alphabetical order; of two, that which Python finds first."""
    found: dict[str, str] = {}
    for item in metadata.distributions():
        text = item.read_text("METADATA") or item.read_text("PKG-INFO") or ""
        head = HeaderParser().parsestr(text.partition("\n\n")[0])  # whole descriptions would take ten times as long
        if head["Name"]:
            found.setdefault(head["Name"], head["Version"])
    return dict(sorted(found.items(), key=lambda pair: pair[0].lower()))


def describe_device() -> dict[str, Any]:
    """What torch computes on: ``type``, ``name``, ``count``, ``memory_bytes`` of each, and the CPU's ``threads``."""
    import torch

    threads = torch.get_num_threads()
    if torch.cuda.is_available():
        first = torch.cuda.get_device_properties(0)
        return {
            "type": "cuda",
            "name": first.name,
            "count": torch.cuda.device_count(),
            "memory_bytes": first.total_memory,
            "cuda": torch.version.cuda,
            "threads": threads,
        }
    kind = "mps" if torch.backends.mps.is_available() else "cpu"
    memory = _memory_bytes()
    return {"type": kind, "name": _cpu_name(), "count": os.cpu_count(), "memory_bytes": memory, "threads": threads}


def peak_memory_bytes() -> int:
    """The most memory that this process has had: on its GPU where it uses one, in main memory otherwise."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return int(torch.cuda.max_memory_allocated())
    status = Path("/proc/self/status")
    if status.is_file():
        # Not getrusage: its peak is at least that of the process that started this one.
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        return int(fields["VmHWM"].split()[0]) * 1024
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def git_state() -> dict[str, Any] | None:
    """Commit of the current folder's repository, and whether a tracked file differs from it; None without one."""
    commit = _git("rev-parse", "--verify", "HEAD")
    changes = _git("status", "--porcelain", "--untracked-files=no")
    if commit is None or changes is None:
        return None
    return {"commit": commit, "dirty": bool(changes)}


def _git(*arguments: str) -> str | None:
    """What git prints; None when there is no git, no repository, or one that git does not trust."""
    try:
        # Without optional locks, so that looking never gets in the way of a git command that runs meanwhile.
        done = subprocess.run(
            ["git", "--no-optional-locks", *arguments], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _memory_bytes() -> int | None:
    """Main memory; None where the operating system does not say it this way."""
    if not hasattr(os, "sysconf"):
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
