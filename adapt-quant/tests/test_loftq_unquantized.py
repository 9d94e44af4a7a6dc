"""LoftQ's start on unquantized weights, against the algorithm in NumPy and the published table of NF4."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from adapt_core import AdaptError, ConfigError, apply_method
from adapt_core.bundles import Hints
from adapt_core.methods.lora.loftq import LoftQ
from adapt_core.methods.lora.nf4_residual import alternate
from adapt_core.methods.lora.options import LoraOptions
from adapt_core.pipeline.resources import require_space_for
from adapt_core.runs.folder import RunFolder
from adapt_core.testing import MODELS

R = 4
LOFTQ: dict[str, Any] = {"init_lora_weights": "loftq", "r": R, "dropout": 0.0}
LAYER = "model.layers.0.mlp.up_proj"

# QLoRA (Dettmers et al. 2023, arXiv 2305.14314), appendix E.
NF4 = np.array(
    [
        -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
        -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
        0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
        0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
    ]
)  # fmt: skip


def nf4(weight: np.ndarray) -> np.ndarray:
    """The nearest values of the table, scaled by the largest of each block of 64."""
    blocks = weight.reshape(-1, 64)
    scale = np.abs(blocks).max(axis=1, keepdims=True)
    nearest = np.abs(blocks[:, :, None] / scale[:, :, None] - NF4).argmin(axis=2)
    return (NF4[nearest] * scale).reshape(weight.shape)


def algorithm(weight: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The paper's algorithm 1: the quantized weight and the update."""
    update = np.zeros_like(weight)
    for _ in range(steps):
        quantized = nf4(weight - update)
        left, singular, right = np.linalg.svd(weight - quantized, full_matrices=False)
        update = (left[:, :R] * singular[:R]) @ right[:R]
    return quantized, update


def adapted(name: str, folder: Path, **options: Any) -> tuple[LoftQ, Any]:
    """The method and a model of a kind that carries its start; ``folder/original`` is the base."""
    module: Any = MODELS[name].seeded()
    module.save_pretrained(folder / "original")
    method = LoftQ(LoraOptions(**{**LOFTQ, **options}))
    return method, method.apply(type(module).from_pretrained(folder / "original"), hints(name)).eval()


def hints(name: str) -> Hints:
    """Where there is a head, it is newly made and trained whole."""
    return Hints(head=MODELS[name].fresh, fresh=MODELS[name].fresh)


def inner(module: Any, name: str) -> Any:
    return module.get_submodule(f"base_model.model.{name}")


@pytest.mark.parametrize("alpha", [R, 16])
@pytest.mark.parametrize("steps", [1, 3])
def test_it_is_the_papers_algorithm(steps: int, alpha: int, tmp_path: Path) -> None:
    weight = MODELS["causal_lm"].seeded().get_submodule(LAYER).weight.detach().double().numpy()  # type: ignore[union-attr]
    quantized, update = algorithm(weight, steps)
    layer = inner(adapted("causal_lm", tmp_path, loftq_iter=steps, alpha=alpha)[1], LAYER)
    found = layer.base_layer.weight.detach().double().numpy()
    # A value half-way between two of the table may go to either in float32.
    assert (np.abs(found - quantized) < 1e-6).mean() > 0.999
    assert np.linalg.norm(layer.get_delta_weight("default").detach().double().numpy() - update) < 0.02 * np.linalg.norm(
        update
    )


def test_more_steps_leave_less(tmp_path: Path) -> None:
    weight = MODELS["causal_lm"].seeded().get_submodule(LAYER).weight.detach()  # type: ignore[union-attr]
    left = [float(np.linalg.norm(weight.numpy() - nf4(weight.double().numpy())))]
    for steps in (1, 5):
        layer = inner(adapted("causal_lm", tmp_path / str(steps), loftq_iter=steps)[1], LAYER)
        left.append(float((weight - layer.base_layer.weight - layer.get_delta_weight("default")).detach().norm()))
    assert left[0] > left[1] > left[2] > 0


@pytest.mark.parametrize("name", ["causal_lm", "tied_lm", "encoder"])
def test_plain_transformers_and_peft_load_what_is_saved(name: str, tmp_path: Path) -> None:
    """The base beside the adapter, named in its configuration; the original is not needed."""
    from peft import PeftConfig, PeftModel
    from safetensors.torch import load_file

    tiny = MODELS[name]
    method, module = adapted(name, tmp_path)
    for parameter in module.parameters():
        if parameter.requires_grad:
            parameter.data.add_(torch.randn_like(parameter) * 0.02)
    with torch.no_grad():
        expected = module(**tiny.batch_for(module)).logits
    method.save(module, tmp_path / "model")
    saved = load_file(tmp_path / "model" / "adapter_model.safetensors")
    heads = tuple(f"base_model.model.{each}" for each in tiny.fresh) or "none"
    assert all("lora_" in key or key.startswith(heads) for key in saved)
    path = PeftConfig.from_pretrained(str(tmp_path / "model")).base_model_name_or_path
    assert Path(str(path)) == tmp_path / "model" / "base"
    base: Any = type(module.get_base_model()).from_pretrained(path)
    tied = set(base.all_tied_weights_keys)
    assert set(load_file(tmp_path / "model" / "base" / "model.safetensors")) == set(base.state_dict()) - tied
    with torch.no_grad():
        again = PeftModel.from_pretrained(base, tmp_path / "model").eval()
        assert torch.equal(again(**tiny.batch()).logits, expected)
        merged = method.merge(again).eval()
        assert torch.allclose(merged(**tiny.batch()).logits, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["causal_lm", "tied_lm"])
def test_loading_the_saved_base_in_4_bits_loses_nothing(name: str, tmp_path: Path) -> None:
    """What the start is for: its weights are those that a base in 4 bits has, in transposed layers too."""
    from bitsandbytes.functional import dequantize_4bit
    from transformers import BitsAndBytesConfig

    method, module = adapted(name, tmp_path, loftq_iter=2)
    method.save(module, tmp_path / "model")
    plain: Any = type(module.get_base_model()).from_pretrained(tmp_path / "model" / "base")
    settings = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32)
    packed = type(plain).from_pretrained(tmp_path / "model" / "base", quantization_config=settings, dtype=torch.float32)
    layers = {name: each for name, each in packed.named_modules() if type(each).__name__ == "Linear4bit"}
    assert len(layers) >= 8
    for name, layer in layers.items():
        values = dequantize_4bit(layer.weight.data, layer.weight.quant_state)
        held = plain.get_submodule(name)
        assert torch.equal(values, held.weight.T if type(held).__name__ == "Conv1D" else held.weight), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(96, 100), (10, 10), (5, 7)])
def test_blocks_run_on_from_row_to_row(shape: tuple[int, int], dtype: torch.dtype) -> None:
    """A row need be no whole number of blocks, nor the weight; what is put in its place has its dtype."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    linear = torch.nn.Linear(shape[1], shape[0], bias=False).to(dtype)
    weight = linear.weight.detach().double().numpy().copy()
    module: Any = get_peft_model(torch.nn.Sequential(linear), LoraConfig(r=R, target_modules=["0"]))
    layer = module.base_model.model[0]
    with torch.no_grad():
        alternate(layer, 1)
    found = layer.base_layer.weight
    assert found.dtype == dtype
    flat = np.zeros(-(-weight.size // 64) * 64)
    flat[: weight.size] = weight.ravel()
    expected = torch.from_numpy(nf4(flat)[: weight.size].reshape(shape)).to(dtype)
    assert (found == expected).double().mean() > (0.999 if dtype == torch.float32 else 0.98)
    left = np.linalg.svd(weight - found.detach().double().numpy(), compute_uv=False)
    rest = weight - (found.detach().double() + layer.get_delta_weight("default").detach().double()).numpy()
    assert np.linalg.norm(rest) == pytest.approx(np.sqrt((left[R:] ** 2).sum()), rel=1e-2, abs=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target_modules": ["embed_tokens"]}, r"quantizes the weights of linear layers, and none in LlamaForCausalLM"),
        (
            {"alpha_pattern": {"layers.1.self_attn.q_proj": 0.0}},
            r"cannot decompose .* model\.layers\.1\.self_attn\.q_proj",
        ),
    ],
)
def test_what_it_cannot_start_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(AdaptError, match=message):
        apply_method(MODELS["causal_lm"].seeded(), "lora", **LOFTQ, **options)


def test_parameters_that_are_no_layers_are_refused() -> None:
    with pytest.raises(ConfigError, match="loftq starts the updates of layers; remove target_parameters"):
        apply_method(MODELS["causal_lm"].seeded(), "lora", **LOFTQ, target_parameters=["q_proj.weight"])


def test_there_must_be_room_for_the_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it only the adapter would be saved: a few thousand bytes."""
    method, module = adapted("causal_lm", tmp_path)
    assert method.changes_base
    asked: list[dict[str, int]] = []
    monkeypatch.setattr("adapt_core.pipeline.resources.require_space", lambda _, needs: asked.append(dict(needs)))
    plan = SimpleNamespace(
        method=SimpleNamespace(spec=SimpleNamespace(saves="adapter")),
        training=SimpleNamespace(checkpoints=1, interval="steps", do_train=True),
        saver=None,
        quantizer=None,
    )
    for with_base in (True, False):
        require_space_for(plan, RunFolder(tmp_path), module, with_base=with_base)  # type: ignore[arg-type]
    sizes = [(each.numel() * each.element_size(), each.requires_grad) for each in module.parameters()]
    assert asked[0]["model/"] == sum(size for size, _ in sizes)
    assert asked[1]["model/"] == sum(size for size, trains in sizes if trains)


def test_a_layer_that_shares_its_weight_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdaptError, match=r"quantize the weight of lm_head, which is also transformer.wte.weight"):
        adapted("tied_lm", tmp_path, target_modules=["c_attn", "lm_head"])


def test_what_cannot_be_saved_beside_the_adapter_is_refused() -> None:
    class Savable(torch.nn.Sequential):
        def save_pretrained(self, folder: Path) -> None: ...

    with pytest.raises(AdaptError, match="saves that base as a model of transformers, which Savable is not"):
        apply_method(Savable(torch.nn.Linear(8, 8)), "lora", **LOFTQ)


def test_without_bitsandbytes_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(AdaptError, match="Install adapt-quant"):
        apply_method(MODELS["causal_lm"].seeded(), "lora", **LOFTQ)


def test_steps_belong_to_unquantized_weights() -> None:
    with pytest.raises(ConfigError, match="loftq_iter belongs to init_lora_weights=loftq"):
        apply_method(MODELS["causal_lm"].seeded(), "lora", loftq_iter=2)
    with pytest.raises(ConfigError, match="loftq_iter: unknown option"):
        apply_method(MODELS["causal_lm"].seeded(), "dora", loftq_iter=2)
