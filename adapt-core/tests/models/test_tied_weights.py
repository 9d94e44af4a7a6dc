"""Adapters on layers that share their weights with others: merging changes no outputs, here or when loaded again."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from adapt_core import AdaptError, apply_method
from adapt_core.bundles import Hints, Model
from adapt_core.config.validate import validate_options
from adapt_core.kinds import Kind
from adapt_core.methods.lora.method import Lora
from adapt_core.methods.lora.options import LoraOptions
from adapt_core.models.architecture import hints_for
from adapt_core.options import NoOptions
from adapt_core.plugins.registry import Registry
from adapt_core.savers.safetensors import Safetensors
from adapt_core.savers.state_dict import StateDict
from adapt_core.testing import MODELS

EMBEDDINGS = {"tied_lm": ["wte"], "encoder_decoder": ["shared", "encoder.embed_tokens"]}
METHODS = {"lora": {"dropout": 0.0}, "dora": {"dropout": 0.0}, "hira": {}, "oft": {"oft_block_size": 8}, "tinylora": {}}


def adapted(module: nn.Module, name: str, **options: Any) -> tuple[Any, nn.Module]:
    """A method, and a model on which it has trained: with an adapter that is not what it began as."""
    registry = Registry.load()
    entry = registry.get(Kind.METHOD, name)
    method = registry.load_target(entry)(validate_options(registry.options(entry.spec), options, name))
    model = method.apply(module, hints_for(module))
    torch.manual_seed(0)
    with torch.no_grad():
        for each in model.parameters():
            if each.requires_grad:
                each += 0.1 * torch.randn_like(each)
    return method, model.eval()


def tied_llama() -> nn.Module:
    """Its embeddings are an attribute of a model within the model, as most architectures' are."""
    torch.manual_seed(0)
    settings = {"vocab_size": 60, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
    return LlamaForCausalLM(LlamaConfig(**settings, **heads, tie_word_embeddings=True))


@pytest.mark.parametrize(("end", "stays"), [("q_proj", True), ("embed_tokens", False), ("lm_head", False)])
def test_models_within_models_merge_too(end: str, stays: bool, tmp_path: Path) -> None:
    method, module = adapted(tied_llama(), "lora", target_modules=[end], dropout=0.0)
    ids = torch.arange(12).view(2, 6)
    with torch.no_grad():
        expected = module(input_ids=ids).logits
        merged: Any = method.merge(module)
        assert torch.allclose(merged(input_ids=ids).logits, expected, atol=1e-5)
        assert merged.config.tie_word_embeddings == stays
        merged.save_pretrained(tmp_path)
        again = type(merged).from_pretrained(tmp_path)
        assert torch.allclose(again(input_ids=ids).logits, expected, atol=1e-5)


def answers(tiny: Any, module: nn.Module) -> Tensor:
    with torch.no_grad():
        return module.eval()(**tiny.batch()).logits  # type: ignore[no-any-return]


def pairs() -> list[Any]:
    cases = [(model, name, end) for model, ends in EMBEDDINGS.items() for end in ends for name in METHODS]
    cases += [(model, name, "lm_head") for model in EMBEDDINGS for name in ("lora", "dora", "oft")]
    return [pytest.param(*case, id="-".join(case)) for case in [*cases, ("tied_lm", "ssf", "wte")]]


@pytest.mark.parametrize(("model", "name", "end"), pairs())
def test_merging_one_end_of_tied_embeddings_leaves_the_other(model: str, name: str, end: str, tmp_path: Path) -> None:
    tiny = MODELS[model]
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # PEFT's, that merging will not do
        method, module = adapted(tiny.seeded(), name, target_modules=[end], **METHODS.get(name, {}))
        expected = answers(tiny, module)
        merged: Any = method.merge(module)
    assert torch.allclose(answers(tiny, merged), expected, atol=1e-5)
    if end != "lm_head" and model == "tied_lm":
        assert merged.all_tied_weights_keys == {}  # what its library reads when it saves
    changed = not torch.allclose(answers(tiny, tiny.seeded()), expected, atol=1e-2)
    assert changed == (end != "shared"), "the adapter does nothing"  # T5 calls the embeddings that share its weight
    merged.save_pretrained(tmp_path)
    again = type(merged).from_pretrained(tmp_path)
    assert torch.allclose(answers(tiny, again), expected, atol=1e-5)


def test_a_head_that_is_trained_whole_is_untied_too(tmp_path: Path) -> None:
    tiny = MODELS["encoder_decoder"]
    method, module = adapted(tiny.seeded(), "lora", target_modules=["q"], modules_to_save=["lm_head"], dropout=0.0)
    expected = answers(tiny, module)
    merged: Any = method.merge(module)
    merged.save_pretrained(tmp_path)
    assert torch.allclose(answers(tiny, type(merged).from_pretrained(tmp_path)), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lora", {"target_modules": ["c_attn"]}),
        ("lora", {"target_modules": ["c_attn"], "trainable_token_indices": [3, 5]}),
        ("trainable_tokens", {"target_modules": ["wte"], "token_indices": [3, 5]}),
    ],
)
def test_what_is_changed_alike_at_both_ends_stays_tied(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    tiny = MODELS["tied_lm"]
    method, module = adapted(tiny.seeded(), name, **options)
    expected = answers(tiny, module)
    merged: Any = method.merge(module)
    assert torch.allclose(answers(tiny, merged), expected, atol=1e-5)
    assert merged.config.tie_word_embeddings and merged.lm_head.weight is merged.transformer.wte.weight
    merged.save_pretrained(tmp_path)
    assert torch.allclose(answers(tiny, type(merged).from_pretrained(tmp_path)), expected, atol=1e-5)


class Bases:
    """A task, as far as a saver asks for one: it loads the base."""

    def load_model(self, _: Any) -> Model:
        return Model(MODELS["tied_lm"].seeded(), None, Hints())


@pytest.mark.parametrize("saver", [Safetensors, StateDict])
@pytest.mark.parametrize("end", ["wte", "c_attn"])
def test_other_exports_hold_what_is_untied_and_what_is_tied(saver: Any, end: str, tmp_path: Path) -> None:
    tiny = MODELS["tied_lm"]
    method, module = adapted(tiny.seeded(), "lora", target_modules=[end], dropout=0.0)
    expected = answers(tiny, module)
    export = saver(NoOptions())
    path = export.save(Model(method.merge(module), None, Hints()), tmp_path, Bases())
    again = export.load(path, Bases(), {}).module
    assert torch.allclose(answers(tiny, again), expected, atol=1e-5)
    assert (again.lm_head.weight is again.transformer.wte.weight) == (end == "c_attn")


@pytest.mark.parametrize("start", ["pissa", "olora"])
@pytest.mark.parametrize("tied", [True, False])
def test_a_start_with_weights_of_the_output_layer_leaves_the_embeddings(tied: bool, start: str, tmp_path: Path) -> None:
    """The file holds no weights of the base, which PEFT would save with an adapter of an output layer."""
    tiny = MODELS["tied_lm" if tied else "causal_lm"]
    plain = tiny.seeded()
    method = Lora(LoraOptions(init_lora_weights=start, target_modules=["lm_head"], r=4, dropout=0.0))
    module = method.apply(tiny.seeded(), Hints()).eval()
    batch = tiny.batch()
    with torch.no_grad():
        assert torch.allclose(module(**batch).logits, plain(**batch).logits, atol=1e-5)
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
        expected = module(**batch).logits
        method.save(module, tmp_path)
        assert all("lora_" in name for name in load_file(tmp_path / "adapter_model.safetensors"))
        assert torch.allclose(method.load(plain, tmp_path, Hints()).eval()(**batch).logits, expected, atol=1e-5)


@pytest.mark.parametrize("target", ["lm_head", "embed_tokens", "q_proj", "wte"])
def test_embeddings_of_another_vocabulary_are_saved_with_an_adapter(target: str, tmp_path: Path) -> None:
    """They are no longer those of the checkpoint, whatever is adapted, and wherever the checkpoint has gone since."""
    tiny = MODELS["tied_lm" if target == "wte" else "causal_lm"]
    plain: Any = tiny.seeded()
    plain.save_pretrained(tmp_path / "base")
    batch = tiny.batch()
    batch["input_ids"][:, 0] = plain.config.vocab_size  # a new token

    def resized(seed: int) -> Any:
        model = type(plain).from_pretrained(tmp_path / "base")
        torch.manual_seed(seed)
        model.resize_token_embeddings(model.config.vocab_size + 2, mean_resizing=False)
        return model

    again = resized(1)
    method = Lora(LoraOptions(target_modules=[target], r=4, dropout=0.0))
    module = method.apply(resized(0), Hints()).eval()
    (tmp_path / "base").rename(tmp_path / "gone")
    method.save(module, tmp_path / "saved")
    with torch.no_grad():
        expected = module(**batch).logits
        assert torch.allclose(
            method.load(again, tmp_path / "saved", Hints()).eval()(**batch).logits, expected, atol=1e-6
        )


def test_what_is_refused_leaves_a_model_tied() -> None:
    """PEFT refuses after the layers have been given weights of their own."""
    module: Any = MODELS["tied_lm"].seeded()
    with pytest.raises(AdaptError):
        apply_method(
            module, "lora", init_lora_weights="pissa", r=4, target_modules=["lm_head"], trainable_token_indices=[3]
        )
    assert module.lm_head.weight is module.transformer.wte.weight
    assert not any("lora" in name for name, _ in module.named_modules())


def test_layers_of_a_plain_module_are_untied_by_merging() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
            self.second.weight = self.first.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.second(torch.relu(self.first(x)))  # type: ignore[no-any-return]

    method, module = adapted(Shared(), "lora", target_modules=["second"], dropout=0.0)
    x = torch.randn(3, 4)
    expected = module(x)
    assert torch.allclose(method.merge(module)(x), expected, atol=1e-6)
