"""A step that fails in what the method has added says so; any other failure goes on as it came."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PromptTuningConfig, get_peft_model
from torch import Tensor, nn
from transformers import BertForSequenceClassification, T5Config, T5ForTokenClassification

import adapt_core
from adapt_core import AdaptError
from adapt_core.engines.common.failures import failed_in_method
from adapt_core.terminal.progress import TerminalProgress

pytestmark = pytest.mark.usefixtures("no_reload")
QUICK = {"max_steps": 2}


class InFour(nn.Module):
    """A linear layer that is passed four dimensions, as in a convolutional net with the channels last."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(16, width)

    def forward(self, states: Tensor) -> Tensor:
        out: Tensor = self.linear(states[:, None, None])
        return out[:, 0, 0]


@pytest.fixture
def in_four(toy_config: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes configurations of the toy task on a model with such a layer for a pooler, by the layer's width."""
    import toy_task

    load = toy_task.Toy.load_model

    def make(width: int, method: str) -> dict[str, Any]:
        def loaded(*args: Any, **kwargs: Any) -> Any:
            model = load(*args, **kwargs)
            model.module.bert.pooler.dense = InFour(width)
            return replace(model, hints=replace(model.hints, fresh=()))

        monkeypatch.setattr(toy_task.Toy, "load_model", loaded)
        return dict(toy_config(method={"name": method, "target_modules": ["linear"]}, training=QUICK))

    return make


def test_the_layer_is_named_that_a_method_cannot_run(in_four: Any) -> None:
    config = in_four(16, "gralora")
    with pytest.raises(AdaptError) as caught:
        adapt_core.run(config)
    assert caught.value.message == (
        "method gralora fails on what the model passes to bert.pooler.dense.linear (Linear): "
        "ValueError: too many values to unpack (expected 3)"
    )
    assert "target_modules" in caught.value.hint
    assert isinstance(caught.value.__cause__, ValueError)
    assert not Path(config["output_dir"], "model").exists()


def test_a_method_that_can_runs(in_four: Any) -> None:
    adapt_core.run(in_four(16, "lora"))


def test_what_the_model_fails_in_is_not_laid_to_the_method(in_four: Any) -> None:
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
        adapt_core.run(in_four(8, "lora"))  # the classifier has 16 inputs


def test_nor_what_the_layer_beneath_fails_in(in_four: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(layer: nn.Module, states: Tensor) -> Tensor:
        if type(layer) is nn.Linear and states.dim() == 4:
            raise ValueError("of its own")
        return nn.functional.linear(states, layer.weight, layer.bias)  # type: ignore[arg-type]

    monkeypatch.setattr(nn.Linear, "forward", fail)
    with pytest.raises(ValueError, match="of its own"):
        adapt_core.run(in_four(16, "lora"))


def test_prompts_that_a_model_cannot_take_are_named() -> None:
    """PEFT lengthens the input of a model that classifies tokens, and not its labels."""
    settings = T5Config(vocab_size=9, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, num_labels=3)
    prompts = PromptTuningConfig(
        task_type="TOKEN_CLS", num_virtual_tokens=3, token_dim=8, num_layers=1, num_attention_heads=2
    )
    model = get_peft_model(T5ForTokenClassification(settings), prompts)
    tokens = torch.ones(2, 5, dtype=torch.long)
    with pytest.raises(ValueError, match="batch_size") as caught:
        model(input_ids=tokens, attention_mask=tokens, labels=tokens)
    error = failed_in_method(caught.value, model, "prompt_tuning")
    assert error is not None
    assert error.message.startswith(
        "T5ForTokenClassification fails with the tokens that method prompt_tuning puts before its input: ValueError: "
        "Expected input batch_size (16) to match target batch_size (10)"
    )


@pytest.mark.parametrize(
    ("in_training", "hint"),
    [
        (
            True,
            "Lower training.batch_size (BATCH_SIZE), set training.gradient_checkpointing, or use a method that trains "
            "less.",
        ),
        (False, "Lower training.eval_batch_size (EVAL_BATCH_SIZE)."),
    ],
)
def test_memory_that_runs_out_is_told_by_the_step_that_took_it(
    in_training: bool, hint: str, toy_config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The evaluation is one between the steps of training; the display is put away while the error is on its way."""
    forward = BertForSequenceClassification.forward

    def failing(self: Any, *args: Any, **named: Any) -> Any:
        if self.training == in_training:
            raise torch.OutOfMemoryError("1 GiB")
        return forward(self, *args, **named)

    monkeypatch.setattr(BertForSequenceClassification, "forward", failing)
    progress = TerminalProgress(io.StringIO())
    monkeypatch.setattr("adapt_core.pipeline.run.progress_for", lambda **_: progress)
    training = {**QUICK, "interval": "steps", "interval_steps": 1}
    with pytest.raises(AdaptError, match="The device is out of memory: 1 GiB") as caught:
        adapt_core.run(toy_config(training=training))
    assert caught.value.hint == hint
    assert not progress._display.tasks
