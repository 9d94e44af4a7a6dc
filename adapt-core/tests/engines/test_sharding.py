"""Which layers of a model are sharded one by one, and that a model which was to be sharded is."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from adapt_core.engines.trainer.sharding import layers_to_shard, require_sharded
from adapt_core.errors import AdaptError
from adapt_core.models.architecture import hints_for
from adapt_core.testing.models import MODELS


def chosen(module: nn.Module, wrap: str = "layers", layers: tuple[str, ...] = (), minimum: int = 0) -> list[str]:
    sharding: dict[str, Any] = {"wrap": wrap, "layers": layers, "min_parameters": minimum}
    return layers_to_shard(module, hints_for(module), sharding)


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (("LlamaDecoderLayer", "BertLayer", "Nothing"), "names BertLayer, Nothing, which LlamaForCausalLM lacks"),
        (("LlamaModel", "LlamaMLP"), "names LlamaModel, which holds the model's embeddings"),
    ],
)
def test_named_classes_are_refused_that_are_not_there_or_hold_the_embeddings(
    named: tuple[str, ...], message: str
) -> None:
    with pytest.raises(AdaptError, match=f"launch.transformer_layer_cls_to_wrap {message}"):
        chosen(MODELS["causal_lm"].seeded(), layers=named)


def test_named_classes_go_before_the_model_s_own() -> None:
    model = MODELS["causal_lm"].seeded()
    assert chosen(model) == ["LlamaDecoderLayer"]
    assert chosen(model, layers=("LlamaMLP",)) == ["LlamaMLP"]


def test_parts_of_a_size_are_classes_of_which_none_is_smaller_and_never_around_the_embeddings() -> None:
    model: Any = MODELS["causal_lm"].seeded()
    layer = model.model.layers[0]
    of_layer, of_mlp = (sum(each.numel() for each in part.parameters()) for part in (layer, layer.mlp))
    assert chosen(model, "size", minimum=of_mlp) == ["LlamaDecoderLayer"]
    assert chosen(model, "size", minimum=of_mlp - 1) == ["LlamaDecoderLayer", "LlamaMLP"]
    assert chosen(model, "size", minimum=of_layer) == []


def test_a_model_that_stays_whole_is_an_error() -> None:
    with pytest.raises(AdaptError, match=r"2 of its 2 parameters are whole in each, weight among them"):
        require_sharded(nn.Linear(2, 2))


def test_a_layer_that_attention_reads_past_is_no_part_of_a_size() -> None:
    """torch's attention computes with the weights of its output layer and never calls it: nothing would gather them."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2)
            self.linear = nn.Linear(8, 64)

        def forward(self, states: Any) -> Any:
            return self.linear(self.attention(states, states, states)[0])

    assert chosen(Block(), "size", minimum=50) == ["Block", "Linear", "MultiheadAttention"]
