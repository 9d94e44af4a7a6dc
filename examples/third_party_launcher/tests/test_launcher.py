import io
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
from adapt_ray.launcher import RayTrain, Shown, reason
from adapt_ray.options import RayOptions
from adapt_ray.this_machine import ray_here
from ray_jobs import kill_one

import adapt_core
from adapt_core.errors import AdaptError
from adapt_core.testing import LauncherContract

TWO = {"num_processes": 2, "use_cpu": True}
WORDS = {"good": 1, "fine": 1, "lovely": 1, "bad": 0, "dull": 0, "awful": 0}


@pytest.fixture(autouse=True)
def jobs_are_found(monkeypatch):
    """By the workers, and by the processes of the command."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)


class TestRay(LauncherContract):
    launcher = "ray"
    options: ClassVar = TWO
    size = 2


def test_fewer_gpus_than_processes_are_an_error(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(AdaptError, match=r"fewer GPUs \(1\) than .* processes \(2\)") as raised:
        RayTrain(RayOptions(num_processes=2)).launch(kill_one, None)
    assert "launch.num_processes to 1" in raised.value.hint and "launch.use_cpu" in raised.value.hint


def test_a_killed_worker_ends_the_run_also_where_no_gpu_is(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(AdaptError, match="Process 1 of 2 was lost") as raised:
        RayTrain(RayOptions(num_processes=2, find_unused_parameters=True)).launch(kill_one, None)
    assert "printed is in" in raised.value.hint


def test_a_failure_that_names_no_worker_is_in_ray_s_words():
    from ray.train import WorkerGroupError

    assert "NCCL hangs" in reason(WorkerGroupError("NCCL hangs", {}), 2, "logs").message


def test_a_character_written_in_part_is_shown_when_it_is_whole(tmp_path):
    stream = io.StringIO()
    shown = Shown(tmp_path / "rank-0.out", stream)
    for part in ("½: ".encode(), "é".encode()[:1], "é".encode()[1:]):
        with shown.file.open("ab") as file:
            file.write(part)
        shown.show()
    assert stream.getvalue() == "½: é"


def test_without_ray_the_environment_stays_as_it_was(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    before = dict(os.environ)
    with pytest.raises(ImportError), ray_here(2, str(tmp_path)):
        pass
    assert dict(os.environ) == before


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_while_lines_are_shown_stops_the_run_and_the_second_ends_it(monkeypatch, tmp_path, times):
    class Trainer:
        def __init__(self, *_, train_loop_config, **__):
            self.stop = Path(train_loop_config["stop"])

        def fit(self):
            while not self.stop.exists():
                time.sleep(0.05)
            return SimpleNamespace(return_value="saved")

    def show(_, left=[signal.SIGINT] * times):
        if left:
            signal.raise_signal(left.pop())

    monkeypatch.setattr("ray.train.torch.TorchTrainer", Trainer)
    monkeypatch.setattr(Shown, "show", show)
    job = {"logs": str(tmp_path), "stop": str(tmp_path / "stop")}
    with nullcontext() if times == 1 else pytest.raises(KeyboardInterrupt):
        assert RayTrain(RayOptions(**TWO)).followed(job, str(tmp_path), use_gpu=False) == "saved"


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Sentences with a word that tells their class, and a tiny BERT without dropout."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast, set_seed

    folder = tmp_path_factory.mktemp("ray")
    vocabulary = ["[PAD]", "[UNK]", "the", "film", "was", *WORDS]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(vocabulary)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder / "model")
    set_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    settings = BertConfig(vocab_size=len(vocabulary), max_position_embeddings=32, **sizes, **none)
    BertForSequenceClassification(settings).bert.save_pretrained(folder / "model")
    rows = [{"text": f"the {'film ' * (number % 5)}was {word}", "label": label} for number in range(20)
            for word, label in WORDS.items()]  # fmt: skip
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {
        "task": "text_classification",
        "model": {"path": str(folder / "model")},
        "dataset": {"path": str(folder / "train.jsonl")},
        "method": {"name": "lora", "dropout": 0.0},
        "training": {"max_steps": 12, "batch_size": 4, "logging_steps": 1, "lr": 1e-2, "num_workers": 0},
        "save": "none",
        "launch": {"name": "ray", **TWO},
    }


def adapt_run(file, *arguments):
    command = [sys.executable, "-m", "adapt_core.cli", "run", str(file), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def written(config, folder, **training):
    file = folder / "config.json"
    settings = {**config, "training": {**config["training"], **training}, "output_dir": str(folder / "run")}
    file.write_text(json.dumps(settings))
    return file, folder / "run"


def losses(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def test_two_workers_train_as_one_process_does_and_save_once(config, tmp_path):
    file, run = written(config, tmp_path)
    process = adapt_run(file, "--json")
    output, shown = process.communicate(timeout=500)
    assert process.returncode == 0, shown
    result = json.loads(output)
    assert result["status"] == "completed" and result["reload_difference"] == {"model": 0.0}
    assert "Ray: 2 processes: cpu, cpu" in shown
    assert json.loads((run / "environment.json").read_text())["world"]["processes"] == 2
    assert {each.name for each in (run / "logs" / "1").iterdir()} == {
        f"rank-{rank}.{name}" for rank in (0, 1) for name in ("out", "err")
    }
    alone = {**config["training"], "batch_size": 8}
    adapt_core.run({**config, "training": alone, "launch": "local", "output_dir": str(tmp_path / "alone")})
    assert len(losses(run)) == 12
    assert losses(run) == pytest.approx(losses(tmp_path / "alone"), abs=1e-5)


def test_an_error_of_one_worker_is_that_of_the_command(config, tmp_path):
    file, _ = written(config, tmp_path, trackers=["ray_jobs:FailInOne"])
    process = adapt_run(file)
    _, shown = process.communicate(timeout=500)
    assert process.returncode == 1
    assert "The disk of worker 1 is full" in shown and "Traceback" not in shown


def test_ctrl_c_leaves_a_checkpoint_from_which_one_process_goes_on(config, tmp_path):
    file, run = written(config, tmp_path, max_steps=400)
    process = adapt_run(file)
    deadline = time.monotonic() + 300
    while not (run / "metrics.jsonl").is_file() or len(losses(run)) < 3:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, shown = process.communicate(timeout=200)
    assert process.returncode == 130, shown
    (checkpoint,) = (run / "checkpoints").iterdir()
    step = int(checkpoint.name.partition("-")[2])
    assert f"after step {step} of 400; the state of step {step} is saved" in " ".join(shown.split())
    assert adapt_core.run(run, ["launch.name=local", "training.batch_size=8"], resume=True)["steps"] == 400
