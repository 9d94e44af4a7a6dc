"""One of several processes claims the run's folder for all; every one hears where that fails."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml
from fake_plans import BASE, plan_of
from run_folders import finished_run

from adapt_core.errors import UsageError
from adapt_core.interfaces import World
from adapt_core.runs import claiming
from adapt_core.runs.folder import RunFolder

T = TypeVar("T")


class Twin(World):
    """One of two processes, each a thread here."""

    size = 2

    def __init__(self, rank: int, meeting: threading.Barrier, said: list[Any]) -> None:
        self.rank, self.meeting, self.said = rank, meeting, said

    def gather(self, value: T) -> list[T]:
        self.said[self.rank] = value
        self.meeting.wait(timeout=20)
        return list(self.said)


def claimed_by_two(folders: Sequence[Path]) -> list[RunFolder | UsageError]:
    """What each process gets, with the run's folder as it sees it."""
    meeting, said = threading.Barrier(2), [None, None]
    plans = [plan_of({**yaml.safe_load(BASE), "output_dir": str(folder)}) for folder in folders]

    def claim(rank: int) -> RunFolder | UsageError:
        try:
            return claiming.claimed(plans[rank], Twin(rank, meeting, said), processes=2, overwrite=False)
        except UsageError as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(claim, range(2)))


def test_the_main_process_claims_a_folder_and_the_other_finds_it(tmp_path: Path) -> None:
    main, other = claimed_by_two([tmp_path / "run"] * 2)
    assert isinstance(main, RunFolder) and isinstance(other, RunFolder)
    assert other.path == main.path
    with pytest.raises(UsageError, match="Another process is writing"):
        claiming.claimed(
            plan_of({**yaml.safe_load(BASE), "output_dir": str(main.path)}), None, processes=1, overwrite=True
        )
    main.release()


def test_a_folder_that_the_main_process_cannot_claim_is_refused_in_every_process(tmp_path: Path) -> None:
    finished_run(tmp_path / "run")
    main, other = claimed_by_two([tmp_path / "run"] * 2)
    assert isinstance(main, UsageError) and isinstance(other, UsageError)
    assert (other.message, other.hint) == (main.message, main.hint)
    assert str(tmp_path / "run") in main.message


def test_a_folder_that_another_machine_does_not_see_is_no_shared_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claiming, "SEEN_WITHIN", 0.3)
    main, other = claimed_by_two([tmp_path / "here", tmp_path / "there"])
    assert isinstance(main, RunFolder) and isinstance(other, UsageError)
    assert f"The run folder {tmp_path / 'there'} is not there for process 1" in other.message
    assert "a file system that all machines share" in (other.hint or "")
    main.release()
