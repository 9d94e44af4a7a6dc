"""Two processes under MMEngine's Runner train as one does, stop together, and go on in any number."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from together import Cut, Run, work

import adapt_core
from adapt_core.errors import ConfigError

pytest.importorskip("mmdet", reason="the OpenMMLab libraries are not installed: python -m adapt_vision.mmlab")
pytest.importorskip("mmpose", reason="the OpenMMLab libraries are not installed: python -m adapt_vision.mmlab")
pytest.importorskip("adapt_dist", reason="launchers are of the package adapt-dist")

pytestmark = pytest.mark.slow

TWO = {"name": "ddp", "num_processes": 2, "use_cpu": True}
STILL = 1e-12  # a learning rate at which weights stay where they are


@dataclass(frozen=True)
class Done:
    """What was run.

    Attributes:
        folder: with a folder a run: of one process ``NAME-1``, of two ``NAME-2``.
        results: of the runs of two processes, in the main one, by name.
    """

    folder: Path
    results: Mapping[str, Any]

    def lines(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / name / "metrics.jsonl").read_text().splitlines()]

    def weights(self, name: str, step: int) -> dict[str, torch.Tensor]:
        """The weights of a checkpoint."""
        file = self.folder / name / "checkpoints" / f"checkpoint-{step}" / "weights.pt"
        found: dict[str, torch.Tensor] = torch.load(file, weights_only=True)
        return found


def configurations(test_data: Path, weights: Path) -> dict[str, dict[str, Any]]:
    """By name: runs of one process.

    Batch normalisation stays as it was, but in ``statistics``: in training it is of the images of one process.
    """
    training = {"epochs": 2, "batch_size": 4, "lr": 1e-3, "num_workers": 0, "logging_steps": 1, "do_eval": False}
    twice = {"gradient_accumulation_steps": 2, "do_eval": True}
    every = {"interval": "steps", "interval_steps": 1, "checkpoints": 9}

    def made(task: str, data: str, model: Mapping[str, Any], method: str, **given: Any) -> dict[str, Any]:
        size = {} if task == "pose_detection" else {"image_size": 64}
        rows = {"max_train_samples": given.pop("rows"), "max_eval_samples": 3}
        return {
            "task": {"name": task, "augmentation": "standard", **size},
            "model": model,
            "dataset": {"path": str(test_data / data), **rows},
            "method": method,
            "training": {**training, **given},
            "save": "none",
        }

    yolox = {"library": "mmdet", "name": "yolox_nano_8xb8-300e_coco", "path": str(weights)}
    yolov3 = {"library": "mmdet", "name": "yolov3_mobilenetv2_8xb24-320-300e_coco", "pretrained": False}
    masks = {"library": "mmdet", "name": "rtmdet-ins_tiny_8xb32-300e_coco", "pretrained": False}
    poses = {"library": "mmpose", "name": "rtmpose-t_8xb256-420e_coco-256x192", "pretrained": False}
    return {
        # Steps of 4 + 4 rows and of 1, in which the second process stands by.
        "detection": made("object_detection", "object_detection/bccd", yolox, "ssf", rows=9, **twice, **every),
        # Steps of 4 rows and of 3.
        "masks": made("instance_segmentation", "instance_segmentation/dsb2018_nuclei", masks, "last_layer", rows=7),
        "poses": made("pose_detection", "pose/openfield_mouse", poses, "last_layer", rows=7, epochs=1),
        # The last layer of its backbone is never called.
        "statistics": made("object_detection", "object_detection/bccd", yolov3, "full", rows=4, epochs=1, lr=STILL),
    }


def tasks_of(configs: Mapping[str, Mapping[str, Any]], folder: Path) -> dict[str, Run | Cut]:
    """What two processes do, by name: the same runs, and some that stop, fail, or go on with what others have left."""
    found: dict[str, Run | Cut] = {}

    def add(name: str, base: str, *, launch: Mapping[str, Any] = TWO, signals: bool = False, **training: Any) -> None:
        given = dict(configs[base]["training"])
        given["batch_size"] //= 2
        config = {**configs[base], "training": {**given, **training}, "launch": launch}
        found[name] = Run({**config, "output_dir": str(folder / name)}, signals=signals)

    def go_on(name: str, source: str, step: int, *overrides: str) -> None:
        found[f"cut for {name}"] = Cut(str(folder / source), str(folder / name), step)
        found[name] = Run(str(folder / name), ("training.resume=true", *overrides))

    for name in configs:
        add(f"{name}-2", name)
    add("stopped", "detection", signals=True, epochs=50, interval_steps=2, do_eval=False)
    go_on("two-on-two", "detection-2", 3)
    in_two = ("launch.name=ddp", "launch.num_processes=2", "launch.use_cpu=true")
    go_on("one-on-two", "detection-1", 2, "training.batch_size=2", *in_two)
    add("unused", "statistics", launch={**TWO, "find_unused_parameters": False}, epochs=2)
    return found


@pytest.fixture(scope="module")
def done(test_data: Path, yolox_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    """All runs, with one start of two processes."""
    from adapt_core.pipeline import saving
    from adapt_dist.launcher import Ddp
    from adapt_dist.options import DdpOptions

    folder = tmp_path_factory.mktemp("processes")
    configs = configurations(test_data, yolox_weights)
    tasks = tasks_of(configs, folder)
    plan: Any = list(tasks.values())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saving, "_differences", lambda *_: {"model": 0.0})
        patch.setenv("OMP_NUM_THREADS", "1")
        for name, config in configs.items():
            adapt_core.run({**config, "output_dir": str(folder / f"{name}-1")})
        found: Any = Ddp(DdpOptions(num_processes=2, use_cpu=True)).launch(work, plan)
        Cut(str(folder / "detection-2"), str(folder / "two-on-one"), 2).make()
        adapt_core.run(folder / "two-on-one", ["launch.name=local", "training.batch_size=4"], resume=True)
    yield Done(folder, dict(zip((name for name, task in tasks.items() if isinstance(task, Run)), found, strict=True)))
    shutil.rmtree(folder)


@pytest.mark.parametrize(("name", "steps"), [("detection", 4), ("masks", 4), ("poses", 2)])
def test_the_loss_is_that_of_one_process_at_every_step(done: Done, name: str, steps: int) -> None:
    """Losses over the positives of all processes, and sums over images, with uneven last batches."""
    expected, found = ([each for each in done.lines(f"{name}-{count}") if "loss" in each] for count in (1, 2))
    assert len(expected) == len(found) == steps
    for line, other in zip(expected, found, strict=True):
        assert other == pytest.approx(line, rel=1e-5), f"step {line['step']}"
    step = max(int(each.name.rpartition("-")[2]) for each in (done.folder / f"{name}-1" / "checkpoints").iterdir())
    weights, others = done.weights(f"{name}-1", step), done.weights(f"{name}-2", step)
    assert weights.keys() == others.keys()
    for key, value in weights.items():
        assert torch.allclose(value, others[key], atol=1e-5), key


def test_metrics_are_over_every_example_once(done: Done) -> None:
    """Of three images the second process measures one; rows trained on are counted once, too."""
    one, two = (json.loads((done.folder / f"detection-{count}" / "result.json").read_text()) for count in (1, 2))
    assert two["metrics"] == pytest.approx(one["metrics"], abs=1e-5)
    assert {"ap", "ap50", "train_loss"} <= set(two["metrics"])
    assert len(two["peak_memory_bytes_by_process"]) == 2
    evaluated = [each for each in done.lines("detection-2") if "eval_ap" in each]
    assert evaluated == [pytest.approx(each) for each in done.lines("detection-1") if "eval_ap" in each]


def test_one_process_loads_what_two_have_saved(done: Done, test_data: Path) -> None:
    images = [str(each) for each in sorted((test_data / "object_detection" / "bccd" / "val").iterdir())[:1]]
    one, two = (adapt_core.load_run(done.folder / f"detection-{count}").predict(images) for count in (1, 2))
    assert [each["objects"] for each in two] == [
        [pytest.approx(found, rel=1e-3, abs=1e-2) for found in each["objects"]] for each in one
    ]


def test_running_statistics_are_the_mean_over_processes(done: Done) -> None:
    """Those of the first layer: with as many images in each process, the mean is that of all images."""
    one, two = (done.weights(f"statistics-{count}", 1)["backbone.conv1.bn.running_mean"] for count in (1, 2))
    assert one.abs().max() > 0 and torch.allclose(one, two, rtol=1e-5, atol=1e-7)


def test_parameters_are_looked_for_only_where_the_first_batch_leaves_some_unused(done: Done) -> None:
    found = {name: each["looked"] for name, each in done.results.items()}
    assert found == {name: [name == "statistics-2"] for name in found}
    assert "set launch.find_unused_parameters to true" in done.results["unused"]["ended"].lower()


def test_a_signal_to_one_process_stops_all_with_one_checkpoint(done: Done) -> None:
    steps = sorted(int(each.parent.name.split("-")[1]) for each in done.folder.glob("stopped/checkpoints/*/*.json"))
    assert 2 <= steps[-1] < 100
    said = done.results["stopped"]["ended"]
    assert f"after step {steps[-1]} of 100; the state of step {steps[-1]} is saved" in said


def test_two_processes_resume_to_the_same_weights(done: Done) -> None:
    whole, resumed = done.weights("detection-2", 4), done.weights("two-on-two", 4)
    assert all(torch.equal(each, resumed[name]) for name, each in whole.items())
    assert done.lines("detection-2") == done.lines("two-on-two")


@pytest.mark.parametrize("name", ["one-on-two", "two-on-one"])
def test_another_number_of_processes_comes_to_the_same_end(done: Done, name: str) -> None:
    whole, resumed = done.weights("detection-1", 4), done.weights(name, 4)
    assert all(torch.allclose(each, resumed[key], atol=1e-6) for key, each in whole.items())
    assert [each["step"] for each in done.lines(name)] == [each["step"] for each in done.lines("detection-1")]


def test_every_process_has_a_log_of_mmengine_s(done: Done) -> None:
    names = sorted(each.name for each in (done.folder / "detection-2" / "logs" / "mmengine").rglob("*.log"))
    assert len(names) == 2 and names[0].endswith("-rank-1.log")
    for each in (done.folder / "detection-2" / "logs" / "mmengine").rglob("*.log"):
        assert "Iter(train)" in each.read_text()


def test_fsdp_is_refused_with_what_to_write_instead(test_data: Path, yolox_weights: Path) -> None:
    config = configurations(test_data, yolox_weights)["detection"]
    with pytest.raises(ConfigError, match=r"does not train sharded models .* write launch: \{name: ddp\}"):
        adapt_core.run({**config, "launch": {"name": "fsdp", "num_processes": 2, "use_cpu": True}})
