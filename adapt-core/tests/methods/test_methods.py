"""The methods on models built on the spot: what they train, by closed forms, and what they refuse."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from adapt_core import AdaptError, ConfigError, apply_method
from adapt_core.bundles import Hints
from adapt_core.methods.last_layer.method import LastLayer
from adapt_core.methods.last_layer.options import LastLayerOptions
from adapt_core.methods.lora.method import PEFT_NAMES, Lora
from adapt_core.methods.lora.options import START_OPTIONS, LoraOptions
from adapt_core.methods.peft_tuners.table import TUNERS
from adapt_core.models.architecture import hints_for

WIDTH, INNER, LAYERS, LABELS, VOCABULARY = 16, 32, 3, 5, 50


@pytest.fixture
def classifier() -> Any:
    from transformers import BertConfig, BertForSequenceClassification, set_seed

    set_seed(1)
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=VOCABULARY,
            hidden_size=WIDTH,
            num_hidden_layers=LAYERS,
            num_attention_heads=2,
            intermediate_size=INNER,
            num_labels=LABELS,
        )
    )


@pytest.fixture
def language_model() -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, n_embd=WIDTH, n_layer=2, n_head=2, n_positions=32))


def test_a_tuner_that_finds_none_of_its_layers_is_refused(language_model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """PEFT 0.21's OSF passes over layers that it does not know in silence; here as one of which nothing is declared."""
    monkeypatch.delitem(TUNERS, "osf")
    with pytest.raises(AdaptError, match="osf found nothing to train in GPT2LMHeadModel"):
        apply_method(language_model, "osf")


def trainable(module: nn.Module) -> dict[str, int]:
    return {name: each.numel() for name, each in module.named_parameters() if each.requires_grad}


def total(module: nn.Module) -> int:
    return sum(trainable(module).values())


HEAD = LABELS * WIDTH + LABELS
# A layer of BERT has four square linear layers and two that go between WIDTH and INNER; the pooler is one more square.
SQUARES, LONGS = 4 * LAYERS + 1, 2 * LAYERS


@pytest.mark.parametrize("r", [1, 8])
def test_lora_trains_r_rows_and_columns_of_every_linear_layer(classifier: Any, r: int) -> None:
    module = apply_method(classifier, "LoRA", r=r)
    assert total(module) == r * (SQUARES * 2 * WIDTH + LONGS * (WIDTH + INNER)) + HEAD


def test_lora_leaves_a_language_models_output_layer_alone(language_model: Any) -> None:
    module = apply_method(language_model, "lora", r=4)
    # c_attn (d, 3d), c_proj (d, d), c_fc (d, 4d) and c_proj (4d, d) in each of two layers.
    assert total(module) == 2 * 4 * ((1 + 3) + (1 + 1) + (1 + 4) + (4 + 1)) * WIDTH
    assert not any("lm_head" in name for name in trainable(module))


def test_lora_on_named_layers_only(classifier: Any) -> None:
    module = apply_method(classifier, "lora", r=2, target_modules=["query", "value"], train_head=False)
    assert total(module) == LAYERS * 2 * 2 * 2 * WIDTH


def test_lora_starts_without_changing_the_output(classifier: Any) -> None:
    ids = torch.arange(12).reshape(2, 6)
    classifier.eval()
    before = classifier(input_ids=ids).logits
    after = apply_method(classifier, "lora").eval()(input_ids=ids).logits
    assert torch.equal(before, after)


def test_lora_scales_its_update_by_alpha_over_r() -> None:
    from peft import LoraConfig, get_peft_model

    for options, scale in ((LoraOptions(r=4, alpha=6), 1.5), (LoraOptions(r=4, alpha=6, use_rslora=True), 3.0)):
        layer = nn.Sequential(nn.Linear(3, 2))
        module = Lora(options).apply(layer, Hints()).eval()
        for name, parameter in module.named_parameters():
            if "lora_B" in name:
                nn.init.normal_(parameter)
        inner = module.base_model.model[0]
        x = torch.randn(5, 3)
        a, b = inner.lora_A["default"].weight, inner.lora_B["default"].weight
        expected = x @ inner.base_layer.weight.T + inner.base_layer.bias + scale * (x @ a.T @ b.T)
        assert torch.allclose(module(x), expected, atol=1e-6)
    assert LoraConfig and get_peft_model  # the reference above is the paper's equation, not PEFT's


def test_every_option_of_pefts_lora_is_offered_or_left_out_for_a_reason() -> None:
    from peft import EvaConfig, LoftQConfig, LoraConfig

    set_by_adapt = {"task_type", "peft_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision"}
    set_by_adapt |= {"inference_mode"}
    methods_of_their_own = {"use_dora", "use_qalora", "qalora_group_size", "use_bdlora"}
    need_data = {"corda_config", "lora_ga_config"}
    offered_field_by_field = {"eva_config", "loftq_config"}
    other_algorithms = {"velora_config", "monteclora_config", "arrow_config", "kasa_config", "alora_invocation_tokens"}
    other_frameworks = {"megatron_config", "megatron_core"}
    change_the_base = {"layer_replication", "ensure_weight_tying", "runtime_config"}
    left_out = set_by_adapt | methods_of_their_own | need_data | other_algorithms
    left_out |= other_frameworks | change_the_base | offered_field_by_field
    theirs = {field.name for field in dataclasses.fields(LoraConfig)}
    ours = {PEFT_NAMES.get(name, name) for name in LoraOptions.model_fields}
    of_starts = {"eva": EvaConfig, "loftq": LoftQConfig}
    for name, start in START_OPTIONS.items():
        fields = {field.name for field in dataclasses.fields(of_starts[start])}
        assert fields & {name, name.removeprefix(f"{start}_")}
    ours -= set(START_OPTIONS)
    assert ours <= theirs
    assert theirs - ours <= left_out


@pytest.mark.parametrize("start", ["pissa", "olora"])
def test_a_start_with_weights_has_no_more_ranks_than_they(classifier: Any, start: str) -> None:
    with pytest.raises(AdaptError, match=f"method.r: 17 is more than the 16 directions of bert.*={start} takes"):
        apply_method(classifier, "lora", init_lora_weights=start, r=WIDTH + 1)


@pytest.mark.parametrize(
    ("targets", "feedforward"),
    [(["key", "value"], 0), ("attention", LAYERS), (["key", "output.dense"], 2 * LAYERS)],
)
def test_ia3_on_chosen_layers_loads_again(classifier: Any, tmp_path: Path, targets: Any, feedforward: int) -> None:
    """PEFT knows BERT's ``output.dense`` as the layers whose input is rescaled; those of attention end so too."""
    from peft import PeftModel
    from peft.tuners.ia3 import IA3Layer

    state = {name: each.clone() for name, each in classifier.state_dict().items()}
    adapted = apply_method(classifier, "ia3", target_modules=targets)
    layers = [layer for layer in adapted.modules() if isinstance(layer, IA3Layer)]
    assert sum(layer.is_feedforward for layer in layers) == feedforward
    adapted.save_pretrained(tmp_path)
    plain = type(classifier)(classifier.config)
    plain.load_state_dict(state)
    again = PeftModel.from_pretrained(plain, tmp_path)
    assert {name for name, _ in again.named_modules()} == {name for name, _ in adapted.named_modules()}


def test_loftq_needs_bitsandbytes_and_no_magnitudes(classifier: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it does with it is tested in adapt-quant."""
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(AdaptError, match="loftq quantizes weights with bitsandbytes, which is not installed"):
        apply_method(classifier, "lora", init_lora_weights="loftq")
    with pytest.raises(ConfigError, match="loftq starts the update of lora; dora's magnitudes"):
        apply_method(classifier, "dora", init_lora_weights="loftq")


def test_full_trains_everything(classifier: Any) -> None:
    count = sum(each.numel() for each in classifier.parameters())
    assert total(apply_method(classifier, "full")) == count


def test_last_layer_trains_the_head_alone(classifier: Any) -> None:
    module = apply_method(classifier, "last_layer")
    assert trainable(module) == {"classifier.weight": LABELS * WIDTH, "classifier.bias": LABELS}


def test_last_layer_trains_the_last_blocks_beside_the_head(classifier: Any) -> None:
    module = apply_method(classifier, "last_layer", blocks=2)
    blocks = {name.split(".")[3] for name in trainable(module) if name.startswith("bert.encoder.layer.")}
    assert blocks == {"1", "2"}
    block = 4 * (WIDTH * WIDTH + WIDTH) + (WIDTH * INNER + INNER) + (INNER * WIDTH + WIDTH) + 2 * 2 * WIDTH
    assert total(module) == HEAD + 2 * block


def test_more_blocks_than_there_are_is_an_error(classifier: Any) -> None:
    with pytest.raises(AdaptError, match="4 blocks asked for, but the model has 3"):
        apply_method(classifier, "last_layer", blocks=4)


def test_a_model_without_a_head_cannot_train_its_last_layer() -> None:
    with pytest.raises(AdaptError, match="no head"):
        LastLayer(LastLayerOptions()).apply(nn.Sequential(nn.Linear(2, 2)), Hints())


@pytest.mark.parametrize(
    ("asked", "nearest"), [(["quary"], "did you mean 'query'"), ("encoder[.]nothing", "Layers there are: .*query")]
)
def test_target_modules_that_match_nothing_name_the_nearest(classifier: Any, asked: Any, nearest: str) -> None:
    with pytest.raises(AdaptError, match=rf"(?s)target_modules: .* matches no layer .*{nearest}"):
        apply_method(classifier, "lora", target_modules=asked)


def test_a_fresh_head_cannot_be_frozen(classifier: Any) -> None:
    hints = hints_for(classifier, ["classifier.weight", "classifier.bias"], train_head=False)
    with pytest.raises(AdaptError, match=r"LAST_LAYER_TUNING\) is false, but classifier is newly initialised"):
        Lora(LoraOptions()).apply(classifier, hints)


def test_a_pretrained_head_can_be_frozen(classifier: Any) -> None:
    module = apply_method(classifier, "lora", train_head=False)
    assert not any("classifier" in name for name in trainable(module))


def test_fresh_layers_outside_the_head_are_trained_too(classifier: Any) -> None:
    fresh = ["bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight", "classifier.bias"]
    hints = hints_for(classifier, fresh)
    assert hints.fresh == ("bert.pooler.dense", "classifier") or set(hints.fresh) == {"bert.pooler.dense", "classifier"}
    module = Lora(LoraOptions(r=1)).apply(classifier, hints)
    pooler = {name: count for name, count in trainable(module).items() if "pooler" in name}
    assert sum(pooler.values()) == WIDTH * WIDTH + WIDTH  # whole, and no low-rank update beside it


def test_a_saved_adapter_gives_the_same_outputs_and_merges(classifier: Any, tmp_path: Path) -> None:
    import copy

    base = copy.deepcopy(classifier)
    method = Lora(LoraOptions())
    hints = hints_for(classifier)
    module = method.apply(classifier, hints)
    for parameter in module.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter, std=0.1)
    ids = torch.arange(12).reshape(2, 6)
    expected = module.eval()(input_ids=ids).logits
    method.save(module, tmp_path)
    loaded = method.load(copy.deepcopy(base), tmp_path, hints).eval()
    assert torch.equal(loaded(input_ids=ids).logits, expected)
    merged = method.merge(module).eval()
    assert type(merged) is type(base)
    assert torch.allclose(merged(input_ids=ids).logits, expected, atol=1e-5)


def test_an_unknown_option_is_refused_with_the_nearest(classifier: Any) -> None:
    with pytest.raises(ConfigError, match=r"rr(.|\n)*did you mean|rr(.|\n)*r"):
        apply_method(classifier, "lora", rr=3)


def test_a_wrong_option_is_refused_in_words(classifier: Any) -> None:
    with pytest.raises(ConfigError, match="must be greater than 0, got -1"):
        apply_method(classifier, "lora", r=-1)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"modules_to_save": ["classifer"]}, "'classifer' is no module of BertForSequence.*did you mean 'classifier'"),
        (
            {"target_modules": ["LayerNorm"]},
            "embeddings.LayerNorm is a LayerNorm, and .*, which lora does not",
        ),
        ({"target_modules": ["query"], "exclude_modules": ["query"]}, "method: .*exclude"),
        ({"init_lora_weights": "orthogonal", "r": 3}, "method: .*even"),
    ],
)
def test_what_peft_cannot_do_with_the_options_is_an_error_of_the_configuration(
    classifier: Any, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(AdaptError, match=says):
        apply_method(classifier, "lora", **options)


@pytest.mark.parametrize("method", ["full", "last_layer"])
def test_the_head_is_no_question_for_a_method_that_decides_on_it_itself(classifier: Any, method: str) -> None:
    with pytest.raises(AdaptError, match=f"train_head is for adapters; the method {method} decides"):
        apply_method(classifier, method, train_head=False)
