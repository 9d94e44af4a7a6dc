"""What memory is free."""

from __future__ import annotations

from pathlib import Path

from adapt_core.utils.memory import free_memory


def test_a_container_s_limit_is_what_is_free(tmp_path: Path) -> None:
    machine = free_memory(tmp_path / "none")
    for limit, free in (("3000", 1000), ("1500", 0), (str(10 * machine), None), ("max", None)):
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        (tmp_path / "memory.current").write_text("2000\n")
        found = free_memory(tmp_path)
        assert found == free if free is not None else found > 3000
