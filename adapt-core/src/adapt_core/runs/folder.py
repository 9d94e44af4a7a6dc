"""The folder of a run: where everything lies, who may write it, and which of its checkpoints are whole.

A run folder holds ``config.yaml``, ``environment.json``, ``data.json``, ``metrics.jsonl``, ``checkpoints/``,
``model/``, ``export/``, ``logs/``, ``report.html``, ``result.json`` and ``run.lock``, and nothing else at its top
level. That is why a folder can be replaced safely: one that holds anything else is never deleted.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import filelock
import yaml

from adapt_core.config.yaml_writer import to_yaml
from adapt_core.errors import UsageError
from adapt_core.runs.checkpoints import Checkpoints
from adapt_core.runs.resumption import harmful_changes
from adapt_core.utils.files import append_line, read_json, read_json_lines, to_json, write_text

HEADER = "# The configuration of this run as Adapt resolved it: every default is written out.\n"


class RunFolder:
    """The folder of one run.

    ``RunFolder(path)`` only names the places in it. :meth:`create` claims a folder for a run, :meth:`open` opens that
    of a finished one. As a context manager it gives the claim back at the end.

    Attributes:
        replaced: where an overwritten run lies until the new one has something to keep.
        removed: checkpoints that a run cannot go on from, and that resuming has deleted, with the reason.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.environment = self.path / "environment.json"
        self.data = self.path / "data.json"
        self.metrics = self.path / "metrics.jsonl"
        self.checkpoints = Checkpoints(self.path / "checkpoints")
        self.model = self.path / "model"
        self.export = self.path / "export"
        self.logs = self.path / "logs"
        self.report = self.path / "report.html"
        self.result = self.path / "result.json"
        self.lock_file = self.path / "run.lock"
        self.replaced = self.path / ".replaced"
        self.removed: dict[Path, str] = {}
        self._lock: filelock.BaseFileLock | None = None

    def __fspath__(self) -> str:
        return str(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    # ---- claiming -------------------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        path: str | Path,
        canonical: Mapping[str, Any],
        *,
        resume: bool,
        overwrite: bool,
        processes: int | None = None,
    ) -> RunFolder:
        """Claims a folder for a run, and writes its ``config.yaml``.

        The claim is a lock that the operating system gives back when the process ends, however it ends.

        Args:
            path: the folder; made, with its parents, when it is not there.
            canonical: the resolved configuration.
            resume: continue the unfinished run that the folder holds.
            overwrite: replace the run that the folder holds, which comes back if the new one fails at once.
            processes: how many will train; None where that is not known yet.

        Raises:
            UsageError: the folder holds something that this run must not touch, or another process is writing it, or
                there is nothing to resume, or the configuration to resume with would change the result. Nothing has
                been written then.
            AdaptError: every checkpoint to resume from is damaged; nothing has been deleted.
        """
        if resume and overwrite:
            raise UsageError("Resuming and overwriting exclude each other.", "Give only one of the two.")
        folder = cls(path)
        folder._require_ours(resume=resume, overwrite=overwrite)
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
            folder._claim()
        except OSError as error:
            message = f"The run folder {folder.path} cannot be written: {error}"
            raise UsageError(message, "Choose another output_dir.") from error
        try:
            # Again, now that nobody else can write: another run may have been there a moment ago.
            folder._require_ours(resume=resume, overwrite=overwrite)
            if resume:
                folder._require_same(canonical, processes)
                folder.removed = folder.checkpoints.remove_unusable()
                folder.rewrite_metrics(folder.read_metrics())  # drops a last line that a kill has cut short
            elif overwrite:
                folder._set_aside()
            write_text(folder.config, HEADER + to_yaml(canonical))
        except BaseException:  # whatever it was, the claim is given back; raised again below
            folder.release()
            raise
        return folder

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """The folder of a finished run. Raises UsageError, saying what is missing, when it is not one."""
        folder = cls(path)
        if not folder.config.is_file():
            reason = "it has no config.yaml" if folder.path.is_dir() else "no such folder"
            raise UsageError(f"There is no run in {folder.path}: {reason}.", "Give the output_dir of a run.")
        needed = (folder.config, folder.environment, folder.data, folder.result, folder.model)
        missing = [place.name for place in needed if not place.exists()]
        if not folder.finished:
            lacks = f"; it has no {', no '.join(missing)}" if missing else ""
            raise UsageError(
                f"The run in {folder.path} has not finished ({folder.status}){lacks}.",
                f"Continue it: adapt run {folder.path} --resume",
            )
        if read_json(folder.result).get("artifact", "") is None:
            raise UsageError(f"The run in {folder.path} only evaluated its base model, and saved none.")
        if missing:
            raise UsageError(f"The run in {folder.path} is damaged: it has no {', no '.join(missing)}.")
        return folder

    def release(self) -> None:
        """Gives the claim back, and deletes the run that this one replaced. Does nothing without a claim."""
        if self._lock is not None:
            shutil.rmtree(self.replaced, ignore_errors=True)
            self._lock.release()
            self._lock = None

    def abandon(self) -> None:
        """Clears the folder of a run that has failed before it had anything to lose: no step taken, nothing saved.

        Then the mended configuration can run in it at once, and a run that this one was to replace is back. A run
        that has trained keeps everything.
        """
        if not self.read_metrics() and not self.model.exists() and self.checkpoints.newest() is None:
            self._clear()
            if self.replaced.is_dir():
                for child in self.replaced.iterdir():
                    child.rename(self.path / child.name)
            self.release()
            # Only what nobody has claimed in the meantime: then the lock is held, or the folder not empty.
            with suppress(OSError), filelock.FileLock(self.lock_file, timeout=0):
                if self._contents() == []:
                    self.lock_file.unlink()
                    self.path.rmdir()

    # ---- reading and writing --------------------------------------------------------------------------------------

    @property
    def status(self) -> str:
        """What ``result.json`` says of the run; ``"unfinished"`` when there is none yet."""
        if not self.result.is_file():
            return "unfinished"
        return str(read_json(self.result).get("status", "unfinished"))

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return self.status == "completed"

    def read_config(self) -> dict[str, Any]:
        """The run's configuration, in canonical form."""
        value = yaml.safe_load(self.config.read_text(encoding="utf-8"))
        return value if isinstance(value, dict) else {}

    def append_metrics(self, values: Mapping[str, Any]) -> None:
        """Adds one line to ``metrics.jsonl``. Values that are no finite number are written as null."""
        append_line(self.metrics, to_json(values, indent=None))

    def read_metrics(self) -> list[dict[str, Any]]:
        """The lines of ``metrics.jsonl``, without a last one that a kill has cut short."""
        return read_json_lines(self.metrics)

    def rewrite_metrics(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Replaces ``metrics.jsonl``: a resumed run goes back to what its checkpoint knew."""
        write_text(self.metrics, "".join(to_json(line, indent=None) + "\n" for line in lines))

    # ---- what the folder holds ------------------------------------------------------------------------------------

    def _names(self) -> frozenset[str]:
        """The names of everything that a run makes at the top level of its folder."""
        before = (self.config, self.environment, self.data, self.metrics, self.checkpoints.path, self.logs)
        after = (self.model, self.export, self.report, self.result, self.lock_file)
        return frozenset(place.name for place in (*before, *after))

    def _contents(self) -> list[str]:
        """Names at the top level, without those that mean nothing.

        These are the lock, temporary files of a killed write, and the logs: torchrun opens its before a run begins, and
        those of a run that fails at once tell why.
        """
        if not self.path.is_dir():
            return []
        names = sorted(child.name for child in self.path.iterdir())
        ours = self._names()
        temporary = {f".{name}.tmp" for name in ours}
        nothing = {self.lock_file.name, self.replaced.name, self.logs.name, *temporary}
        return [name for name in names if name not in nothing]

    def _is_run(self) -> bool:
        """Whether Adapt made this. A copied configuration alone is not enough: something has to have run."""
        if not self.config.is_file():
            return False
        made = self.config.read_text(encoding="utf-8", errors="replace").startswith(HEADER)
        return made and any(place.exists() for place in (self.lock_file, self.environment, self.result))

    def _require_ours(self, *, resume: bool, overwrite: bool) -> None:
        """Raises UsageError unless a run may start here. Reads only."""
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"The run folder {self.path} is a file.", "Choose another output_dir.")
        contents = self._contents()
        if resume:
            if not self._is_run():
                message = f"There is nothing to resume in {self.path}: it holds no run."
                raise UsageError(message, "Start it without --resume.")
            if self.finished:
                raise UsageError(
                    f"There is nothing to resume in {self.path}: its run has finished.",
                    "Use it (adapt eval, adapt predict), choose another output_dir, or start anew with --overwrite.",
                )
        elif contents and not self._is_run():
            shown = ", ".join(contents[:5]) + (", …" if len(contents) > 5 else "")
            raise UsageError(
                f"The run folder {self.path} is not empty, and what it holds is not a run of Adapt: {shown}",
                "Choose another output_dir." + (" --overwrite replaces nothing but a run." if overwrite else ""),
            )
        elif contents and not overwrite:
            raise UsageError(
                f"The run folder {self.path} already holds a run ({self.status}).",
                "Choose another output_dir, continue that run with --resume, or replace it with --overwrite.",
            )
        elif foreign := [name for name in contents if name not in self._names()]:
            raise UsageError(
                f"The run folder {self.path} also holds what no run has made: {', '.join(foreign)}",
                "--overwrite would delete it: move it away, or choose another output_dir.",
            )

    def _require_same(self, canonical: Mapping[str, Any], processes: int | None) -> None:
        """Raises UsageError if the stored configuration and the new one differ in a key that changes the result."""
        world = read_json(self.environment).get("world") if self.environment.exists() else None
        before = world.get("processes") if isinstance(world, dict) else None
        harmful = harmful_changes(self.read_config(), canonical, (before, processes))
        if harmful:
            lines = [f"  {key}: {old!r} in the run, {new!r} now" for key, old, new in harmful]
            raise UsageError(
                "\n".join([f"The run in {self.path} cannot be resumed with another configuration:", *lines]),
                f"Resume with its own (adapt run {self.path} --resume), or choose another output_dir.",
            )

    def _claim(self) -> None:
        # Not thread-local: a run may be released by another thread than the one that claimed it.
        lock = filelock.FileLock(self.lock_file, thread_local=False)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout as error:
            message = f"Another process is writing the run in {self.path}."
            raise UsageError(message, "Wait for it to end, or choose another output_dir.") from error
        self._lock = lock

    def _ours(self) -> list[Path]:
        """What runs have made here, without lock and logs; the configuration last, by which a run is recognised."""
        names = sorted(self._names() - {self.lock_file.name, self.logs.name, self.config.name})
        places = [self.path / name for name in (*names, self.config.name)]
        places += [self.path / f".{place.name}.tmp" for place in places]
        return [place for place in places if place.exists() or place.is_symlink()]

    def _clear(self) -> None:
        for place in self._ours():
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place)
            else:
                place.unlink(missing_ok=True)

    def _set_aside(self) -> None:
        shutil.rmtree(self.replaced, ignore_errors=True)  # left by a killed process
        self.replaced.mkdir()
        for place in self._ours():
            place.rename(self.replaced / place.name)
