"""Kills processes of runs at random moments, resumes them, and compares what they come to; see distributed.py."""

from __future__ import annotations

import json
import random
import sys
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psutil
from safetensors.torch import load_file

MARKS = {"starting": "", "training": "step ", "saving": "Gathering the model", "checking": "Loading what was saved"}
"""The phases of a run, by what the main process prints at their beginning."""

PATIENCE = 600
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
            raise TimeoutError(f"{named[victim]} was killed, and {pids} did not end:\n{self.log.read_text()[-3000:]}")
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
        sys.exit(f"adapt run failed:\n{run.log.read_text()[-3000:]}")
    ends = [*list(begun.values())[1:], time.monotonic()]
    return {phase: end - begin for (phase, begin), end in zip(begun.items(), ends, strict=True)}


@dataclass
class Killed:
    """What became of one run.

    Attributes:
        hits: the phase and the process of each kill.
        slowest: the seconds after a kill until all its processes had ended, at most.
        same: whether it came to the weights of a run that nobody disturbed.
    """

    hits: list[str]
    slowest: float
    same: bool


def kill_often(
    config: Mapping[str, Any], folder: Path, number: int, *, a_run: int = 5, at_once: int = 2, seed: int = 0
) -> int:
    """Kills so many times, a few times in each run; prints each, and returns how many runs came to other weights.

    Args:
        config: of the runs, without ``output_dir``.
        folder: where they are kept.
        number: of kills.
        a_run: how often a run is killed before it may end.
        at_once: how many runs there are at a time.
        seed: of phases, moments and processes.
    """
    durations = whole_run(config, folder / "whole")
    print("undisturbed: " + ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in durations.items()), flush=True)
    expected = load_file(folder / "whole" / "model" / "model.safetensors")
    done: list[Killed] = []
    numbers = count(1)

    def lane(_: int) -> None:
        while sum(len(each.hits) for each in done) < number:
            index = next(numbers)
            draw = random.Random(1000 * seed + index)
            done.append(killed_run(config, folder / f"run-{index}", durations, expected, draw, a_run))

    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(lane, range(at_once)))
    for hit, times in sorted(Counter(hit for each in done for hit in each.hits).items()):
        print(f"{hit}: {times}")
    kills = sum(len(each.hits) for each in done)
    survived = sum(len(each.hits) for each in done if each.same)
    slowest = max(each.slowest for each in done)
    print(f"{survived} of {kills} kills in {len(done)} runs left the same weights; all ended within {slowest:.1f} s")
    return int(survived < kills)


def killed_run(
    config: Mapping[str, Any],
    place: Path,
    durations: Mapping[str, float],
    expected: Mapping[str, Any],
    draw: random.Random,
    times: int,
) -> Killed:
    """Kills a run so many times, and lets it end then."""
    hits: list[str] = []
    slowest = 0.0
    while len(hits) < times and not (place / "result.json").exists():
        phase = draw.choice(list(MARKS))
        moment = draw.uniform(0, durations[phase])
        run = Run(config, place)
        if run.reaches(phase):
            time.sleep(moment)
        killed = run.kill_one(draw)
        if killed is None:
            break  # it was over before
        name, seconds = killed
        slowest = max(slowest, seconds)
        hits.append(f"{phase}, {name}")
        print(f"{place.name}: {moment:.1f} s into {phase}, {name}: all ended {seconds:.1f} s later", flush=True)
    if not (place / "result.json").exists():
        Run(config, place).process.wait()
    same = _same(place / "model" / "model.safetensors", expected)
    print(f"{place.name}, killed {len(hits)} times: {'the same' if same else 'OTHER'} weights", flush=True)
    if not same:
        print(place.with_suffix(".log").read_text(), flush=True)
    return Killed(hits, slowest, same)


def _same(file: Path, expected: Mapping[str, Any]) -> bool:
    if not file.exists() or not (file.parents[1] / "result.json").exists():
        return False
    found = load_file(file)
    return found.keys() == expected.keys() and all(
        bool((found[name] == value).all()) for name, value in expected.items()
    )
