"""Bottleneck adapters against the papers' equations, written out in double precision, and as PEFT uses them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, get_args

import peft
import pytest
import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

import adapt_core.peft
from adapt_core import apply_method
from adapt_core.methods.bottleneck.options import BottleneckOptions
from adapt_core.models.counting import count_parameters
from adapt_core.peft import BottleneckConfig
from adapt_core.peft.bottleneck.config import FORMS
from adapt_core.peft.bottleneck.layer import NON_LINEARITIES, BottleneckLayer
from adapt_core.testing import MODELS
from adapt_core.testing.models import WIDTH

DERIVATIVES: dict[str, Any] = {
    "relu": (lambda z: z.clamp(min=0), lambda z: (z > 0).to(z.dtype)),
    "leaky_relu": (lambda z: torch.where(z > 0, z, 0.01 * z), lambda z: 0.01 + 0.99 * (z > 0).to(z.dtype)),
    "tanh": (torch.tanh, lambda z: 1 - torch.tanh(z) ** 2),
    "silu": (lambda z: z * torch.sigmoid(z), lambda z: torch.sigmoid(z) * (1 + z * (1 - torch.sigmoid(z)))),
    "gelu": (
        lambda z: z * (1 + torch.erf(z / 2**0.5)) / 2,
        lambda z: (1 + torch.erf(z / 2**0.5)) / 2 + z * torch.exp(-(z**2) / 2) / (2 * torch.pi) ** 0.5,
    ),
}
"""Each function and its derivative."""


def drawn(module: nn.Module) -> Any:
    """The module in double precision, the second layers of its bottlenecks no longer zero."""
    module.double()
    with torch.no_grad():
        for name, each in module.named_parameters():
            if "bottleneck_" in name:
                each.copy_(torch.randn(each.shape, dtype=torch.float64))
    return module.eval()


def bottleneck(layer: Any, x: Tensor, scaling: float = 1.0, adapter: str = "default") -> Any:
    """``s * (relu(x D' + d) U' + u)`` with the parameters of a layer."""
    down, up = layer.bottleneck_down[adapter], layer.bottleneck_up[adapter]
    return scaling * ((x @ down.weight.T + down.bias).clamp(min=0) @ up.weight.T + up.bias)


@pytest.mark.parametrize("kind", ["linear", "transposed"])
@pytest.mark.parametrize("form", ["serial", "parallel"])
@pytest.mark.parametrize("non_linearity", NON_LINEARITIES)
def test_outputs_and_gradients_are_those_of_the_equations(non_linearity: str, form: Any, kind: str) -> None:
    """With g the gradient of the output, a = f(z), z = D x + d: those of He et al. 2021, table 1, by the chain rule."""
    torch.manual_seed(0)
    base = nn.Linear(6, 8) if kind == "linear" else Conv1D(8, 6)
    config = BottleneckConfig(form=form, non_linearity=non_linearity, reduction_factor=2, scaling=1.7)
    layer = drawn(BottleneckLayer(base.requires_grad_(False), "default", config))
    inputs = torch.randn(5, 6, dtype=torch.float64, requires_grad=True)
    g = torch.randn(5, 8, dtype=torch.float64)
    result = layer(inputs)
    result.backward(g)

    weight = base.weight if kind == "transposed" else base.weight.T
    down, up = layer.bottleneck_down["default"], layer.bottleneck_up["default"]
    function, derivative = DERIVATIVES[non_linearity]
    with torch.no_grad():
        h = inputs @ weight + base.bias
        x = h if form == "serial" else inputs
        z = x @ down.weight.T + down.bias
        a = function(z)
        inner = 1.7 * (g @ up.weight) * derivative(z)
        through = inner @ down.weight
        expected = {
            "result": (result, h + 1.7 * (a @ up.weight.T + up.bias)),
            "U": (up.weight.grad, 1.7 * g.T @ a),
            "u": (up.bias.grad, 1.7 * g.sum(0)),
            "D": (down.weight.grad, inner.T @ x),
            "d": (down.bias.grad, inner.sum(0)),
            "x": (inputs.grad, (g + through) @ weight.T if form == "serial" else g @ weight.T + through),
        }
    for name, (found, right) in expected.items():
        assert torch.allclose(found, right, rtol=0, atol=1e-12), name


def test_the_feed_forward_of_llama_with_an_adapter_beside_it() -> None:
    base: Any = MODELS["causal_lm"].seeded().double()
    x = torch.randn(2, 3, WIDTH, dtype=torch.float64)
    alone = base.model.layers[0].mlp(x)
    adapted = drawn(apply_method(base, "bottleneck", placement="pfeiffer", form="parallel", scaling=4.0))
    mlp = adapted.base_model.model.model.layers[0].mlp
    assert torch.allclose(mlp(x), alone + bottleneck(mlp.down_proj, x, 4.0), rtol=0, atol=1e-12)


def test_the_feed_forward_of_bert_which_is_two_modules() -> None:
    base: Any = MODELS["encoder"].seeded().double()
    block = base.bert.encoder.layer[0]
    x = torch.randn(2, 3, WIDTH, dtype=torch.float64)
    alone = block.output.dense(block.intermediate(x))
    drawn(apply_method(base, "bottleneck", placement="pfeiffer", form="parallel"))
    expected = block.output.LayerNorm(alone + bottleneck(block.output.dense, x) + x)
    assert torch.allclose(block.output(block.intermediate(x), x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("form", ["serial", "parallel"])
def test_attention_to_an_encoder_reads_the_decoder(form: str) -> None:
    base: Any = MODELS["encoder_decoder"].seeded().double()
    attention = base.decoder.block[1].layer[1].EncDecAttention
    x, memory = torch.randn(2, 3, WIDTH, dtype=torch.float64), torch.randn(2, 7, WIDTH, dtype=torch.float64)
    alone = attention(x, key_value_states=memory)[0]
    drawn(apply_method(base, "bottleneck", form=form))
    expected = alone + bottleneck(attention.o, alone if form == "serial" else x)
    assert torch.allclose(attention(x, key_value_states=memory)[0], expected, rtol=0, atol=1e-12)


T5_ENCODER = ["encoder.block.{}.layer.0.SelfAttention.o", "encoder.block.{}.layer.1.DenseReluDense.wo"]
T5_DECODER = [
    "decoder.block.{}.layer.0.SelfAttention.o",
    "decoder.block.{}.layer.1.EncDecAttention.o",
    "decoder.block.{}.layer.2.DenseReluDense.wo",
]
PLACES = {
    "encoder": ["bert.encoder.layer.{}.attention.output.dense", "bert.encoder.layer.{}.output.dense"],
    "causal_lm": ["model.layers.{}.self_attn.o_proj", "model.layers.{}.mlp.down_proj"],
    "tied_lm": ["transformer.h.{}.attn.c_proj", "transformer.h.{}.mlp.c_proj"],
    "encoder_decoder": [*T5_ENCODER, *T5_DECODER],
    "vision_transformer": ["vit.layers.{}.attention.o_proj", "vit.layers.{}.mlp.fc2"],
}


@pytest.mark.parametrize("model", PLACES)
@pytest.mark.parametrize("placement", ["houlsby", "pfeiffer"])
def test_adapters_are_at_the_ends_of_sublayers(model: str, placement: str) -> None:
    names = PLACES[model]
    if placement == "pfeiffer":
        names = [T5_ENCODER[-1], T5_DECODER[-1]] if model == "encoder_decoder" else names[-1:]
    expected = {name.format(index) for name in names for index in range(2)}
    adapted: Any = apply_method(MODELS[model].seeded(), "bottleneck", placement=placement)
    whole = adapted.base_model.model
    assert {name for name, each in whole.named_modules() if isinstance(each, BottleneckLayer)} == expected


def test_the_last_layer_is_told_by_its_width_where_it_is_not_named_last() -> None:
    from transformers import Phi3Config, Phi3ForCausalLM

    shape: Any = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64}
    module = Phi3ForCausalLM(Phi3Config(**shape, vocab_size=60, pad_token_id=0))
    adapted: Any = apply_method(module, "bottleneck")
    found = [name for name, each in adapted.base_model.model.named_modules() if isinstance(each, BottleneckLayer)]
    assert found == ["model.layers.0.self_attn.o_proj", "model.layers.0.mlp.down_proj"]


@pytest.mark.parametrize(("placement", "expected"), [("houlsby", 2_379_264), ("pfeiffer", 1_189_632)])
def test_bert_base_with_houlsbys_64_has_the_parameters_of_the_closed_form(placement: str, expected: int) -> None:
    from transformers import BertConfig, BertModel

    width, inner, blocks = 768, 64, 12
    one = 2 * width * inner + width + inner  # D and U, u, d
    assert one == 99_136
    assert blocks * (2 if placement == "houlsby" else 1) * one == expected
    with torch.device("meta"):
        module = apply_method(BertModel(BertConfig()), "bottleneck", placement=placement, reduction_factor=12)
    assert count_parameters(module)["trainable"] == expected


def test_an_adapter_is_never_narrower_than_one() -> None:
    layer = BottleneckLayer(nn.Linear(3, 5), "default", BottleneckConfig(reduction_factor=16))
    assert layer.bottleneck_down["default"].weight.shape == (1, 5)


def test_dropout_acts_inside_the_bottleneck_and_in_training_only() -> None:
    layer = BottleneckLayer(nn.Linear(4, 8), "default", BottleneckConfig(reduction_factor=1, dropout=0.5))
    down: Any = layer.bottleneck_down["default"]
    up: Any = layer.bottleneck_up["default"]
    with torch.no_grad():
        down.weight.zero_(), down.bias.fill_(1), up.weight.copy_(torch.eye(8))  # adds its activations, which are one
    inputs = torch.randn(50, 4)
    torch.manual_seed(0)
    added = (layer.train()(inputs) - layer.base_layer(inputs)).round(decimals=4)
    assert sorted(added.unique().tolist()) == [0.0, 2.0]
    assert torch.allclose(layer.eval()(inputs) - layer.base_layer(inputs), torch.ones(50, 8), atol=1e-6)


def test_adapters_load_with_peft_alone_and_can_be_switched(tmp_path: Path) -> None:
    """Two on one base, one in series at every sublayer and one beside the feed-forwards, as PEFT's own functions do."""
    tiny = MODELS["encoder"]
    batch = tiny.batch()
    outputs = {}
    beside: dict[str, Any] = {"placement": "pfeiffer", "form": "parallel", "scaling": 2.0}
    for name, options in (("serial", {}), ("parallel", beside)):
        adapted = drawn(apply_method(tiny.seeded(), "bottleneck", **options)).float()
        outputs[name] = adapted(**batch).logits
        adapted.save_pretrained(tmp_path / name)
    before = tiny.seeded()(**batch).logits
    both: Any = peft.PeftModel.from_pretrained(tiny.seeded(), tmp_path / "serial", adapter_name="serial")
    both.load_adapter(tmp_path / "parallel", adapter_name="parallel")
    assert both.peft_config["parallel"].peft_type == "BOTTLENECK"
    both.eval()
    for name in ("serial", "parallel", "serial"):
        both.set_adapter(name)
        assert torch.allclose(both(**batch).logits, outputs[name], atol=1e-5), name
    with both.disable_adapter():
        assert torch.equal(both(**batch).logits, before)
    both.set_adapter("parallel")
    both.delete_adapter("serial")
    assert torch.allclose(both(**batch).logits, outputs["parallel"], atol=1e-5)
    plain = both.unload()
    assert torch.equal(plain(**batch).logits, before)
    assert not any(each._forward_pre_hooks for each in plain.modules())


def test_a_copy_reads_its_own_inputs() -> None:
    tiny = MODELS["causal_lm"]
    adapted = drawn(apply_method(tiny.seeded(), "bottleneck", form="parallel")).float()
    expected = adapted(**tiny.batch()).logits
    assert torch.equal(copy.deepcopy(adapted)(**tiny.batch()).logits, expected)


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("form", ["serial", "parallel"])
def test_gradient_checkpointing_changes_no_gradient(form: str, reentrant: bool) -> None:
    tiny = MODELS["encoder"]
    gradients = []
    for checkpointing in (False, True):
        adapted: Any = drawn(apply_method(tiny.seeded(), "bottleneck", form=form)).train()
        if checkpointing:
            adapted.enable_input_require_grads()
            adapted.gradient_checkpointing_enable({"use_reentrant": reentrant})
        adapted(**tiny.batch()).loss.backward()
        gradients.append({name: each.grad for name, each in adapted.named_parameters() if each.requires_grad})
    assert all(torch.allclose(gradients[0][name], gradients[1][name]) for name in gradients[0])


@pytest.mark.parametrize("form", ["serial", "parallel"])
def test_a_base_in_half_precision_gets_adapters_in_single(form: str) -> None:
    tiny = MODELS["encoder_decoder"]
    adapted: Any = apply_method(tiny.seeded().to(torch.bfloat16), "bottleneck", form=form)
    assert {each.dtype for each in adapted.parameters() if each.requires_grad} == {torch.float32}
    result = adapted(**tiny.batch())
    assert result.logits.dtype == torch.bfloat16
    result.loss.backward()


def test_quantized_weights_are_only_called() -> None:
    class Quantized(nn.Linear):
        """Keeps its weight in integers of an eighth, as bitsandbytes keeps codes."""

        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.linear(x, self.weight.to(x.dtype) / 8, self.bias)

    base = Quantized(4, 3)
    base.weight = nn.Parameter(torch.randint(-8, 8, (3, 4), dtype=torch.int8), requires_grad=False)
    layer: Any = BottleneckLayer(base, "default", BottleneckConfig(reduction_factor=1))
    assert layer.bottleneck_down["default"].weight.dtype == torch.float32
    nn.init.normal_(layer.bottleneck_up["default"].weight)
    inputs = torch.randn(5, 4)
    h = base(inputs)
    assert torch.allclose(layer(inputs), h + bottleneck(layer, h))


def test_named_layers_get_an_adapter_that_reads_their_own_input() -> None:
    module = nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 2))
    adapted = drawn(apply_method(module, "bottleneck", target_modules=["2"], form="parallel", reduction_factor=2))
    assert adapted.base_model.model[2].bottleneck_down["default"].weight.shape == (3, 6)
    assert not isinstance(adapted.base_model.model[0], BottleneckLayer)


def test_the_options_name_what_there_is() -> None:
    fields = BottleneckOptions.model_fields
    assert get_args(fields["non_linearity"].annotation) == tuple(NON_LINEARITIES)
    assert get_args(fields["form"].annotation) == FORMS
    assert adapt_core.peft.BottleneckConfig().non_linearity == fields["non_linearity"].default
