"""Kills processes of runs at random moments, resumes them, and compares what they come to; see distributed.py."""

from __future__ import annotations

import json
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
from safetensors.torch import load_file

MARKS = {"starting": "", "training": "step ", "saving": "Gathering the model", "checking": "Loading what was saved"}
"""The phases of a run, by what the main process prints at their beginning."""

PATIENCE = 60
"""Seconds after a kill until which all processes of a run must have ended."""


class Run:
    """``adapt run FILE``, watched by the log of its main process."""

    def __init__(self, config: Mapping[str, Any], folder: Path) -> None:
        self.folder = folder
        has_begun = (folder / "config.yaml").exists()
        self._before = set(folder.glob("logs/*/rank-0.err"))
        file = folder.with_suffix(".json")
        file.write_text(json.dumps({**config, "output_dir": str(folder)}))
        command = [sys.executable, "-m", "adapt_core.cli", "run", str(file), *(["--resume"] if has_begun else [])]
        self.log = folder.with_suffix(".log")
        with self.log.open("a") as log:
            self.process = psutil.Popen(command, stdout=log, stderr=log, start_new_session=True)
        self.begin = time.monotonic()

    @property
    def ended(self) -> bool:
        """Whether the command has returned."""
        return self.process.poll() is not None

    def reaches(self, phase: str) -> bool:
        """Waits for the beginning of a phase; whether it came."""
        while not self.ended:
            printed = "".join(path.read_text() for path in {*self.folder.glob("logs/*/rank-0.err")} - self._before)
            if MARKS[phase] in printed:
                return True
            time.sleep(0.02)
        return False

    def kill_one(self, draw: random.Random) -> tuple[str, float] | None:
        """Kills one of its processes; says which, and after how many seconds all had ended. None where it has ended.

        Raises:
            TimeoutError: some did not end.
        """
        try:
            named = {each: _name(each) for each in [self.process, *self.process.children(recursive=True)]}
            victim = draw.choice([each for each, name in named.items() if name])
            victim.kill()
        except psutil.NoSuchProcess:
            return None
        begin = time.monotonic()
        # The process that loads what was saved only reads, and ends by itself.
        _, left = psutil.wait_procs([each for each, name in named.items() if name != "the check"], timeout=PATIENCE)
        if left:
            pids = [each.pid for each in left]
            raise TimeoutError(f"{named[victim]} was killed, and {pids} did not end; see {self.log}")
        return named[victim], time.monotonic() - begin


def _name(process: psutil.Process) -> str:
    """Which part of a run a process is; nothing for Python's own helper, whose end a run does not notice."""
    words = " ".join(process.cmdline())
    if "resource_tracker" in words:
        return ""
    if "pipeline.verify" in words:
        return "the check"
    return "adapt run" if "adapt_core.cli" in words else "a worker"


def whole_run(config: Mapping[str, Any], folder: Path) -> dict[str, float]:
    """A run that nobody disturbs; gives the seconds that its phases take."""
    run = Run(config, folder)
    begun = {phase: time.monotonic() for phase in MARKS if run.reaches(phase)}
    if run.process.wait():
        sys.exit(f"adapt run failed: see {run.log}")
    ends = [*list(begun.values())[1:], time.monotonic()]
    return {phase: end - begin for (phase, begin), end in zip(begun.items(), ends, strict=True)}


def kill_often(config: Mapping[str, Any], folder: Path, number: int, a_run: int, seed: int) -> int:
    """Kills so many times, a few times in each run; prints each, and returns how many runs came to other weights.

    Args:
        config: of the runs, without ``output_dir``.
        folder: where they are kept; those that come to the same weights are removed.
        number: of kills.
        a_run: how often a run is killed before it may end.
        seed: of phases, moments and processes.
    """
    durations = whole_run(config, folder / "whole")
    print("undisturbed: " + ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in durations.items()), flush=True)
    expected = load_file(folder / "whole" / "model" / "model.safetensors")
    draw, kills, lost, runs = random.Random(seed), 0, 0, 0
    hit: Counter[str] = Counter()
    slowest = 0.0
    while kills < number:
        runs += 1
        place = folder / f"run-{runs}"
        in_this = 0
        while in_this < a_run and kills + in_this < number and not (place / "result.json").exists():
            phase = draw.choice(list(MARKS))
            moment = draw.uniform(0, durations[phase])
            run = Run(config, place)
            if run.reaches(phase):
                time.sleep(moment)
            if (killed := run.kill_one(draw)) is None:
                break  # it was over before
            name, seconds = killed
            run.process.wait()
            in_this += 1
            slowest = max(slowest, seconds)
            hit[f"{phase}: {name}"] += 1
            print(
                f"{kills + in_this}: {phase}, {moment:.1f} s into it, {name}: all ended {seconds:.1f} s later",
                flush=True,
            )
        if not (place / "result.json").exists():
            Run(config, place).process.wait()
        kills += in_this
        same = _same(place / "model" / "model.safetensors", expected)
        print(f"run {runs}, killed {in_this} times: {'the same' if same else 'OTHER'} weights", flush=True)
        if same:
            shutil.rmtree(place)
        else:
            lost += in_this
            print(f"  kept in {place}", flush=True)
    for place_of_hit, count in sorted(hit.items()):
        print(f"{place_of_hit}: {count}")
    print(f"{kills - lost} of {kills} kills in {runs} runs left the same weights; all ended within {slowest:.1f} s")
    return int(lost > 0)


def _same(file: Path, expected: Mapping[str, Any]) -> bool:
    if not file.exists() or not (file.parents[1] / "result.json").exists():
        return False
    found = load_file(file)
    return found.keys() == expected.keys() and all(
        bool((found[name] == value).all()) for name, value in expected.items()
    )
