"""SSF against its closed form, layer by layer, in double precision, and against PEFT's GLoRA, which contains it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from adapt_core import AdaptError, apply_method
from adapt_core.peft.ssf.channels import channels_of, fold
from adapt_core.peft.ssf.config import SsfConfig
from adapt_core.peft.ssf.function import scale_shift
from adapt_core.peft.ssf.layer import SsfLayer
from adapt_core.testing import MODELS

LAYERS: dict[str, tuple[Any, tuple[int, ...], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(6, 4), (3, 5, 6), (1, 1, 4)),
    "linear_without_bias": (lambda: nn.Linear(6, 4, bias=False), (3, 6), (1, 4)),
    "transposed_linear": (lambda: Conv1D(4, 6), (3, 5, 6), (1, 1, 4)),
    "conv1d": (lambda: nn.Conv1d(6, 4, 3), (2, 6, 9), (1, 4, 1)),
    "conv2d": (lambda: nn.Conv2d(6, 4, 3, padding=1), (2, 6, 7, 7), (1, 4, 1, 1)),
    "grouped_conv2d": (lambda: nn.Conv2d(6, 4, 3, groups=2, bias=False), (2, 6, 7, 7), (1, 4, 1, 1)),
    "depthwise_conv2d": (lambda: nn.Conv2d(6, 6, 3, groups=6), (2, 6, 7, 7), (1, 6, 1, 1)),
    "conv_transpose1d": (lambda: nn.ConvTranspose1d(6, 4, 3, groups=2), (2, 6, 9), (1, 4, 1)),
    "conv_transpose2d": (lambda: nn.ConvTranspose2d(6, 4, 3, stride=2), (2, 6, 5, 5), (1, 4, 1, 1)),
    "grouped_conv_transpose2d": (lambda: nn.ConvTranspose2d(6, 4, 3, groups=2), (2, 6, 5, 5), (1, 4, 1, 1)),
    "layer_norm": (lambda: nn.LayerNorm(6), (3, 5, 6), (1, 1, 6)),
    "layer_norm_of_two_dimensions": (lambda: nn.LayerNorm((5, 6)), (3, 5, 6), (1, 1, 6)),
    "layer_norm_without_weight": (lambda: nn.LayerNorm(6, elementwise_affine=False), (3, 6), (1, 6)),
    "batch_norm1d": (lambda: nn.BatchNorm1d(6), (3, 6), (1, 6)),
    "batch_norm1d_of_sequences": (lambda: nn.BatchNorm1d(6), (3, 6, 5), (1, 6, 1)),
    "batch_norm2d": (lambda: nn.BatchNorm2d(6, affine=False), (3, 6, 5, 5), (1, 6, 1, 1)),
}


def adapted(layer: nn.Module, **options: Any) -> SsfLayer:
    """A layer with scale and shift drawn at random."""
    found = SsfLayer(layer, "default", SsfConfig(**options)).double()
    generator = torch.Generator().manual_seed(3)
    for values in (found.ssf_scale, found.ssf_shift):
        values["default"].data = torch.randn(values["default"].shape, generator=generator, dtype=torch.float64) + 1
    return found


@pytest.mark.parametrize("keep", ["input", "output"])
@pytest.mark.parametrize("name", LAYERS)
def test_the_output_is_scaled_and_shifted_and_merging_changes_nothing(name: str, keep: str) -> None:
    make, shape, channels = LAYERS[name]
    torch.manual_seed(0)
    base = make().double().eval()
    inputs = torch.randn(shape, dtype=torch.float64)
    before = base(inputs)
    layer = adapted(base, keep=keep).eval()
    scale, shift = (each["default"].detach().view(channels) for each in (layer.ssf_scale, layer.ssf_shift))
    assert torch.allclose(layer(inputs), scale * before + shift, rtol=0, atol=1e-12)
    layer.merge()
    assert torch.allclose(layer(inputs), scale * before + shift, rtol=0, atol=1e-12)
    assert torch.allclose(layer.get_base_layer()(inputs), scale * before + shift, rtol=0, atol=1e-12)
    layer.unmerge()
    assert torch.allclose(layer.get_base_layer()(inputs), before, rtol=0, atol=1e-12)


def test_embeddings_are_scaled_and_shifted_and_merge() -> None:
    torch.manual_seed(0)
    base = nn.Embedding(9, 4).double()
    ids = torch.tensor([[1, 2], [8, 0]])
    before = base(ids)
    layer = adapted(base)
    expected = layer.ssf_scale["default"] * before + layer.ssf_shift["default"]
    assert torch.allclose(layer(ids), expected)
    layer.merge()
    assert torch.allclose(layer.get_base_layer()(ids), expected)


@pytest.mark.parametrize("axis", [-1, -3])
def test_the_lean_backward_pass_gives_the_gradients_of_the_plain_one(axis: int) -> None:
    torch.manual_seed(0)
    features = torch.randn(2, 4, 3, 4, dtype=torch.float64, requires_grad=True)
    scale = (torch.randn(4, dtype=torch.float64) + 2).requires_grad_()
    shift = torch.randn(4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda y, s, t: scale_shift(y, s, t, axis, keep_output=True), (features, scale, shift)
    )


def test_a_scale_near_zero_is_not_divided_by() -> None:
    layer = adapted(nn.Linear(3, 2))
    layer.ssf_scale["default"].data = torch.tensor([0.0, 1.0], dtype=torch.float64)
    inputs = torch.randn(5, 3, dtype=torch.float64)
    layer(inputs).sum().backward()
    expected = layer.get_base_layer()(inputs).sum(0)
    assert torch.allclose(layer.ssf_scale["default"].grad, expected)


def test_a_scale_that_comes_near_zero_in_training_is_not_divided_by() -> None:
    """Even where what changes it leaves its version alone, as the optimizers of bitsandbytes do."""
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2)).double()
    ssf = apply_method(model, "ssf", target_modules=["0"], keep="output").double().train()
    layer = ssf.base_model.model[0]
    inputs = torch.randn(5, 3, dtype=torch.float64)
    ssf(inputs).sum().backward()
    scale = layer.ssf_scale["default"]
    version, scale.grad = scale._version, None
    scale.data[0] = 0.0
    assert scale._version == version
    ssf(inputs).sum().backward()
    expected = layer.get_base_layer()(inputs).sum(0) * ssf.base_model.model[1].weight.sum(0)
    assert torch.allclose(scale.grad, expected)
    for call in (ssf.eval(), ssf.base_model.model):  # without training, and past the tuner
        scale.grad = None
        call(inputs).sum().backward()
        assert torch.allclose(scale.grad, expected)
    scale.grad = None
    layer(inputs).sum().backward()  # by itself
    assert torch.allclose(scale.grad, layer.get_base_layer()(inputs).sum(0))


def test_the_lean_backward_pass_keeps_less() -> None:
    def kept(keep: str) -> int:
        layer = SsfLayer(nn.Linear(64, 64).requires_grad_(False), "default", SsfConfig(keep=keep))  # type: ignore[arg-type]
        stored: dict[int, int] = {}
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: stored.update({tensor.data_ptr(): tensor.numel()}) or tensor,  # type: ignore[func-returns-value]
            lambda tensor: tensor,
        ):
            torch.nn.functional.gelu(layer(torch.randn(128, 64, requires_grad=True)))
        return sum(stored.values())

    # Plain: what the layer computed and what GELU got; lean: one tensor is both, and the shift.
    assert kept("input") - kept("output") == 128 * 64 - 64


def test_glora_with_vectors_for_a_d_and_e_is_the_same_on_linear_layers() -> None:
    """b + b D + E and W + W A, with A = s - 1 by row, D = s - 1 and E = t (Chavan et al. 2023, arXiv 2306.07967)."""
    from peft import GloraConfig, get_peft_model

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 4), nn.GELU(), nn.Linear(4, 3)).double()
    inputs = torch.randn(7, 5, dtype=torch.float64)
    ssf = apply_method(nn.Sequential(*model), "ssf", target_modules=["0", "2"]).double()
    scales, shifts = {}, {}
    for name, layer in ssf.named_modules():
        if isinstance(layer, SsfLayer):
            key = name.rsplit(".", 1)[-1]
            layer.ssf_scale["default"].data = scales[key] = torch.randn_like(layer.ssf_scale["default"]) + 1
            layer.ssf_shift["default"].data = shifts[key] = torch.randn_like(layer.ssf_shift["default"])
    expected = ssf(inputs)

    torch.manual_seed(0)
    again = nn.Sequential(nn.Linear(5, 4), nn.GELU(), nn.Linear(4, 3)).double()
    config = GloraConfig(target_modules=["0", "2"], config_A_B="vector", config_C="none", config_D_E="vector")
    glora = get_peft_model(again, config).double()
    for name, parameter in glora.named_parameters():
        if "glora_" in name:
            key = name.split(".glora_")[0].rsplit(".", 1)[-1]
            kind = name.split("glora_")[1][0]
            value = {"A": scales[key] - 1, "D": scales[key] - 1, "E": shifts[key]}.get(kind)
            parameter.data = torch.zeros_like(parameter) if value is None else value.view(parameter.shape)
    assert torch.allclose(glora(inputs), expected)


def test_the_normal_initialisation_has_the_papers_deviation() -> None:
    torch.manual_seed(0)
    layer = SsfLayer(nn.Linear(2, 20_000), "default", SsfConfig(init="normal"))
    for values, mean in ((layer.ssf_scale["default"], 1.0), (layer.ssf_shift["default"], 0.0)):
        assert values.mean().item() == pytest.approx(mean, abs=1e-3)
        assert values.std().item() == pytest.approx(0.02, rel=0.05)


def test_two_numbers_a_channel_are_trained() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(32, 5), nn.LayerNorm(5))
    ssf = apply_method(model, "ssf")
    assert sum(each.numel() for each in ssf.parameters() if each.requires_grad) == 2 * (8 + 8 + 5 + 5)
    only = apply_method(nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3)), "ssf", operations=["layer_norm"])
    assert sum(each.numel() for each in only.parameters() if each.requires_grad) == 2 * 3


def test_a_model_without_the_operations_is_refused() -> None:
    with pytest.raises(AdaptError, match="none of the operations conv outside its head"):
        apply_method(nn.Sequential(nn.Linear(4, 3)), "ssf", operations=["conv"])
    with pytest.raises(TypeError, match="SSF cannot scale and shift a GELU"):
        channels_of(nn.GELU())


def test_quantized_weights_are_not_merged_into() -> None:
    layer = nn.Linear(4, 3)
    layer.weight = nn.Parameter(torch.zeros(3, 4, dtype=torch.int8), requires_grad=False)
    with pytest.raises(TypeError, match="quantized"):
        fold(layer, torch.ones(3), torch.zeros(3))


def test_an_activation_in_place_after_it_does_no_harm() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(inplace=True), nn.Linear(3, 2))
    apply_method(model, "ssf")(torch.randn(5, 4)).sum().backward()
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    ssf = apply_method(net, "ssf")
    torch.relu_(ssf(torch.randn(2, 3, 5, 5))).sum().backward()


@pytest.mark.parametrize("widths", [[16, 32], [8, 8]])
def test_convnexts_normalisation_over_the_first_axis_is_scaled_there(widths: list[int]) -> None:
    """With images as wide as there are channels, the wrong axis would go unnoticed but for merging."""
    from transformers import ConvNextConfig, ConvNextForImageClassification

    torch.manual_seed(0)
    settings = ConvNextConfig(hidden_sizes=widths, depths=[1, 1], num_stages=2, image_size=16, patch_size=2)
    ssf = apply_method(ConvNextForImageClassification(settings), "ssf", init="normal").eval()
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        outputs = ssf(images).logits
        assert torch.allclose(ssf.merge_and_unload()(images).logits, outputs, atol=1e-6)


def test_an_output_that_the_model_adds_to_in_place_is_not_kept() -> None:
    """Falcon's blocks do; the others of its layers keep theirs, and dropout is drawn as without the look at them."""
    from transformers import FalconConfig, FalconForCausalLM

    torch.manual_seed(0)
    settings = FalconConfig(
        vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, hidden_dropout=0.5
    )
    ids = torch.randint(1, 50, (2, 6))
    state = FalconForCausalLM(settings).state_dict()
    found = {}
    for keep in ("input", "auto"):
        base = FalconForCausalLM(settings)
        base.load_state_dict(state)
        ssf = apply_method(base, "ssf", keep=keep).train()
        torch.manual_seed(1)
        loss = ssf(input_ids=ids, labels=ids).loss
        loss.backward()
        gradients = {name: each.grad for name, each in ssf.named_parameters() if each.requires_grad}
        found[keep] = (loss.detach(), gradients)
    layers = {name: layer for name, layer in ssf.named_modules() if isinstance(layer, SsfLayer)}
    assert {name.rsplit(".", 1)[-1] for name, layer in layers.items() if not layer.keep["default"]} == {"dense_4h_to_h"}
    assert any(layer.keep["default"] for layer in layers.values())
    assert torch.equal(found["input"][0], found["auto"][0])
    for name, gradient in found["input"][1].items():
        assert torch.allclose(found["auto"][1][name], gradient, atol=1e-6), name


def test_running_statistics_are_moved_once_a_step() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    model[1].momentum = 0.5
    ssf = apply_method(model, "ssf", train_batch_norm=True).train()
    inputs = torch.randn(6, 4)
    expected = 0.5 * nn.functional.linear(inputs, model[0].weight, model[0].bias).mean(0)
    ssf(inputs)
    (norm,) = [each for each in ssf.modules() if isinstance(each, nn.BatchNorm1d) and each.weight.requires_grad]
    assert torch.allclose(norm.running_mean, expected, atol=1e-6)


def kept(model: nn.Module) -> dict[str, bool | None]:
    """Which layers keep their output; None where it is not known yet."""
    return {name: each.keep["default"] for name, each in model.named_modules() if isinstance(each, SsfLayer)}


@pytest.mark.parametrize("name", list(MODELS))
def test_what_to_keep_is_known_from_the_first_step_on_in_every_architecture(name: str) -> None:
    tiny = MODELS[name]
    ssf: Any = apply_method(tiny.seeded(), "ssf").train()
    assert set(kept(ssf).values()) == {None}
    ssf(**tiny.batch())
    assert None not in kept(ssf).values() and True in kept(ssf).values()


def test_a_failed_look_at_what_follows_the_layers_leaves_nothing_behind() -> None:
    class Narrow(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if len(x) > 2:
                raise RuntimeError("no room")
            return x

    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), Narrow())
    ssf = apply_method(model, "ssf", train_batch_norm=True).train()
    before = {name: each.clone() for name, each in ssf.named_buffers()}
    with pytest.raises(RuntimeError, match="no room"):
        ssf(torch.randn(5, 4))
    layers = [each for each in ssf.modules() if isinstance(each, SsfLayer)]
    assert layers and all(each.seen is None and each.undecided for each in layers)
    assert all(torch.equal(each, before[name]) for name, each in ssf.named_buffers())
    ssf(torch.randn(2, 4)).sum().backward()
    assert not any(each.undecided for each in layers)
    assert not ssf.merge_and_unload()._forward_pre_hooks


def test_several_adapters_of_one_base_can_be_switched(tmp_path: Path) -> None:
    import peft

    import adapt_core.peft  # noqa: F401  # makes SSF known to PEFT

    torch.manual_seed(0)
    base = nn.Sequential(nn.Linear(4, 3))
    state = {name: value.clone() for name, value in base.state_dict().items()}
    inputs = torch.randn(2, 4)
    outputs = []
    for index in range(2):
        fresh = nn.Sequential(nn.Linear(4, 3))
        fresh.load_state_dict(state)
        ssf = apply_method(fresh, "ssf", init="normal")
        outputs.append(ssf(inputs).detach())
        ssf.save_pretrained(tmp_path / str(index))
    both = peft.PeftModel.from_pretrained(base, tmp_path / "0", adapter_name="first")
    both.load_adapter(tmp_path / "1", adapter_name="second")
    assert torch.allclose(both(inputs), outputs[0])
    both.set_adapter("second")
    assert torch.allclose(both(inputs), outputs[1])
    with both.disable_adapter():
        assert torch.allclose(both(inputs), nn.functional.linear(inputs, state["0.weight"], state["0.bias"]))
