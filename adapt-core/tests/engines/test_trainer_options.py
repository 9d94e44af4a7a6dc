"""Every training option is seen to have its effect on a real run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_runs import checkpoints, go, lines, losses

import adapt_core
from adapt_core.errors import AdaptError, ConfigError

ROWS = 256

pytestmark = pytest.mark.usefixtures("no_reload")


def test_do_train_false_only_evaluates(toy_config: Any) -> None:
    result, run = go(toy_config(training={"do_train": False}))
    assert result["artifact"] is None and result["steps"] == 0
    assert not Path(run, "model").exists() and checkpoints(run) == []
    assert 0 <= result["metrics"]["accuracy"] <= 1
    assert [line["step"] for line in lines(run)] == [0]


def test_do_train_false_evaluates_the_model_as_it_is(toy_config: Any, tmp_path: Path) -> None:
    """Also with a method that changes outputs from the start."""
    found = []
    for method in ("lora", "fourierft", "full", {"name": "ssf", "init": "normal"}):
        config = toy_config(method=method, training={"do_train": False}, output_dir=str(tmp_path / str(len(found))))
        found.append(adapt_core.run(config))
    assert len({each["metrics"]["loss"] for each in found}) == 1
    assert {each["parameters"]["trainable"] for each in found} == {0}


def test_do_eval_false_evaluates_nothing(toy_config: Any) -> None:
    result, run = go(toy_config(training={"do_eval": False}))
    assert set(result["metrics"]) == {"train_loss"}
    assert not any("eval_loss" in line for line in lines(run))
    assert Path(run, "model").is_dir()


@pytest.mark.parametrize("size", [16, 64, 100])
def test_batch_size_sets_the_number_of_steps(toy_config: Any, size: int) -> None:
    result, _ = go(toy_config(training={"batch_size": size}))
    assert result["steps"] == math.ceil(ROWS / size)


def test_epochs_may_be_many_or_a_fraction(toy_config: Any) -> None:
    result, run = go(toy_config(training={"epochs": 2.5, "batch_size": 64}))
    assert result["steps"] == 10
    assert lines(run)[-1]["epoch"] == pytest.approx(2.5)


def test_max_steps_ends_training_early(toy_config: Any) -> None:
    assert go(toy_config(training={"max_steps": 3}))[0]["steps"] == 3


def test_checkpoints_after_every_epoch(toy_config: Any) -> None:
    _, run = go(toy_config(training={"epochs": 3, "batch_size": 64}))
    assert checkpoints(run) == [4, 8, 12]
    assert [line["step"] for line in lines(run) if "eval_loss" in line] == [4, 8, 12]


def test_checkpoints_every_so_many_steps(toy_config: Any) -> None:
    _, run = go(toy_config(training={"interval": "steps", "interval_steps": 3, "epochs": 2, "batch_size": 64}))
    assert checkpoints(run) == [3, 6, 8]  # and at the end


def test_only_the_newest_checkpoints_are_kept(toy_config: Any) -> None:
    _, run = go(toy_config(training={"checkpoints": 2, "epochs": 4, "batch_size": 64}))
    assert checkpoints(run) == [12, 16]


def test_a_checkpoint_holds_no_pickle_of_objects(toy_config: Any) -> None:
    _, run = go(toy_config(training={"batch_size": 64}))
    folder = Path(run, "checkpoints", "checkpoint-4")
    assert not (folder / "training_args.bin").exists()
    for file in [*folder.glob("*.pt")]:
        torch.load(file, weights_only=True)  # raises for anything but tensors and plain values


def test_fp16_is_refused_where_there_is_no_gpu(toy_config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(AdaptError, match=r"fp16 \(FP16\): this machine has no GPU"):
        adapt_core.run(toy_config(training={"fp16": True}))
    assert not Path(toy_config()["output_dir"]).exists()


def test_bf16_computes_in_lower_precision(toy_config: Any, tmp_path: Path) -> None:
    _, exact = go(toy_config(training={"batch_size": 64, "logging_steps": 1}))
    _, rough = go(
        toy_config(training={"batch_size": 64, "logging_steps": 1, "bf16": True}, output_dir=str(tmp_path / "b"))
    )
    first, second = losses(exact)[0]["loss"], losses(rough)[0]["loss"]
    assert first != second and first == pytest.approx(second, rel=0.02)


def test_accumulation_adds_batches_up_into_steps(toy_config: Any) -> None:
    result, _ = go(toy_config(training={"gradient_accumulation_steps": 4}))
    assert result["steps"] == ROWS // 16 // 4


def test_accumulated_small_batches_equal_a_large_one(toy_config: Any, tmp_path: Path) -> None:
    # Without dropout and with rows in one order, the sum of gradients is the same; only rounding differs.
    model = tmp_path / "still"
    from transformers import BertModel

    still = BertModel.from_pretrained(toy_config()["model"]["path"])
    still.config.hidden_dropout_prob = still.config.attention_probs_dropout_prob = 0.0
    still.save_pretrained(model)
    common = {"do_eval": False, "group_by_length": False, "logging_steps": 1, "optimizer": "sgd", "lr": 0.1}
    changes: dict[str, Any] = {"model": {"path": str(model)}, "method": {"name": "lora", "dropout": 0.0}}
    _, large = go(toy_config(**changes, training={**common, "batch_size": 32}, output_dir=str(tmp_path / "l")))
    accumulated = {**common, "batch_size": 8, "gradient_accumulation_steps": 4}
    _, small = go(toy_config(**changes, training=accumulated, output_dir=str(tmp_path / "s")))
    assert [each["loss"] for each in losses(small)] == pytest.approx([each["loss"] for each in losses(large)], rel=1e-4)


def test_gradient_checkpointing_runs_the_layers_twice(toy_config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers.models.bert.modeling_bert import BertSelfAttention

    calls = {True: 0, False: 0}
    original = BertSelfAttention.forward
    current = False

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls[current] += 1
        return original(self, *args, **kwargs)

    monkeypatch.setattr(BertSelfAttention, "forward", counted)
    results = {}
    for current in (False, True):
        training = {"gradient_checkpointing": current, "do_eval": False, "max_steps": 4}
        config = toy_config(training=training, output_dir=f"{toy_config()['output_dir']}-{current}")
        results[current] = go(config)[0]["metrics"]["train_loss"]
    # Two layers: four steps forward, and again four steps back; two more for the check of what was saved.
    assert calls[True] - calls[False] == 2 * 4
    assert results[True] == results[False]


def test_gradient_clipping_holds_the_step_small(toy_config: Any) -> None:
    common = {"optimizer": "sgd", "lr": 1.0, "do_eval": False, "max_steps": 2, "logging_steps": 1}
    _, run = go(toy_config(method={"name": "full"}, training={**common, "max_grad_norm": 1e-9}))
    from safetensors.torch import load_file
    from transformers import BertModel

    before = BertModel.from_pretrained(toy_config()["model"]["path"]).state_dict()
    after = load_file(Path(run, "model", "model.safetensors"))
    for name, value in before.items():
        assert torch.allclose(after[f"bert.{name}"], value, atol=1e-7), name
    assert losses(run)[0]["grad_norm"] > 1e-3  # what was logged is the gradient before clipping


def test_logging_steps_set_the_lines(toy_config: Any) -> None:
    _, run = go(toy_config(training={"logging_steps": 5}))
    assert [line["step"] for line in losses(run)] == [5, 10, 15]


def test_a_seed_gives_the_same_run_and_another_seed_another(toy_config: Any, tmp_path: Path) -> None:
    runs = [
        go(toy_config(seed=seed, output_dir=str(tmp_path / name)))[1] for seed, name in ((1, "a"), (1, "b"), (2, "c"))
    ]
    weights = [Path(run, "model", "adapter_model.safetensors").read_bytes() for run in runs]
    assert weights[0] == weights[1] != weights[2]
    assert lines(runs[0]) == lines(runs[1]) != lines(runs[2])


def test_workers_load_the_data_and_change_nothing(
    toy_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import toy_task

    original = toy_task.collate
    trace = tmp_path / "trace"

    def traced(rows: Any) -> Any:
        worker = torch.utils.data.get_worker_info()
        with trace.open("a") as file:
            file.write(f"{worker.id if worker else 'main'}\n")
        return original(rows)

    monkeypatch.setattr(toy_task, "collate", traced)
    weights = []
    for count, expected in ((0, {"main"}), (2, {"0", "1", "main"})):
        trace.unlink(missing_ok=True)
        _, run = go(toy_config(training={"num_workers": count, "epochs": 2}, output_dir=str(tmp_path / str(count))))
        assert set(trace.read_text().split()) == expected  # the main process collates the rows of the last check
        weights.append(Path(run, "model", "adapter_model.safetensors").read_bytes())
    assert weights[0] == weights[1]


def test_batches_of_like_length_waste_less(toy_config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import toy_task

    padded: dict[bool, list[int]] = {True: [], False: []}
    original = toy_task.collate
    current = False

    def measured(rows: Any) -> Any:
        batch = original(rows)
        if len(rows) == 16:
            padded[current].append(int((batch["attention_mask"] == 0).sum()))
        return batch

    monkeypatch.setattr(toy_task, "collate", measured)
    for current in (False, True):
        config = toy_config(training={"group_by_length": current, "do_eval": False})
        go({**config, "output_dir": f"{config['output_dir']}-{current}"})
    assert sum(padded[True]) < 0.5 * sum(padded[False])


def test_a_loss_that_is_no_number_ends_the_run(toy_config: Any) -> None:
    with pytest.raises(AdaptError, match=r"loss is nan at step .*cannot learn"):
        adapt_core.run(toy_config(method={"name": "full"}, training={"lr": 1e30, "optimizer": "sgd", "epochs": 3}))


def test_tensorboard_gets_the_metrics(toy_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "tb"))
    go(toy_config(training={"trackers": ["tensorboard"], "batch_size": 64}))
    assert list((tmp_path / "tb").rglob("events.out.tfevents*"))


def test_mlflow_gets_the_metrics_in_a_local_folder(
    toy_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    _, run = go(toy_config(training={"trackers": ["mlflow"], "batch_size": 64, "logging_steps": 1}))
    mlflow.set_tracking_uri(store)
    found = mlflow.search_runs(search_all_experiments=True)
    assert len(found) == 1
    assert found["metrics.eval_accuracy"][0] == pytest.approx(lines(run)[-1]["eval_accuracy"])


def test_an_unknown_tracker_is_a_mistake_in_the_configuration(toy_config: Any) -> None:
    with pytest.raises(ConfigError, match=r"tensorbord.*did you mean 'tensorboard'"):
        adapt_core.run(toy_config(training={"trackers": ["tensorbord"]}))


def test_a_tracker_that_is_not_installed_is_named_with_its_remedy(toy_config: Any) -> None:
    with pytest.raises(AdaptError, match=r"swanlab needs the package swanlab(.|\n)*pip install swanlab"):
        adapt_core.run(toy_config(training={"trackers": ["swanlab"]}))
