"""The quantizers against the published codes, and what they take against arithmetic."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from quantized_models import quantized, quantizer
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from adapt_core.bundles import Model
from adapt_core.errors import AdaptError, ConfigError
from adapt_core.models.architecture import hints_for
from adapt_core.pipeline.resources import require_space_for
from adapt_core.runs.folder import RunFolder
from adapt_core.testing import MODELS

# Dettmers et al. 2023 (arXiv 2305.14314), appendix E.
NF4 = [
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
    -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
    0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
]  # fmt: skip

# One bit of sign, two of exponent, one of mantissa: 0, 1/16, and (1 or 1.5) times 2, 4 and 8, over the largest of them.
FP4 = [sign * each / 12 for sign in (-1, 1) for each in (0, 1 / 16, 2, 3, 4, 6, 8, 12)]


def llama(width: int = 1024) -> LlamaForCausalLM:
    torch.manual_seed(0)
    settings: Any = LlamaConfig
    return LlamaForCausalLM(
        settings(
            vocab_size=100,
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=1,
            num_attention_heads=8,
            num_key_value_heads=8,
            tie_word_embeddings=False,
        )
    )


@pytest.mark.parametrize(("kind", "published"), [("nf4", NF4), ("fp4", FP4)])
def test_a_weight_is_the_nearest_of_the_published_codes_times_the_largest_of_its_block(
    kind: str, published: list[float], tmp_path: Path
) -> None:
    plain = llama(64)
    module, using = quantized(plain, tmp_path, "bnb_4bit", compute_dtype="float32", quant_type=kind)
    weight = plain.model.layers[0].mlp.up_proj.weight.detach()
    blocks = weight.reshape(-1, 64)
    scales = blocks.abs().max(dim=1, keepdim=True).values
    codes = torch.tensor(published)
    nearest = codes[((blocks / scales).unsqueeze(-1) - codes).abs().argmin(dim=-1)] * scales
    found = using.dequantize(module).model.layers[0].mlp.up_proj.weight
    assert found.dtype == torch.float32
    assert torch.allclose(found, nearest.reshape(weight.shape), atol=1e-6)


def test_eight_bits_are_whole_numbers_times_the_largest_of_the_row(tmp_path: Path) -> None:
    plain = llama(64)
    module, using = quantized(plain, tmp_path, "bnb_8bit")
    weight = plain.model.layers[0].mlp.up_proj.weight.detach()
    # The library rounds the weights to float16 before it quantizes them.
    rows = weight.half().float()
    scales = rows.abs().max(dim=1, keepdim=True).values
    found = using.dequantize(module).model.layers[0].mlp.up_proj.weight
    steps = found * 127 / scales
    assert torch.allclose(steps, steps.round(), atol=1e-3)
    assert float((steps - rows * 127 / scales).abs().max()) < 0.5 + 1e-2


@pytest.mark.parametrize(
    ("name", "options", "bits"),
    [
        # 4 bits of code, and a scale of 32 bits for every 64 weights.
        ("bnb_4bit", {}, 4 + 32 / 64),
        # The scales in 8 bits, with one of 32 bits for every 256 of them.
        ("bnb_4bit", {"double_quant": True}, 4 + 8 / 64 + 32 / (64 * 256)),
        # A whole number of 8 bits, and a scale of 32 bits for every row: 1024 weights, and 2048 in one layer of seven.
        ("bnb_8bit", {}, 8 + 32 * (4 * 1024 + 2 * 2048 + 1024) / (4 * 1024**2 + 3 * 2 * 1024**2)),
        ("bnb_8bit", {"has_fp16_weight": True}, 16),
    ],
)
def test_the_memory_is_that_of_the_closed_form(name: str, options: dict[str, Any], bits: float, tmp_path: Path) -> None:
    module, using = quantized(llama(), tmp_path, name, **options)
    memory = using.memory(module)
    assert memory.parameters == 4 * 1024**2 + 3 * 2 * 1024**2
    assert 8 * (memory.weights + memory.constants) / memory.parameters == pytest.approx(bits, rel=0.01)
    # Two embeddings of 100 rows, three norms; all in 32 bits.
    assert memory.rest == pytest.approx(4 * (2 * 100 * 1024 + 3 * 1024), rel=0.01)


@pytest.mark.parametrize("name", ["bnb_4bit", "bnb_8bit"])
def test_transposed_layers_are_as_they_were_after_dequantizing(name: str, tmp_path: Path) -> None:
    """GPT-2's layers hold (in, out); a merged model that held (out, in) would load wrong, or not at all."""
    settings: Any = GPT2Config
    torch.manual_seed(0)
    plain = GPT2LMHeadModel(settings(vocab_size=60, n_embd=64, n_layer=1, n_head=2, n_positions=16)).eval()
    module, using = quantized(plain, tmp_path / "plain", name)
    again = using.dequantize(module)
    before, after = plain.state_dict(), again.state_dict()
    assert {key: value.shape for key, value in after.items()} == {key: value.shape for key, value in before.items()}
    assert type(again.transformer.h[0].mlp.c_fc) is type(plain.transformer.h[0].mlp.c_fc)
    largest = float(before["transformer.h.0.mlp.c_fc.weight"].abs().max())
    assert torch.allclose(
        after["transformer.h.0.mlp.c_fc.weight"], before["transformer.h.0.mlp.c_fc.weight"], atol=0.16 * largest
    )
    again.save_pretrained(tmp_path / "dequantized")
    loaded = GPT2LMHeadModel.from_pretrained(tmp_path / "dequantized").eval()
    assert not getattr(loaded, "is_quantized", False)
    ids = torch.tensor([[1, 2, 3]])
    with torch.no_grad():
        assert torch.allclose(loaded(ids).logits, again.eval()(ids).logits, atol=1e-6)


def test_a_model_of_which_nothing_is_quantized_is_refused(tmp_path: Path) -> None:
    plain = MODELS["convolutional"].seeded()
    with pytest.raises(AdaptError, match="nothing was quantized"):
        quantized(plain, tmp_path, "bnb_4bit")


def test_offloading_is_refused_since_nothing_trains_with_it() -> None:
    with pytest.raises(ConfigError, match=r"enable_fp32_cpu_offload: .* used and not trained"):
        quantizer("bnb_8bit", enable_fp32_cpu_offload=True)
    assert not quantizer("bnb_8bit", enable_fp32_cpu_offload=False).options.enable_fp32_cpu_offload


def test_why_offloading_is_refused() -> None:
    """Should this fail some day, because a layer that accelerate keeps on the CPU can be trained: offer the option."""
    from accelerate import cpu_offload
    from peft import LoraConfig, get_peft_model

    tiny = MODELS["causal_lm"]
    base: Any = tiny.seeded()
    cpu_offload(base.model.layers[0], execution_device=torch.device("cpu"))
    assert base.model.layers[0].mlp.up_proj.weight.is_meta
    module = get_peft_model(base, LoraConfig(target_modules=["up_proj"]))
    assert module.get_parameter("base_model.model.model.layers.0.mlp.up_proj.lora_A.default.weight").is_meta
    with pytest.raises(RuntimeError, match="meta"):
        module(**tiny.batch()).loss.backward()


def test_options_of_the_other_width_are_refused() -> None:
    with pytest.raises(ConfigError, match="quant_type"):
        quantizer("bnb_8bit", quant_type="nf4")


def test_no_notice_of_the_library_reaches_the_user(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    tiny = MODELS["causal_lm"]
    module, _ = quantized(tiny.seeded(), tmp_path, "bnb_8bit")
    capfd.readouterr()
    with caplog.at_level(logging.NOTSET):
        module(**tiny.batch_for(module))
    assert "MatMul8bitLt" not in caplog.text
    assert "MatMul8bitLt" not in "".join(capfd.readouterr())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU to multiply on")
def test_a_cpu_is_said_to_be_slow_in_float16() -> None:
    assert "float16" in quantizer("bnb_4bit").notices()[0]
    assert not quantizer("bnb_4bit", compute_dtype="float32").notices()


@pytest.mark.parametrize("name", ["bnb_4bit", "bnb_8bit"])
def test_a_new_layer_in_the_body_is_to_be_skipped(name: str, tmp_path: Path) -> None:
    """A checkpoint of another head has no pooler: there is nothing to quantize."""
    from transformers import BertForMaskedLM, BertForSequenceClassification

    plain: Any = MODELS["encoder"].seeded()
    BertForMaskedLM(plain.config).save_pretrained(tmp_path)
    for skipped, refused in (([], True), (["bert.pooler.dense"], False)):
        using = quantizer(name, skip_modules=skipped)
        again = BertForSequenceClassification.from_pretrained(tmp_path, **using.load_kwargs(["classifier"]))
        if refused:
            with pytest.raises(AdaptError, match=r"no weights for bert\.pooler\.dense") as error:
                using.prepare(Model(again, None, hints_for(again)))
            assert "skip_modules" in str(error.value.hint)
        else:
            using.prepare(Model(again, None, hints_for(again)))


@pytest.mark.parametrize("double", [True, False])
@pytest.mark.parametrize("kind", ["nf4", "fp4"])
def test_a_weight_in_4_bits_stands_for_what_was_quantized(kind: str, double: bool, tmp_path: Path) -> None:
    """The error of a value is at most half of the widest gap in the table, times the largest of its block."""
    plain = MODELS["causal_lm"].seeded()
    module, using = quantized(plain, tmp_path, "bnb_4bit", quant_type=kind, double_quant=double)
    again = using.dequantize(module)
    gap = {"nf4": 0.152, "fp4": 0.1667}[kind]  # of -0.6962 and -1; of 0.6667 and 1
    for name in ("model.layers.0.mlp.up_proj", "model.layers.1.self_attn.q_proj"):
        weight = plain.get_submodule(name).weight.detach()  # type: ignore[union-attr]
        error = (again.get_submodule(name).weight - weight).abs().reshape(-1, 64)  # type: ignore[operator]
        assert (error <= (gap + 0.02 * double) * weight.abs().reshape(-1, 64).amax(1, keepdim=True) + 1e-6).all()


def test_a_weight_in_8_bits_stands_for_what_was_quantized(tmp_path: Path) -> None:
    """The error of a value is at most half a step, of which the largest of its row has 127."""
    plain = MODELS["causal_lm"].seeded()
    module, using = quantized(plain, tmp_path, "bnb_8bit")
    again = using.dequantize(module)
    name = "model.layers.0.mlp.up_proj"
    weight = plain.get_submodule(name).weight.detach()  # type: ignore[union-attr]
    error = (again.get_submodule(name).weight - weight).abs()  # type: ignore[operator]
    steps = weight.abs().amax(1, keepdim=True) / 127
    # The weight goes through float16, whose values have 11 bits.
    assert (error <= 0.5 * steps + weight.abs() * 2**-11 + 1e-7).all()


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU reads them right")
def test_rows_that_are_no_whole_blocks_are_refused_on_a_cpu(tmp_path: Path) -> None:
    """There bitsandbytes 0.50 takes the scales of other blocks: an error of half of the weight's own norm."""
    from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM

    shape = LlamaConfig(vocab_size=64, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4)
    plain = LlamaForCausalLM(shape)
    with pytest.raises(
        AdaptError, match=r"wrong weights in 4 bits here, in 2 layers .* model.layers.0.mlp.down_proj"
    ) as e:
        quantized(plain, tmp_path / "refused", "bnb_4bit")
    assert "[down_proj]" in str(e.value.hint)
    config = BertConfig(vocab_size=64, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4)
    with pytest.raises(AdaptError, match=r"in 2 layers of BertModel, encoder.layer.0.output.dense first") as e:
        quantized(BertModel(config), tmp_path / "bert", "bnb_4bit")  # the output of attention is a dense, too
    assert "[0.output.dense, 1.output.dense]" in str(e.value.hint)
    quantized(plain, tmp_path / "skipped", "bnb_4bit", skip_modules=["down_proj"])
    quantized(plain, tmp_path / "8", "bnb_8bit")


@pytest.mark.parametrize("width", ["bnb_4bit", "bnb_8bit"])
def test_layers_whose_weights_the_model_reads_itself_are_refused(width: str, tmp_path: Path) -> None:
    """Mamba's mixers multiply with the weight of ``dt_proj``, which would be codes."""
    from transformers import MambaConfig, MambaForCausalLM

    plain = MambaForCausalLM(MambaConfig(vocab_size=64, hidden_size=64, state_size=14, num_hidden_layers=2))
    with pytest.raises(AdaptError, match="MambaMixer computes with its weight past it") as refused:
        quantized(plain, tmp_path, width)
    (named,) = re.findall(r"\[(.*)\]", str(refused.value.hint))
    assert "dt_proj" in named.split(", ")
    module, using = quantized(plain, tmp_path, width, skip_modules=named.split(", "))
    assert using.memory(module).parameters == 2 * 64 * 256  # in_proj is left
    module(input_ids=torch.tensor([[1, 2, 3]]))


def test_a_quantized_module_is_not_trained_whole(tmp_path: Path) -> None:
    import adapt_core

    module, _ = quantized(MODELS["encoder"].seeded(), tmp_path, "bnb_4bit")
    with pytest.raises(AdaptError, match=r"bert\.pooler\.dense cannot be trained, since its weights are quantized"):
        adapt_core.apply_method(module, "lora", modules_to_save=["pooler.dense"])


@pytest.mark.parametrize("start", ["pissa", "olora"])
def test_no_start_takes_over_weights_that_are_quantized(start: str, tmp_path: Path) -> None:
    import adapt_core

    module, _ = quantized(MODELS["causal_lm"].seeded(), tmp_path, "bnb_4bit")
    with pytest.raises(AdaptError, match=f"{start} takes over a part of the weights"):
        adapt_core.apply_method(module, "lora", init_lora_weights=start)


def test_there_must_be_room_for_the_export_of_a_quantized_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in float32, eight times what 4-bit weights take."""
    asked: list[dict[str, int]] = []
    monkeypatch.setattr("adapt_core.pipeline.resources.require_space", lambda _, needs: asked.append(dict(needs)))
    base = MODELS["causal_lm"].seeded()
    numbers = sum(each.numel() for each in base.parameters())
    module, _ = quantized(base, tmp_path / "base", "bnb_4bit")
    plan = SimpleNamespace(
        method=SimpleNamespace(spec=SimpleNamespace(saves="adapter")),
        training=SimpleNamespace(checkpoints=1, interval="steps", do_train=True),
        saver=object(),
        quantizer=object(),
    )
    require_space_for(plan, RunFolder(tmp_path), module, with_base=False)  # type: ignore[arg-type]
    assert asked[0]["export/"] == 4 * numbers
