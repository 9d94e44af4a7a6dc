"""Models of one layer each, one for every type of layer that a method may be told to adapt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from adapt_core.methods.shared.layer_types import SCALED, grouped
from adapt_core.testing.models import Tiny

ROWS, WIDTH, VOCABULARY, LABELS = 8, 16, 20, 4


@dataclass
class Outputs:
    """What the model computes."""

    loss: Tensor
    logits: Tensor


class OneLayer(nn.Module):
    """One layer, the mean over all positions of what it computes, and a linear reading of that.

    Args:
        layer: takes and gives ``WIDTH`` features.
        axis: of the features in its output.
    """

    def __init__(self, layer: nn.Module, axis: int) -> None:
        super().__init__()
        self.layer = layer
        self.axis = axis
        self.reading = nn.Linear(WIDTH, LABELS)

    def forward(self, inputs: Tensor, labels: Tensor) -> Outputs:
        features = self.layer(inputs).movedim(self.axis, -1).reshape(ROWS, -1, WIDTH).mean(1)
        logits = self.reading(features)
        return Outputs(nn.functional.cross_entropy(logits, labels), logits)


class Scaled(nn.Embedding):
    """An embedding that multiplies by a number, as Gemma's and BART's do."""

    embed_scale = WIDTH**0.5

    def forward(self, input: Tensor) -> Tensor:  # torch's own name
        found: Tensor = super().forward(input) * self.embed_scale
        return found


def _one(name: str, make: Callable[[], nn.Module], shape: tuple[int, ...], axis: int = -1) -> Tiny:
    return Tiny(name, lambda: OneLayer(make(), axis), partial(_batch, name, shape), targets=("layer",))


def _batch(name: str, shape: tuple[int, ...]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    if name in ("Embedding", SCALED):
        inputs = torch.randint(VOCABULARY, (ROWS, *shape), generator=generator)
    else:
        inputs = torch.randn(ROWS, *shape, generator=generator)
    return {"inputs": inputs, "labels": torch.tensor([0, 1, 0, 0, 0, 2, 0, 0])}  # easily learnt


LAYERS: dict[str, Tiny] = {
    tiny.name: tiny
    for tiny in (
        _one("Linear", lambda: nn.Linear(WIDTH, WIDTH), (5, WIDTH)),
        _one("Conv1D", lambda: Conv1D(WIDTH, WIDTH), (5, WIDTH)),
        _one("Conv1d", lambda: nn.Conv1d(WIDTH, WIDTH, 3), (WIDTH, 7), 1),
        _one("Conv2d", lambda: nn.Conv2d(WIDTH, WIDTH, 3, padding=1), (WIDTH, 6, 6), 1),
        _one("Conv3d", lambda: nn.Conv3d(WIDTH, WIDTH, 3), (WIDTH, 4, 4, 4), 1),
        _one("ConvTranspose1d", lambda: nn.ConvTranspose1d(WIDTH, WIDTH, 3), (WIDTH, 5), 1),
        _one("ConvTranspose2d", lambda: nn.ConvTranspose2d(WIDTH, WIDTH, 3, stride=2), (WIDTH, 4, 4), 1),
        *(
            _one(grouped(name)[0], partial(getattr(nn, name), WIDTH, WIDTH, 3, groups=4), (WIDTH, *shape), 1)
            for name, shape in {
                "Conv1d": (7,),
                "Conv2d": (6, 6),
                "Conv3d": (4, 4, 4),
                "ConvTranspose1d": (5,),
                "ConvTranspose2d": (4, 4),
            }.items()
        ),
        _one("Embedding", lambda: nn.Embedding(VOCABULARY, WIDTH), (5,)),
        _one(SCALED, lambda: Scaled(VOCABULARY, WIDTH), (5,)),
        _one("LayerNorm", lambda: nn.LayerNorm(WIDTH), (5, WIDTH)),
        _one("BatchNorm1d", lambda: nn.BatchNorm1d(WIDTH), (WIDTH,)),
        _one("BatchNorm2d", lambda: nn.BatchNorm2d(WIDTH), (WIDTH, 4, 4), 1),
    )
}
"""The models by the type of their layer, as :mod:`adapt_core.methods.shared.layer_types` names it."""
