"""How layers with a forward of their own are compared with plain ones: once a kind, in little memory."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from adapt_core.methods.shared import layer_checks
from adapt_core.models import layers
from adapt_core.peft.ssf import folding


class Acting(nn.BatchNorm2d):
    """A normalisation with an activation inside, as timm's."""

    def __init__(self, act: nn.Module) -> None:
        super().__init__(4)
        self.act = act

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(super().forward(x))  # type: ignore[no-any-return]


def test_layers_made_alike_are_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr(folding, "twin_of", lambda layer: drawn.append(layer) or layers.twin_of(layer))
    monkeypatch.setattr(layers, "_VERDICTS", {})
    found = [folding.why_not_foldable(Acting(act)) for act in (nn.Identity(), nn.ReLU(), nn.Identity(), nn.ReLU())]
    assert [each is None for each in found] == [True, False, True, False]
    assert len(drawn) == 2


def test_of_a_large_embedding_some_rows_are_compared() -> None:
    class Own(nn.Embedding):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x)

    layer = Own(100_000, 8, padding_idx=90_000)
    assert layers.why_not_plain(layer) is None
    assert layers.twin_of(layer).weight.shape == (4, 8)
    assert layer.weight.shape == (100_000, 8) and layer.padding_idx == 90_000


def test_a_scale_that_is_nowhere_yet_counts_as_one() -> None:
    with torch.device("meta"):
        layer = nn.Embedding(5, 4)
        layer.register_buffer("embed_scale", torch.tensor(3.0))
    assert layer_checks.called(layer) == "Embedding (scaled)"
