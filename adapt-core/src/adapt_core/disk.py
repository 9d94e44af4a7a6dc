"""Whether the disk has room for what a run will write."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from adapt_core.errors import AdaptError
from adapt_core.units import bytes_text


def require_space(path: Path, needs: Sequence[tuple[str, int]]) -> None:
    """Raises AdaptError, with what needs how much, when the disk has less free space than all of it together.

    Args:
        path: where it will be written; need not exist yet.
        needs: what for and how many bytes, such as ``("5 checkpoints", 2_000_000)``.
    """
    place = path.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    total = sum(count for _, count in needs)
    if total <= free:
        return
    width = max(len(what) for what, _ in needs)
    lines = [f"  {what:<{width}}  {bytes_text(count):>9}" for what, count in needs]
    raise AdaptError(
        "\n".join([f"The disk is too full for {path}: {bytes_text(total)} needed, {bytes_text(free)} free.", *lines]),
        f"Free {bytes_text(total - free)}, keep fewer checkpoints (training.checkpoints), or choose an output_dir on "
        "another disk.",
    )
