"""Keeps what every process prints in the run folder, and shows what the main one prints."""

from __future__ import annotations

from pathlib import Path

from torch.distributed.elastic.multiprocessing import LogsSpecs
from torch.distributed.elastic.multiprocessing.api import LogsDest


class RunLogs(LogsSpecs):
    """Files ``N/rank-R.out`` and ``N/rank-R.err``, N counting the starts of the run, R the process.

    Args:
        folder: the run's ``logs/``; made when the processes start.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder))
        self.folder = folder

    @property
    def root_log_dir(self) -> str:
        """As torchrun asks for it."""
        return str(self.folder)

    @property
    def newest(self) -> Path:
        """The folder of the last start."""
        return self.folder / str(self._starts())

    def reify(self, envs: dict[int, dict[str, str]]) -> LogsDest:
        """The files of the processes of one start, by their number on this machine."""
        place = self.folder / str(self._starts() + 1)
        place.mkdir(parents=True)
        found = LogsDest()
        for local_rank, variables in envs.items():
            rank = variables["RANK"]
            found.stdouts[local_rank] = str(place / f"rank-{rank}.out")
            found.stderrs[local_rank] = str(place / f"rank-{rank}.err")
            found.error_files[local_rank] = str(place / f"rank-{rank}.error.json")
            variables["TORCHELASTIC_ERROR_FILE"] = found.error_files[local_rank]
            if rank == "0":
                found.tee_stdouts[local_rank] = found.stdouts[local_rank]
                found.tee_stderrs[local_rank] = found.stderrs[local_rank]
        return found

    def _starts(self) -> int:
        if not self.folder.is_dir():
            return 0
        return max((int(each.name) for each in self.folder.iterdir() if each.name.isdigit()), default=0)
