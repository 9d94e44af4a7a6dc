"""How long the command line takes to start, against the libraries that it is made of.

    python benchmarks/start_up.py [--runs 21]

Runs ``adapt --help``, ``adapt plugins`` and ``adapt check FILE`` in turn with an interpreter that only imports click,
pluggy, PyYAML, pydantic and rich, and compares the medians. Exits with 1 where a command takes more than twice that.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT = 2.0
LIBRARIES = "import click, pluggy, yaml, pydantic, rich"
SCRIPT = str(Path(sys.executable).parent / "adapt")

CONFIG = """\
task: text_classification
model:
  path: model
dataset:
  path: data.csv
method:
  name: lora
  r: 16
training:
  epochs: 3
  lr: 5e-4
  batch_size: 32
"""


def measure(commands: dict[str, list[str]], runs: int, folder: str) -> dict[str, float]:
    """The median wall time of each command in seconds.

    One round of them all comes first, which fills the disk cache and compiles, as after any installation.
    """
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(Path(folder, "compiled"))
    times: dict[str, list[float]] = {name: [] for name in commands}
    for round_number in range(runs + 1):
        for name, command in commands.items():
            begin = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder, env=environment)
            if round_number:
                times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=21, help="measured runs of each command")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "model").mkdir()
        Path(folder, "data.csv").write_text("text,label\ngood,1\nbad,0\n", encoding="utf-8")
        Path(folder, "run.yaml").write_text(CONFIG, encoding="utf-8")
        commands = {
            "imports": [sys.executable, "-c", LIBRARIES],
            "adapt --help": [SCRIPT, "--help"],
            "adapt plugins": [SCRIPT, "plugins"],
            "adapt check": [SCRIPT, "check", "run.yaml"],
        }
        medians = measure(commands, runs, folder)
    base = medians["imports"]
    print(f"median of {runs} runs; python -c {LIBRARIES!r}: {base:.3f} s")
    print(f"{'command':14}  {'seconds':>7}  {'ratio':>5}")
    slow = False
    for name, seconds in medians.items():
        if name != "imports":
            slow |= seconds > LIMIT * base
            print(f"{name:14}  {seconds:7.3f}  {seconds / base:5.2f}")
    print(f"limit: {LIMIT:.2f}, {'exceeded' if slow else 'kept'}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
