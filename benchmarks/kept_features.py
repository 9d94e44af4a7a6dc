"""What a further epoch costs where only the head is trained, with ``training.cache_features`` and without.

    python benchmarks/kept_features.py [texts] [images]

Texts are rotten_tomatoes with MiniLM without dropout, images clothing_small with EfficientNet-Lite0 at 64 pixels and
without augmentation. Each is trained for three epochs either way; a further epoch is the faster of the two after the
first. Exits with 1 where it is less than five times as fast, or where the saved weights of the two ways differ by more
than rounding.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

from common import DATA, SEED, SELDOM, last_object, minilm, test_as_validation, train_and_test

HERE = Path(__file__).parent
EPOCHS = 3
FASTER, DIFFERENCE = 5.0, 1e-4


def texts(scratch: Path) -> dict[str, Any]:
    """The configuration for texts."""
    model = scratch / "minilm"
    shutil.copytree(minilm(), model)
    settings = json.loads((model / "config.json").read_text())
    settings |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (model / "config.json").write_text(json.dumps(settings))
    return {
        "task": "text_classification",
        "model": {"path": str(model)},
        "dataset": {"path": test_as_validation(*train_and_test("rotten_tomatoes"), scratch / "rotten_tomatoes")},
    }


def images(scratch: Path) -> dict[str, Any]:
    """The configuration for images."""
    sys.path.insert(0, str(HERE.parent / "examples" / "quickstart_vision"))
    import efficientnet_lite

    return {
        "task": {"name": "image_classification", "image_size": 64, "augmentation": "none"},
        "model": {"library": "timm", "path": str(efficientnet_lite.write(scratch / "efficientnet_lite0"))},
        "dataset": {"path": str((DATA.parent / "image_classification" / "clothing_small").resolve())},
    }


KINDS = {"texts": texts, "images": images}


def trained(config: dict[str, Any], cache: bool | str, output: Path) -> list[float]:
    """The seconds from the begin of a training in a process of its own to the end of each epoch."""
    training = {**SELDOM, "lr": 1e-3, "batch_size": 32, "epochs": EPOCHS, "num_workers": 0, "do_eval": False}
    training |= {"cache_features": cache, "trackers": ["epoch_clock:EpochClock"]}
    config = {**config, "method": "last_layer", "training": training, "seed": SEED, "output_dir": str(output)}
    file = output.with_suffix(".json")
    file.write_text(json.dumps(config))
    search = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "adapt_core.cli", "run", str(file), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": search})
    if done.returncode:
        sys.exit(done.stderr)
    seconds = json.loads(next(output.rglob("epoch_seconds.json")).read_text())
    print(f"{output.name}: {seconds}", file=sys.stderr, flush=True)
    total = last_object(done.stdout)["timing_s"]["train"]
    # What is computed before the first step counts as a part of the first epoch.
    return [each + total - seconds[-1] for each in seconds]


def largest_difference(one: Path, other: Path) -> float:
    """Of the weights that two runs saved."""
    from safetensors.torch import load_file

    (first,), (second,) = ((folder / "model").glob("*.safetensors") for folder in (one, other))
    theirs, own = load_file(first), load_file(second)
    assert theirs.keys() == own.keys()
    return max(float((theirs[name] - own[name]).abs().max()) for name in own)


def row(kind: str, scratch: Path) -> tuple[str, bool]:
    """A row of the table, and whether it is within the bounds."""
    config = KINDS[kind](scratch)
    outputs = {cache: scratch / f"{kind}, cache_features {cache}" for cache in (False, "auto")}
    ends = {cache: trained(config, cache, output) for cache, output in outputs.items()}
    further = {cache: min(later - before for before, later in pairwise(each)) for cache, each in ends.items()}
    faster = further[False] / further["auto"]
    difference = largest_difference(outputs[False], outputs["auto"])
    parts = [
        kind,
        *(f"{ends[cache][0]:.1f}" for cache in outputs),
        f"{further[False]:.2f}",
        f"{further['auto']:.3f}",
        f"{faster:.0f}",
        f"{difference:.0e}",
    ]
    return "| " + " | ".join(parts) + " |", faster >= FASTER and difference <= DIFFERENCE


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []], help="all, where none is named")
    kinds = parser.parse_args().kinds or list(KINDS)
    with tempfile.TemporaryDirectory() as scratch:
        rows = [row(kind, Path(scratch)) for kind in kinds]
    print("| | first epoch without, s | with | a further one without, s | with | times as fast | weights differ by |")
    print("|---|---|---|---|---|---|---|")
    print("\n".join(text for text, _ in rows))
    return 0 if all(held for _, held in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
