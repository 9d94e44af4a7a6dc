"""The parameters of the tables for objects, masks and poses, by their flat names, in runs under MMEngine's Runner."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import adapt_core

pytest.importorskip("mmdet", reason="the OpenMMLab libraries are not installed: python -m adapt_vision.mmlab")
pytest.importorskip("mmpose", reason="the OpenMMLab libraries are not installed: python -m adapt_vision.mmlab")

RATE, EPOCHS, STEPS = 1e-3, 5, 2  # steps of an epoch

DEFAULTS: dict[str, Any] = {
    "BEGIN": 0, "END": 50, "T_MAX": 0, "WARMUP": False, "WARMUP_RATIO": 0.1, "WARMUP_ITERS": 50, "MILESTONES": [],
    "GAMMA": 0.1, "amp": False, "auto_scale_lr": False, "cfg_options": None, "checkpoint_interval": 5,
}  # fmt: skip
"""What the tables have in common, with the values that they give."""


@pytest.fixture
def flat(cells: dict[str, Any], no_reload: None) -> Callable[..., list[dict[str, Any]]]:
    """Runs the configuration for blood cells with flat names beside it; the lines of its log."""
    sections = {name: dict(cells[name]) for name in ("task", "model", "dataset")}
    sections["task"]["image_size"] = 64
    base = {
        **sections, "method": "full", "save": "none", "output_dir": cells["output_dir"], "LR": RATE, "EPOCHS": EPOCHS,
        "BATCH_SIZE": 4, "NUM_WORKERS": 0, "DO_EVAL": False, "training": {"logging_steps": 1},
    }  # fmt: skip

    def go(**given: Any) -> list[dict[str, Any]]:
        adapt_core.run({**base, **given}, overwrite=True)
        return [json.loads(line) for line in Path(base["output_dir"], "metrics.jsonl").read_text().splitlines()]

    return go


def cosine(epoch: int) -> float:
    """From epoch 1 to 4, half a period of 6 epochs: it stays where epoch 3 has left it."""
    return (1 + math.cos(math.pi * min(max(epoch - 1, 0), 2) / 6)) / 2


def warm(step: int) -> float:
    return 0.2 + 0.8 * min(step, 3) / 3


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"SCHEDULER_TYPE": "CosineAnnealingLR", "BEGIN": 1, "END": 4, "T_MAX": 6}, lambda s: cosine(s // STEPS)),
        (
            {"SCHEDULER_TYPE": "MultiStepLR", "MILESTONES": [1, 3], "GAMMA": 0.5},
            lambda s: 0.5 ** sum(s // STEPS >= each for each in (1, 3)),
        ),
        (
            {"SCHEDULER_TYPE": "LinearLR", "END": 3, "WARMUP": True, "WARMUP_RATIO": 0.2, "WARMUP_ITERS": 4},
            lambda s: warm(s) * (1 / 3 + 2 / 3 * min(s // STEPS, 2) / 2),
        ),
        (
            {
                "SCHEDULER_TYPE": "MultiStepLR",
                "MILESTONES": [9],
                "WAMRUP": True,
                "WAMRUP_RATIO": 0.2,
                "WARMUP_ITERS": 4,
            },
            warm,
        ),
    ],
    ids=["cosine", "stairs", "line and warmup", "the other spelling"],
)
def test_every_step_has_the_rate_of_the_equation(
    flat: Callable[..., Any], given: dict[str, Any], expected: Callable[[int], float]
) -> None:
    rates = [line["learning_rate"] for line in flat(**given) if "learning_rate" in line]
    assert rates == pytest.approx([RATE * expected(step) for step in range(EPOCHS * STEPS)])


@pytest.mark.parametrize("task", ["cells", "masks", "poses"])
def test_a_table_with_its_own_values_runs(task: str, request: pytest.FixtureRequest, no_reload: None) -> None:
    """Each task reads the files that it names; the checkpoint comes at the end, before the fifth epoch."""
    config: dict[str, Any] = request.getfixturevalue(task)
    table = {**DEFAULTS, "train_ann_file": "train.json", "val_ann_file": "val.json"}
    adapt_core.run({**config, **table, "SCHEDULER_TYPE": "CosineAnnealingLR"})
    folder = Path(config["output_dir"])
    told = json.loads((folder / "data.json").read_text())
    assert {"train": "train.json", "validation": "val.json"}.items() <= told["splits"].items()
    assert told["rows"] == {"train": 8, "validation": 4}
    assert [each.name for each in (folder / "checkpoints").iterdir()] == ["checkpoint-2"]


def test_annotation_files_are_those_that_are_named(
    flat: Callable[..., Any], cells: dict[str, Any], tmp_path: Path
) -> None:
    """What is trained on, and what is measured: three images of the validation split, in a file of another name."""
    source, folder = Path(cells["dataset"]["path"]), tmp_path / "data"
    (folder / "annotations").mkdir(parents=True)
    content = json.loads((source / "annotations" / "val.json").read_text())
    kept = content["images"][:3]
    ids = {each["id"] for each in kept}
    few = {
        **content,
        "images": kept,
        "annotations": [each for each in content["annotations"] if each["image_id"] in ids],
    }
    (folder / "annotations" / "few.json").write_text(json.dumps(few))
    for name, of in (("few", "val"), ("some", "test"), ("train", "train"), ("val", "val")):
        (folder / name).symlink_to(source / of)
    for name, of in (("some", "test"), ("train", "train"), ("val", "val")):
        (folder / "annotations" / f"{name}.json").symlink_to(source / "annotations" / f"{of}.json")
    told = []
    for names in ({"train_ann_file": "some.json", "val_ann_file": "few.json"}, {}):
        flat(**names, EPOCHS=1, DO_EVAL=bool(names), dataset={**cells["dataset"], "path": str(folder)})
        told.append(json.loads(Path(cells["output_dir"], "data.json").read_text()))
    assert told[0]["splits"] == {"train": "some.json", "validation": "few.json"}
    assert told[0]["rows"] == {"train": 8, "validation": 3}, "val.json would give four"
    assert told[0]["fingerprint"] != told[1]["fingerprint"] and told[0]["labels"] != told[1]["labels"]
