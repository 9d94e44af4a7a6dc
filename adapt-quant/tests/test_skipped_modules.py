"""What ``skip_modules`` names stays whole, with all that is in it, and nothing else does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import transformers
from quantized_models import quantized, quantizer
from torch import nn

import adapt_core
from adapt_core.errors import AdaptError
from adapt_core.testing import MODELS

BLOCK = {
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
}
BODY = {f"bert.encoder.layer.{index}.{name}" for index in (0, 1) for name in BLOCK} | {"bert.pooler.dense"}
"""The linear layers of the tiny BERT but its head."""


def ending(*parts: str) -> set[str]:
    return {name for name in BODY if re.search(rf"\b({'|'.join(parts)})\b", name)}


def linear(module: nn.Module) -> set[str]:
    """The layers that are not quantized."""
    return {name for name, each in module.named_modules() if type(each) is nn.Linear}


@pytest.mark.parametrize("width", ["bnb_4bit", "bnb_8bit"])
@pytest.mark.parametrize(
    ("skipped", "whole"),
    [
        ([], set()),
        (["pooler"], {"bert.pooler.dense"}),
        (["bert.pooler"], {"bert.pooler.dense"}),
        (["pooler.dense"], {"bert.pooler.dense"}),
        (["attention"], ending("attention")),
        (["query"], ending("query")),
        (["self.query", "pooler"], ending("query", "pooler")),
        (["dense"], ending("dense")),
        (["layer.1"], ending("layer.1")),
        (["attention.output"], ending("attention.output")),
        (["classifier"], set()),
    ],
)
def test_all_linear_layers_in_a_skipped_module_stay_whole(
    width: str, skipped: list[str], whole: set[str], tmp_path: Path
) -> None:
    plain = MODELS["encoder"].seeded()
    assert linear(plain) == {*BODY, "classifier"}
    module, _ = quantized(plain, tmp_path, width, skip_modules=skipped)
    assert linear(module) == {*whole, "classifier"}


@pytest.mark.parametrize("skipped", ["pooler", "attention", "query"])
def test_the_code_in_a_model_card_skips_the_same(skipped: str) -> None:
    using = quantizer("bnb_4bit", skip_modules=[skipped])
    code = f"dict({using.load_code(['classifier'])})"
    arguments = eval(code, {"torch": torch, "transformers": transformers})
    settings = using.load_kwargs(["classifier"])["quantization_config"]
    assert arguments["quantization_config"].to_dict() == settings.to_dict()


@pytest.mark.parametrize(
    ("skipped", "near"),
    [
        ("querry", "did you mean 'query'"),
        ("bert.poler", "did you mean 'bert.pooler'"),
        ("ooler", "did you mean 'pooler'"),  # the end of a name, and not after a dot
        ("LayerNorm", "has no linear layer in it"),
        ("layer.*", "did you mean|known: "),  # no regular expression
    ],
)
def test_a_name_that_covers_no_linear_layer_is_an_error(skipped: str, near: str, tmp_path: Path) -> None:
    with pytest.raises(AdaptError, match=rf"'{re.escape(skipped)}' .*({near})"):
        quantized(MODELS["encoder"].seeded(), tmp_path, "bnb_4bit", skip_modules=[skipped])


@pytest.mark.parametrize("width", ["bnb_4bit", "bnb_8bit"])
def test_a_skipped_module_can_be_trained_whole(width: str, tmp_path: Path) -> None:
    tiny = MODELS["encoder"]
    module, _ = quantized(tiny.seeded(), tmp_path, width, skip_modules=["pooler"])
    before = module.bert.pooler.dense.weight.detach().clone()
    adapted = adapt_core.apply_method(module, "lora", modules_to_save=["pooler"]).train()
    optimizer = torch.optim.SGD([each for each in adapted.parameters() if each.requires_grad], 0.1)
    adapted(**tiny.batch_for(adapted)).loss.backward()
    optimizer.step()
    name = "base_model.model.bert.pooler.modules_to_save.default.dense.weight"
    assert not torch.equal(adapted.get_parameter(name), before)
