"""Layers that are read past an adapter, whose weights are computed, or that compute something of their own."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune, weight_norm

from adapt_core import AdaptError, apply_method


def encoder(**options: Any) -> nn.Module:
    """An encoder of torch's, and a linear layer after it."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, **options)
    return nn.Sequential(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(16, 3))


def moved(module: nn.Module, deviation: float = 0.3) -> nn.Module:
    """An adapted model with what is trained drawn anew, in evaluation."""
    generator = torch.Generator().manual_seed(1)
    for each in module.parameters():
        if each.requires_grad:
            each.data += deviation * torch.randn(each.shape, generator=generator)
    return module.eval()


def merged(module: Any) -> Any:
    """An adapted model without its adapter, which is merged."""
    return module.merge_and_unload().eval()


def adapted_layers(module: nn.Module) -> set[str]:
    """The names of the adapted layers."""
    trained = [name for name, each in module.named_parameters() if each.requires_grad]
    return {name.removeprefix("base_model.model.").rsplit(".", 2)[0].split(".lora_")[0] for name in trained}


# ---- torch's fast path, which reads weights past an adapter ------------------------------------------------------


@pytest.mark.parametrize("method", ["lora", "dora", "vera", "ssf", "bitfit"])
def test_what_torchs_encoder_reads_itself_is_left_out(method: str) -> None:
    adapted = apply_method(encoder(batch_first=True), method)
    assert adapted_layers(adapted) == {"1"}
    inputs = torch.randn(2, 5, 16)
    with torch.no_grad():
        outputs = moved(adapted)(inputs)
        assert torch.allclose(merged(adapted)(inputs), outputs, atol=1e-5)


@pytest.mark.parametrize(
    ("method", "layer"), [("lora", "linear1"), ("vera", "linear2"), ("ssf", "norm1"), ("ln_tuning", "norm2")]
)
def test_a_layer_that_torchs_encoder_reads_itself_is_refused(method: str, layer: str) -> None:
    says = (
        f"0.layers.0.{layer} is a .*, and 1 more, which {method} does not adapt: torch's TransformerEncoderLayer reads"
    )
    with pytest.raises(AdaptError, match=f"method.target_modules: {says} its weights itself in evaluation"):
        apply_method(encoder(batch_first=True), method, target_modules=[layer])


@pytest.mark.parametrize(
    ("method", "options", "says"),
    [
        ("lora", {}, "no layer of the preset 'all-linear' that the method adapts"),
        ("ln_tuning", {}, "no layer of the preset 'norm' that the method adapts, which are any"),
        ("ssf", {}, "none of the operations linear, conv, layer_norm, batch_norm outside its head"),
        ("bitfit", {}, "no bias outside its head"),
    ],
)
def test_where_nothing_is_left_the_error_says_why(method: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(AdaptError, match=f"{says}.*reads its weights itself"):
        apply_method(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), method, **options)


@pytest.mark.parametrize("method", ["lora", "ssf", "bitfit"])
def test_torchs_encoder_of_sequences_first_has_no_fast_path_and_is_adapted(method: str) -> None:
    adapted = apply_method(encoder(batch_first=False), method)
    assert "0.layers.0.linear1" in adapted_layers(adapted)
    inputs = torch.randn(5, 2, 16)
    with torch.no_grad():
        before = adapted.eval()(inputs)
        outputs = moved(adapted)(inputs)
        assert not torch.allclose(outputs, before, atol=1e-2)
        assert torch.allclose(merged(adapted)(inputs), outputs, atol=1e-5)


def test_adapts_own_tuners_refuse_it_of_peft_too() -> None:
    from peft import get_peft_model

    from adapt_core.peft import BottleneckConfig, SsfConfig

    for config in (SsfConfig(target_modules=["linear1"]), BottleneckConfig(target_modules=["linear1"])):
        with pytest.raises(TypeError, match="linear1 cannot be adapted: torch's TransformerEncoderLayer reads"):
            get_peft_model(encoder(batch_first=True), config)  # type: ignore[arg-type]


# ---- weights that are computed from others -----------------------------------------------------------------------

COMPUTED = {
    "weight_norm": lambda: parametrizations.weight_norm(nn.Linear(6, 6)),
    "spectral_norm": lambda: parametrizations.spectral_norm(nn.Linear(6, 6)),
    "orthogonal": lambda: parametrizations.orthogonal(nn.Linear(6, 6)),
    "old_weight_norm": lambda: weight_norm(nn.Linear(6, 6)),
    "pruned": lambda: prune.l1_unstructured(nn.Linear(6, 6), "weight", 0.5),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated")
@pytest.mark.parametrize("kind", COMPUTED)
@pytest.mark.parametrize("method", ["lora", "vera", "ssf", "loha"])
def test_a_computed_weight_is_not_adapted(method: str, kind: str) -> None:
    torch.manual_seed(0)
    options = {"target_modules": "all-linear"} if method == "loha" else {}
    adapted = apply_method(nn.Sequential(COMPUTED[kind](), nn.Linear(6, 3)), method, **options)
    inputs = torch.randn(4, 6)
    with torch.no_grad():
        outputs = moved(adapted)(inputs)
        assert torch.allclose(merged(adapted)(inputs), outputs, atol=1e-5)
    with pytest.raises(AdaptError, match=r"0 is a .*, which .* does not adapt: its weight is computed from other"):
        apply_method(nn.Sequential(COMPUTED[kind](), nn.Linear(6, 3)), method, target_modules=["0"])


@pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated")
@pytest.mark.parametrize("kind", COMPUTED)
def test_the_bias_beside_a_computed_weight_is_trained_and_merged(kind: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(COMPUTED[kind](), nn.Tanh(), nn.Linear(6, 3))
    names = set(model.state_dict())
    adapted = apply_method(model, "bitfit")
    assert adapted_layers(adapted) == {"0", "2"}
    inputs = torch.randn(4, 6)
    with torch.no_grad():
        before = adapted.eval()(inputs)
        outputs = moved(adapted)(inputs)
        assert not torch.allclose(outputs, before, atol=1e-2)
        whole = merged(adapted)
        assert torch.allclose(whole(inputs), outputs, atol=1e-6)
    assert set(whole.state_dict()) == names


@pytest.mark.parametrize("method", ["lora", "ssf", "bitfit"])
def test_wav2vec2_whose_convolution_of_positions_is_normalised_is_adapted_and_merged(method: str) -> None:
    from transformers import Wav2Vec2Config, Wav2Vec2ForSequenceClassification

    torch.manual_seed(0)
    settings = Wav2Vec2Config(
        vocab_size=20, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
        conv_dim=(16, 16), conv_stride=(5, 2), conv_kernel=(10, 3), num_feat_extract_layers=2,
        num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2, classifier_proj_size=16,
    )  # fmt: skip
    adapted = apply_method(Wav2Vec2ForSequenceClassification(settings), method)
    convolution = any("pos_conv_embed" in name for name in adapted_layers(adapted))
    assert convolution is (method == "bitfit")
    inputs = torch.randn(2, 800)
    with torch.no_grad():
        outputs = moved(adapted, 0.05)(input_values=inputs).logits
        assert torch.allclose(merged(adapted)(input_values=inputs).logits, outputs, atol=1e-5)


# ---- classes with a forward of their own -------------------------------------------------------------------------


class Activated(nn.BatchNorm2d):
    """Batch normalisation with an activation inside, as timm's."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return F.relu(super().forward(input))


class Standardised(nn.Conv2d):
    """A convolution that standardises its weight first, as BiT's."""

    def _conv_forward(self, input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        deviation, mean = torch.std_mean(weight, dim=(1, 2, 3), keepdim=True)
        return super()._conv_forward(input, (weight - mean) / (deviation + 1e-6), bias)


class Padded(nn.Conv2d):
    """A convolution that pads its input, as timm's with TensorFlow's padding: SSF's works out, a second one's not."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(F.pad(input, (1, 1, 1, 1)))


class Cast(nn.Linear):
    """A linear layer that computes as one, in its own words."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x @ self.weight.T + self.bias).to(x.dtype)


class Pair(nn.Linear):
    """A linear layer that gives more than a tensor, as routers do."""

    def forward(self, x: torch.Tensor) -> Any:
        return super().forward(x), x


class Add(nn.LayerNorm):
    """A normalisation with one added to its weight, as Nemotron's."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(x, self.normalized_shape, self.weight + 1, self.bias, self.eps)


class Images(nn.LayerNorm):
    """A normalisation of the channels of images."""

    data_format = "channels_first"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class Scaled(nn.Embedding):
    """Multiplies by a number, as BART's and Gemma's."""

    def __init__(self, scale: float) -> None:
        super().__init__(10, 6)
        self.embed_scale = scale

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return super().forward(ids) * self.embed_scale


IMAGES, FEATURES, IDS = (2, 4, 5, 5), (3, 6), (2, 5)
OWN: dict[str, tuple[Any, tuple[int, ...], set[str]]] = {
    "activated": (lambda: Activated(4), IMAGES, set()),
    "standardised": (lambda: Standardised(4, 4, 3), IMAGES, {"bitfit"}),
    "padded": (lambda: Padded(4, 4, 3), IMAGES, {"bitfit", "ssf"}),
    "cast": (lambda: Cast(6, 6), FEATURES, {"bitfit", "lora", "loha", "ssf"}),
    "pair": (lambda: Pair(6, 6), FEATURES, set()),
    "one_more": (lambda: Add(6), FEATURES, {"bitfit"}),
    "channels_first": (lambda: Images(4), IMAGES, {"bitfit", "ssf"}),
    "scaled": (lambda: Scaled(3.0), IDS, {"lora", "dora", "trainable_tokens"}),
    "scaled_by_one": (lambda: Scaled(1.0), IDS, {"lora", "dora", "hira", "ssf", "trainable_tokens"}),
    "shortened": (lambda: nn.Embedding(10, 6, max_norm=0.5), IDS, set()),
}
"""Layers with the shape of their input and the methods that adapt them."""


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        (kind, method)
        for kind, (_, shape, _) in OWN.items()
        for method in ("bitfit", "loha", "lora", "ssf", *(("dora", "hira", "trainable_tokens") if shape == IDS else ()))
    ],
)
def test_a_layer_is_adapted_where_its_adapter_can_be_merged(kind: str, method: str) -> None:
    make, shape, methods = OWN[kind]
    torch.manual_seed(0)
    model = nn.Sequential(make(), nn.Tanh())
    options: dict[str, Any] = {"token_indices": [1, 2]} if method == "trainable_tokens" else {}
    if method not in methods:
        with pytest.raises(AdaptError, match=f"0 is a .*, which {method} does not adapt"):
            apply_method(model, method, target_modules=["0"], **options)
        return
    adapted = apply_method(model, method, target_modules=["0"], **options)
    inputs = torch.arange(10).view(shape) if shape == IDS else torch.randn(shape)
    with torch.no_grad():
        before = adapted.eval()(inputs)
        outputs = moved(adapted)(inputs)
        assert not torch.allclose(outputs, before, atol=1e-2)
        assert torch.allclose(merged(adapted)(inputs), outputs, atol=1e-5)


def test_what_ssf_cannot_merge_is_left_out_of_its_default_choice() -> None:
    layers: list[nn.Module] = [Padded(3, 4, 3), Activated(4), Standardised(4, 4, 3), nn.BatchNorm2d(4)]
    assert adapted_layers(apply_method(nn.Sequential(*copy.deepcopy(layers)), "ssf")) == {"0", "3"}
    with pytest.raises(AdaptError, match="outside its head; 0 is a Activated, and it computes otherwise than a plain"):
        apply_method(nn.Sequential(Activated(4)), "ssf")
    with pytest.raises(AdaptError, match="0 is a Padded, and it computes otherwise than a plain Conv2d"):
        apply_method(nn.Sequential(*layers), "lora", target_modules="conv")
