"""Texts that lie in one row: models that keep them apart learn from them as from each alone; others are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from peft import PrefixTuningConfig, PromptTuningConfig, get_peft_model
from tiny_language_model import configuration, write_llama, write_split
from transformers import AutoModelForCausalLM, PreTrainedModel, set_seed

import adapt_core
from adapt_core.errors import AdaptError
from adapt_nlp.text_generation.encoding import EncodedTexts
from adapt_nlp.text_generation.packing import Collation, packed, taken_arguments, why_not_in_one_row

SIZES: dict[str, Any] = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 128,
}
OF: dict[str, dict[str, Any]] = {
    "Llama": {},
    "Qwen3": {"head_dim": 8},
    "Mistral": {"sliding_window": 4},
    "Gemma2": {"head_dim": 8, "_attn_implementation": "eager"},
    "GPT2": {"n_embd": 32, "n_layer": 2, "n_head": 4},
    "GPTNeoX": {},
    "OPT": {"ffn_dim": 64, "word_embed_proj_dim": 32},
    "Falcon": {},
    "Bloom": {"n_layer": 2, "n_head": 4},
}
APART = ("Llama", "Qwen3", "Mistral", "Gemma2", "GPT2", "GPTNeoX")


def tiny(name: str) -> PreTrainedModel:
    set_seed(0)
    config = getattr(transformers, f"{name}Config")(**{**SIZES, **OF[name]}, pad_token_id=0)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config)
    return model.eval()


@pytest.mark.parametrize("name", OF)
def test_a_model_is_probed_with_another_neighbour(name: str) -> None:
    """As it was found by trying TRL's packing on each."""
    model = tiny(name)
    model.train()
    reason = why_not_in_one_row(model)
    assert model.training, "the model's mode was changed"
    if name in APART:
        assert reason is None
    else:
        assert reason is not None and "of the text before it" in reason


def test_positions_that_run_on_are_found_though_nothing_is_seen_of_the_neighbour() -> None:
    """A model that looks at its own word and its place alone."""

    class Alone(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = torch.nn.Embedding(60, 60)

        def get_input_embeddings(self) -> Any:
            return self.words

        def forward(self, input_ids: Any, position_ids: Any, **_: Any) -> Any:
            places = torch.arange(input_ids.shape[1])[None, :, None]
            return transformers.modeling_outputs.CausalLMOutput(logits=self.words(input_ids) * (1 + places))

    reason = why_not_in_one_row(Alone())
    assert reason is not None and "from those that it has alone" in reason


@pytest.mark.parametrize(
    "config",
    [
        PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4),
        PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4),
    ],
)
def test_methods_that_put_tokens_first_are_probed_too(config: Any) -> None:
    assert why_not_in_one_row(get_peft_model(tiny("Llama"), config)) is not None


def test_a_model_that_takes_no_positions_cannot_tell_texts_apart() -> None:
    class Blind(torch.nn.Module):
        def forward(self, input_ids: Any) -> Any:
            return input_ids

    assert taken_arguments(Blind()) == {"self", "input_ids"}
    assert "takes no positions" in str(why_not_in_one_row(Blind()))


@pytest.mark.parametrize("name", APART)
def test_packed_and_padding_free_batches_have_the_loss_of_padded_ones(name: str) -> None:
    model = tiny(name)
    draw = torch.Generator().manual_seed(1)
    ids = [torch.randint(1, 60, (3 + row,), generator=draw).tolist() for row in range(6)]
    rows = EncodedTexts(ids, ids, [len(each) for each in ids], [len(each) for each in ids], list(range(6)), [])
    made = packed(rows, 12)
    assert len(made) < 6

    def loss(batch: dict[str, Any]) -> float:
        with torch.no_grad():
            return float(model(**batch).loss)

    takes = taken_arguments(model)
    padded = loss(Collation(0, layout="padded", takes=takes)([rows[row] for row in range(6)]))
    assert loss(Collation(0, layout="packed", takes=takes)(list(made))) == pytest.approx(padded, abs=1e-5)
    for flat in (list(made), [rows[row] for row in range(6)]):
        assert loss(Collation(0, layout="flat", takes=takes)(flat)) == pytest.approx(padded, abs=1e-5)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_split(tmp_path_factory.mktemp("facts") / "data", "prompt_completion")


@pytest.mark.usefixtures("no_reload")
def test_a_step_on_packed_rows_is_a_step_on_padded_ones(llama: Path, facts: Path, tmp_path: Path) -> None:
    """With all rows in one batch, the losses and the weights are the same, whichever way they are laid out."""
    found = {}
    ways = {"padded": {"packing": False}, "packed": {"packing": True}, "free": {"packing": False, "padding_free": True}}
    for name, task in ways.items():
        training = {"max_steps": 3, "batch_size": 64, "lr": 1e-1, "optimizer": "sgd", "logging_steps": 1}
        run = tmp_path / name
        result = adapt_core.run(configuration(llama, facts, run, task=task, training=training))
        lines = adapt_core.load_run(run).folder.read_metrics()
        found[name] = [line["loss"] for line in lines if "loss" in line] + [result["metrics"]["loss"]]
    assert found["packed"] == pytest.approx(found["padded"], abs=1e-4)
    assert found["free"] == pytest.approx(found["padded"], abs=1e-4)
    assert found["padded"][-1] < found["padded"][0]


@pytest.mark.usefixtures("no_reload")
@pytest.mark.parametrize(
    ("task", "method", "says"),
    [
        ({"packing": True}, "full", r"task\.packing: OPTForCausalLM with the method full does not keep texts apart"),
        ({"packing": False, "padding_free": True}, "lora", r"task\.padding_free: OPTForCausalLM with the method lora"),
    ],
)
def test_a_run_on_a_model_that_does_not_keep_texts_apart_is_refused(
    task: dict[str, Any], method: str, says: str, llama: Path, facts: Path, tmp_path: Path
) -> None:
    import shutil

    opt = tmp_path / "opt"
    shutil.copytree(llama, opt)
    config = transformers.OPTConfig(**{**SIZES, **OF["OPT"], "vocab_size": 330})
    transformers.OPTForCausalLM(config).save_pretrained(opt)
    training = {"max_steps": 1}
    with pytest.raises(AdaptError, match=says) as refused:
        adapt_core.run(configuration(opt, facts, tmp_path / "run", task=task, method=method, training=training))
    assert "to false" in str(refused.value.hint)
    run = tmp_path / "padded"
    config = configuration(opt, facts, run, task={"packing": False}, method=method, training=training)
    assert adapt_core.run(config)["steps"] == 1
