"""Two processes train as one does, with the model whole in each or sharded over both, whatever the task."""

from __future__ import annotations

import csv
import importlib
import importlib.util
import json
import random
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from launched import run_all
from safetensors.torch import load_file

import adapt_core
from adapt_core.api import plan_of
from adapt_core.pipeline import saving
from adapt_core.runs.folder import RunFolder

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ROOT = Path(__file__).parents[1]
WORDS = {"weather": ["rain", "sun", "wind"], "food": ["bread", "soup", "salt"], "music": ["drum", "song", "tune"]}
LORA = {"name": "lora", "r": 4, "dropout": 0.0}
TOLERANCE = 2e-5

STEADY = {"optimizer_options": {"eps": 1e-2}}
"""With Adam's own, a gradient that is nothing but rounding makes steps as large as any other."""


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Tiny models without dropout, which processes draw differently, and data."""
    from transformers import BertConfig, BertModel, BertTokenizerFast, set_seed

    folder = tmp_path_factory.mktemp("parts")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", *(word for each in WORDS.values() for word in each)]
    BertTokenizerFast(vocab={word: index for index, word in enumerate(words)}).save_pretrained(folder / "encoder")
    set_seed(0)
    none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    settings = BertConfig(
        vocab_size=len(words),
        max_position_embeddings=24,
        initializer_range=0.1,
        **sizes,
        **none,  # type: ignore[arg-type]
    )
    BertModel(settings).save_pretrained(folder / "encoder")
    draw = random.Random(3)
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for _ in range(50):
            label = draw.choice(sorted(WORDS))
            text = [draw.choice([*WORDS[label], "the"]) for _ in range(draw.randrange(2, 12))] + [WORDS[label][0]]
            writer.writerow([" ".join(text), label])
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "adapt-nlp" / "tests")
        language = importlib.import_module("tiny_language_model")
        language.write_llama(folder / "llama")
        language.write_split(folder / "facts", "prompt_completion")
        sequences = importlib.import_module("tiny_seq2seq")
        sequences.write_bart(folder / "bart")
        sequences.write_split(folder / "documents", sequences.DOCUMENTS, times=3)
        _write_detector(folder)
        _write_models_that_count(folder)
        yield folder
    for name in ("tiny_language_model", "tiny_seq2seq"):
        sys.modules.pop(name, None)


def _write_detector(folder: Path) -> None:
    """An RT-DETR without the noisy queries, which processes draw differently."""
    from transformers import (
        AutoModelForObjectDetection,
        RTDetrConfig,
        RTDetrImageProcessor,
        RTDetrResNetConfig,
        set_seed,
    )

    spec = importlib.util.spec_from_file_location("vision_parts", ROOT / "adapt-vision" / "tests" / "conftest.py")
    assert spec is not None and spec.loader is not None
    vision = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(vision)
    vision.write_objects(folder / "objects", "train", 8, seed=1)
    vision.write_objects(folder / "objects", "val", 3, seed=2)
    stages: Any = {"hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1], "embedding_size": 16}
    backbone = RTDetrResNetConfig(**stages, layer_type="basic", out_features=["stage2", "stage3", "stage4"])
    small: Any = {"d_model": 32, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "num_queries": 20, "decoder_layers": 2}
    further: Any = {"encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_hidden_dim": 32}
    channels: Any = {"encoder_in_channels": [16, 32, 32], "decoder_in_channels": [32, 32, 32]}
    settings = RTDetrConfig(
        backbone_config=backbone, num_denoising=0, hidden_expansion=0.5, num_labels=2, dropout=0.0,
        **small, **further, **channels,
    )  # fmt: skip
    set_seed(0)
    model = AutoModelForObjectDetection.from_config(settings)
    for value in model.parameters():  # what starts at zero no longer is after pretraining
        if not value.any():
            torch.nn.init.normal_(value, std=0.02)
    model.save_pretrained(folder / "detector")
    RTDetrImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder / "detector")


def _write_models_that_count(folder: Path) -> None:
    """A YOLOS and a MaskFormer: their losses are means over all processes' objects by transformers' own count."""
    from transformers import (
        DetrConfig,
        MaskFormerConfig,
        MaskFormerForInstanceSegmentation,
        MaskFormerImageProcessor,
        SwinConfig,
        YolosConfig,
        YolosForObjectDetection,
        YolosImageProcessor,
        set_seed,
    )

    square: Any = {"height": 64, "width": 64}
    small: Any = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    further: Any = {"image_size": [64, 64], "num_detection_tokens": 10, "use_mid_position_embeddings": False}
    set_seed(0)
    YolosForObjectDetection(YolosConfig(**small, **further, num_labels=2)).save_pretrained(folder / "yolos")
    YolosImageProcessor(size=square).save_pretrained(folder / "yolos")
    stages: Any = {"embed_dim": 16, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 2, 4], "window_size": 4}
    swin = SwinConfig(
        **stages, image_size=64, drop_path_rate=0.0, out_features=["stage1", "stage2", "stage3", "stage4"]
    )
    layers: Any = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 64, "dropout": 0.0}
    heads: Any = {"decoder_ffn_dim": 64, "encoder_attention_heads": 4, "decoder_attention_heads": 4, "num_queries": 8}
    decoder = DetrConfig(**layers, **heads)
    settings = MaskFormerConfig(
        backbone_config=swin, decoder_config=decoder, fpn_feature_size=32, mask_feature_size=32, num_labels=2
    )
    set_seed(0)
    MaskFormerForInstanceSegmentation(settings).save_pretrained(folder / "maskformer")
    MaskFormerImageProcessor(size=square).save_pretrained(folder / "maskformer")


def configurations(parts: Path) -> dict[str, dict[str, Any]]:
    """A run of each kind of task, of rows in a step that two processes can share."""
    training = {"num_workers": 0, "logging_steps": 1, "batch_size": 8, "epochs": 2, "lr": 5e-3}
    texts = {
        "task": "text_classification",
        "model": {"path": str(parts / "encoder")},
        "dataset": {"path": str(parts / "rows.csv")},
    }
    facts = {
        "task": {"name": "text_generation", "max_seq_length": 32, "samples": 2, "sample_tokens": 8},
        "model": {"path": str(parts / "llama")},
        "dataset": {"path": str(parts / "facts")},
    }
    summaries = {
        "task": {"name": "summarization", "max_input_length": 64, "max_target_length": 24, "generation_max_length": 12},
        "model": {"path": str(parts / "bart")},
        "dataset": {"path": str(parts / "documents")},
    }
    objects = {
        "task": {"name": "object_detection", "augmentation": "none"},
        "model": {"path": str(parts / "detector")},
        "dataset": {"path": str(parts / "objects")},
    }
    masks = {
        "task": {"name": "instance_segmentation", "augmentation": "none"},
        "model": {"path": str(parts / "maskformer")},
        "dataset": {"path": str(parts / "objects")},
    }
    made: dict[str, dict[str, Any]] = {
        "texts": {**texts, "method": LORA, "training": STEADY},  # 45 rows by length: the last batch has 5
        "texts, all trained": {**texts, "method": "full", "training": {"lr": 1e-3}},
        "facts": {**facts, "method": LORA, "training": {"gradient_accumulation_steps": 2, "batch_size": 4}},
        "facts, all trained": {**facts, "method": "full", "training": {"batch_size": 4, **STEADY}},
        "facts, none trained": {**facts, "method": "full", "training": {"batch_size": 4, "do_train": False}},
        "facts, in 4 bits": {**facts, "method": LORA, "quantization": "bnb_4bit", "training": {"batch_size": 4}},
        "summaries": {**summaries, "method": "full"},
        "objects": {**objects, "method": {**LORA, "target_modules": "all-linear"}, "training": {"batch_size": 4}},
        "objects, counted by the model": {
            **objects, "model": {"path": str(parts / "yolos")}, "method": "full",
            "training": {"batch_size": 4, "lr": 1e-4, "max_steps": 2},
        },
        "masks": {**masks, "method": "full", "training": {"batch_size": 4, "lr": 1e-4, "max_steps": 2}},
    }  # fmt: skip
    return {
        name: {"save": "none", **each, "training": {**training, **each.get("training", {})}}
        for name, each in made.items()
    }


def launched(config: Mapping[str, Any], folder: Path, launch: Mapping[str, Any], processes: int = 2) -> dict[str, Any]:
    """The same for several processes."""
    batch = config["training"]["batch_size"] // processes
    options = {**launch, "num_processes": processes, "use_cpu": True}
    training = {**config["training"], "batch_size": batch}
    return {**config, "training": training, "launch": options, "output_dir": str(folder)}


class Runs:
    """Runs by name, each once in one process and once in two.

    Attributes:
        one: folders of those of one process.
        two: folders of those of two.
        resumed: folders of those that one process began and two went on with.
        results: what two processes said.
    """

    def __init__(
        self,
        folder: Path,
        wanted: Mapping[str, tuple[dict[str, Any], Mapping[str, Any]]],
        resumed: Sequence[str] = (),
    ) -> None:
        self.one: dict[str, Path] = {}
        self.two: dict[str, Path] = {}
        self.resumed: dict[str, Path] = {}
        plans = []
        for name, (config, launch) in wanted.items():
            self.one[name], self.two[name] = folder / "one" / name, folder / "two" / name
            if not self.one[name].exists():
                adapt_core.run({**config, "output_dir": str(self.one[name])})
            plans.append(claimed(launched(config, self.two[name], launch)))
        for name in resumed:
            config, launch = wanted[name]
            self.resumed[name] = cut(self.one[name], folder / "resumed" / name)
            plans.append(claimed(launched(config, self.resumed[name], launch), resume=True))
        launcher: Any = plans[0].launcher.make()
        self.results = launcher.launch(run_all, plans)


def cut(run: Path, folder: Path) -> Path:
    """A copy of a finished run as it was after its first epoch."""
    shutil.copytree(run, folder)
    checkpoints = RunFolder(folder).checkpoints
    for step in checkpoints.steps()[1:]:
        shutil.rmtree(checkpoints.at(step))
    shutil.rmtree(folder / "model")
    (folder / "result.json").unlink()
    return folder


def claimed(config: Mapping[str, Any], *, resume: bool = False) -> Any:
    plan = plan_of(config, ["training.resume=true"] if resume else [])
    RunFolder.create(
        plan.output_dir, plan.canonical(), resume=resume, overwrite=False, processes=plan.launcher.make().size
    ).release()
    return plan


@pytest.fixture(scope="module")
def no_reload_here() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saving, "_differences", lambda *_: {"model": 0.0})
        yield


DDP = (
    "texts",
    "facts",
    "facts, none trained",
    "facts, in 4 bits",
    "summaries",
    "objects",
    "objects, counted by the model",
    "masks",
)

ROUGHLY = {
    "facts, in 4 bits": 1e-3,  # products are in bfloat16, and round otherwise for another number of rows
    # Their losses of classes are means over the queries of a batch, weighed by class, and not over objects. A wrong
    # count of objects would double the rest.
    "objects, counted by the model": 2e-2,
    "masks": 5e-3,
}


@pytest.fixture(scope="module")
def replicated(parts: Path, no_reload_here: None, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    configs = configurations(parts)
    return Runs(tmp_path_factory.mktemp("ddp"), {name: (configs[name], {"name": "ddp"}) for name in DDP})


FSDP: dict[str, dict[str, Any]] = {
    "texts": {"state_dict_type": "FULL_STATE_DICT"},
    "texts, all trained": {"auto_wrap_policy": "NO_WRAP", "cpu_ram_efficient_loading": False},
    "facts, all trained": {"sharding_strategy": "SHARD_GRAD_OP"},  # one process alone has rows to generate for
    "facts, none trained": {},
    "summaries": {},  # encoder and decoder share their embeddings; texts are generated to be measured
}
RESUMED = ("texts", "facts, all trained")
"""The one writes whole checkpoints, the other the part of each process."""


@pytest.fixture(scope="module")
def sharded(parts: Path, no_reload_here: None, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    configs = configurations(parts)
    wanted = {name: (configs[name], {"name": "fsdp", **options}) for name, options in FSDP.items()}
    return Runs(tmp_path_factory.mktemp("fsdp"), wanted, resumed=RESUMED)


@pytest.fixture(scope="module")
def on_four(parts: Path, sharded: Runs, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs that two processes began, and four went on with."""
    configs, folder = configurations(parts), tmp_path_factory.mktemp("four")
    runs = {name: cut(sharded.two[name], folder / name) for name in RESUMED}
    four = {name: launched(configs[name], runs[name], {"name": "fsdp", **FSDP[name]}, 4) for name in RESUMED}
    plans = [claimed(each, resume=True) for each in four.values()]
    plans[0].launcher.make().launch(run_all, plans)
    return runs


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def weights(run: Path) -> dict[str, torch.Tensor]:
    return {name: each for path in (run / "model").glob("*.safetensors") for name, each in load_file(path).items()}


def assert_the_same(one: Path, two: Path, tolerance: float = TOLERANCE) -> None:
    before, after = lines(one), lines(two)
    assert [line["step"] for line in after] == [line["step"] for line in before]
    for line, other in zip(before, after, strict=True):
        for name, value in line.items():
            assert other[name] == pytest.approx(value, rel=tolerance, abs=tolerance), f"{name} at step {line['step']}"
    saved, expected = weights(two), weights(one)
    assert saved.keys() == expected.keys() and bool(saved) == any("loss" in line for line in before)
    for name, value in expected.items():
        # A bias of keys changes nothing: its gradient is rounding, of which Adam makes steps of full size.
        assert name.endswith(("k_proj.bias", "key.bias")) or torch.allclose(
            saved[name], value, atol=max(2e-4, 10 * tolerance)
        ), name


@pytest.mark.parametrize("name", DDP)
def test_ddp_has_the_loss_of_one_process_at_every_step_and_its_metrics(name: str, replicated: Runs) -> None:
    assert_the_same(replicated.one[name], replicated.two[name], ROUGHLY.get(name, TOLERANCE))


@pytest.mark.parametrize("name", FSDP)
def test_fsdp_has_the_loss_of_one_process_at_every_step_and_its_metrics(name: str, sharded: Runs) -> None:
    assert_the_same(sharded.one[name], sharded.two[name])


def assert_the_same_end(one: Path, other: Path) -> None:
    """The weights of a run that nothing has interrupted, to a millionth."""
    expected = weights(one)
    off = {name: float((each - expected[name]).abs().max()) for name, each in weights(other).items()}
    assert off.keys() == expected.keys() and max(off.values()) < 1e-6, off


@pytest.mark.parametrize("name", RESUMED)
def test_one_process_goes_on_from_a_sharded_run_and_comes_to_its_end(
    name: str, sharded: Runs, no_reload_here: None, tmp_path: Path
) -> None:
    """From a checkpoint that the main process has written, and from one of which each has written its part."""
    run = cut(sharded.two[name], tmp_path / "run")
    checkpoint = next((run / "checkpoints").iterdir())
    assert (checkpoint / "shards.json").exists() == (name != "texts")
    batch = 2 * plan_of(run).training.batch_size
    adapt_core.run(run, ["launch.name=local", f"training.batch_size={batch}"], resume=True)
    assert_the_same(sharded.one[name], run)
    assert_the_same_end(sharded.one[name], run)


@pytest.mark.parametrize("name", RESUMED)
def test_four_processes_go_on_from_a_run_of_two_and_come_to_its_end(
    name: str, sharded: Runs, on_four: dict[str, Path]
) -> None:
    assert_the_same(sharded.one[name], on_four[name])
    assert_the_same_end(sharded.one[name], on_four[name])


@pytest.mark.parametrize("name", RESUMED)
def test_two_processes_that_shard_go_on_from_one_and_come_to_its_end(name: str, sharded: Runs) -> None:
    assert_the_same(sharded.one[name], sharded.resumed[name])
    assert_the_same_end(sharded.one[name], sharded.resumed[name])


@pytest.mark.parametrize("kind", ["replicated", "sharded"])
def test_what_is_saved_is_whole_and_loads_by_itself(kind: str, request: pytest.FixtureRequest) -> None:
    runs: Runs = request.getfixturevalue(kind)
    rows = ["rain sun the rain", "soup bread salt"]
    expected, found = (adapt_core.load_run(each["texts"]).predict(rows) for each in (runs.one, runs.two))
    for one, two in zip(expected, found, strict=True):
        assert two["label"] == one["label"]
        assert two["scores"] == pytest.approx(one["scores"], abs=TOLERANCE)
