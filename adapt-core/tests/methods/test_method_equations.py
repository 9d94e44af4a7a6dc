"""LoRA and DoRA against the equations of their papers in double precision: what they compute, and every gradient.

The expected values are written by hand, in plain torch: none comes from PEFT. ``g`` is the gradient of the outputs.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

from adapt_core import apply_method

R, ALPHA = 3, 5.0
INPUTS, OUTPUTS = 6, 4
LINEAR = {
    "linear": lambda: nn.Linear(INPUTS, OUTPUTS),
    "linear_without_bias": lambda: nn.Linear(INPUTS, OUTPUTS, bias=False),
    "transposed_linear": lambda: Conv1D(OUTPUTS, INPUTS),
}


class One(nn.Module):
    """A model of one layer."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layer(x)
        return result


class Adapted:
    """One layer under a method, in float64, with an update that is not zero, and its gradients for a random ``g``.

    Attributes:
        w, bias: the frozen weight of shape (out, in, ...) and the bias of the layer.
        a, b: the two matrices of the update, as one of shape (r, in, ...) and one of shape (out, r, ...).
        m: DoRA's magnitude by output, None for LoRA.
        x, g: random inputs, and a random gradient of the outputs.
        y: the outputs for ``x``.
        of: the gradients of ``x``, ``a``, ``b`` and ``m`` by name.
    """

    def __init__(self, layer: nn.Module, x: Tensor, method: str = "lora", **options: Any) -> None:
        torch.manual_seed(1)
        base: Any = layer.double()
        if base.bias is not None:
            base.bias.data.normal_()
        self.w = base.weight.detach().clone()
        self.w = self.w.T if isinstance(base, Conv1D) else self.w
        self.bias = 0.0 if base.bias is None else base.bias.detach().clone()
        self.base_outputs = base(x).detach()
        model = apply_method(
            One(base), method, r=R, alpha=ALPHA, dropout=0.0, target_modules=["layer"], **options
        ).train()
        self.initial = model(x).detach()
        parts = {"a": ".lora_A.", "b": ".lora_B.", **({"m": ".lora_magnitude_vector."} if method == "dora" else {})}
        trained = {name: each for name, each in model.named_parameters() if each.requires_grad}
        parameters = {key: each for key, part in parts.items() for name, each in trained.items() if part in name}
        assert len(parameters) == len(parts) == len(trained), f"others train: {list(trained)}"
        assert {each.dtype for each in parameters.values()} == {torch.float64}
        parameters["b"].data.normal_()  # it starts at zero
        if method == "dora":
            parameters["m"].data.mul_(torch.rand_like(parameters["m"]) + 0.5)
        self.x = x.clone().requires_grad_()
        outputs = model(self.x)
        self.g = torch.randn_like(outputs)
        outputs.backward(self.g)
        self.y = outputs.detach()
        self.a, self.b = parameters["a"].detach(), parameters["b"].detach()
        self.m = parameters["m"].detach().flatten() if method == "dora" else None
        self.of = {name: each.grad for name, each in (parameters | {"x": self.x}).items()}


def rows() -> Tensor:
    return torch.randn(2, 7, INPUTS, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def flat(tensor: Tensor) -> Tensor:
    """All positions of a batch as rows."""
    return tensor.detach().reshape(-1, tensor.shape[-1])


def close(found: Tensor | None, expected: Tensor) -> bool:
    assert found is not None
    return torch.allclose(found.reshape(expected.shape), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("layer", LINEAR)
@pytest.mark.parametrize(("options", "scaling"), [({}, ALPHA / R), ({"use_rslora": True}, ALPHA / math.sqrt(R))])
def test_lora_is_equation_3(layer: str, options: dict[str, Any], scaling: float) -> None:
    """h = W x + alpha / r B A x (Hu et al. 2021, arXiv 2106.09685); rsLoRA divides by the root of r."""
    found = Adapted(LINEAR[layer](), rows(), **options)
    w, a, b = found.w, found.a, found.b
    assert close(found.initial, found.base_outputs)
    assert close(found.y, found.x.detach() @ w.T + found.bias + scaling * found.x.detach() @ a.T @ b.T)
    x, g = flat(found.x), flat(found.g)
    assert close(found.of["b"], scaling * g.T @ (x @ a.T))
    assert close(found.of["a"], scaling * (g @ b).T @ x)
    assert close(found.of["x"], g @ (w + scaling * b @ a))


@pytest.mark.parametrize("layer", LINEAR)
def test_dora_is_equation_5_with_a_constant_norm(layer: str) -> None:
    """W' = m (W + alpha / r B A) / c, c = ||W + alpha / r B A|| by output, a constant in the backward pass.

    Liu et al. 2024, arXiv 2402.09353, equation 5 and section 4.3.
    """
    found = Adapted(LINEAR[layer](), rows(), "dora")
    a, b, m, scaling = found.a, found.b, found.m, ALPHA / R
    assert m is not None
    assert close(found.initial, found.base_outputs)  # m starts as the norm of W
    direction = found.w + scaling * b @ a
    c = direction.pow(2).sum(1).sqrt()
    weight = (m / c)[:, None] * direction
    assert close(found.y, found.x.detach() @ weight.T + found.bias)
    x, g = flat(found.x), flat(found.g)
    of_direction = (m / c)[:, None] * (g.T @ x)
    assert close(found.of["m"], ((g.T @ x) * direction).sum(1) / c)
    assert close(found.of["b"], scaling * of_direction @ a.T)
    assert close(found.of["a"], scaling * b.T @ of_direction)
    assert close(found.of["x"], g @ weight)
    # Had the norm a gradient (equation 6), what points along the direction would be missing.
    unit = direction / c[:, None]
    projected = of_direction - (of_direction * unit).sum(1, keepdim=True) * unit
    assert not close(found.of["b"], scaling * projected @ a.T)


@pytest.mark.parametrize("method", ["lora", "dora"])
@pytest.mark.parametrize("stride", [1, 2])
def test_on_convolutions_the_update_is_that_of_the_kernel_as_a_matrix(method: str, stride: int) -> None:
    """The kernel is a matrix of (out, in x height x width), to which the same equations apply."""
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    found = Adapted(nn.Conv2d(3, OUTPUTS, 3, padding=1, stride=stride), x, method)
    leaves = {"x": x.clone(), "a": found.a.clone(), "b": found.b.clone()}
    if found.m is not None:
        leaves["m"] = found.m.clone()
    for each in leaves.values():
        each.requires_grad_()
    kernel = found.w + ALPHA / R * (leaves["b"].flatten(1) @ leaves["a"].flatten(1)).view(found.w.shape)
    if found.m is not None:
        c = kernel.detach().pow(2).sum((1, 2, 3)).sqrt()
        kernel = (leaves["m"] / c)[:, None, None, None] * kernel
    outputs = functional.conv2d(leaves["x"], kernel, found.bias, stride=stride, padding=1)
    outputs.backward(found.g)
    assert close(found.initial, found.base_outputs)
    assert close(found.y, outputs.detach())
    for name, leaf in leaves.items():
        assert leaf.grad is not None and close(found.of[name], leaf.grad), name


def test_lora_on_an_embedding_adds_rows_of_the_update() -> None:
    """Row i of W + alpha / r (B A)^T: A is of shape (r, tokens), B of (width, r)."""
    torch.manual_seed(1)
    embedding = nn.Embedding(9, OUTPUTS).double()
    w = embedding.weight.detach().clone()
    model = apply_method(One(embedding), "lora", r=R, alpha=ALPHA, dropout=0.0, target_modules=["layer"])
    layer = model.base_model.model.layer
    a, b = layer.lora_embedding_A["default"], layer.lora_embedding_B["default"]
    assert a.dtype == b.dtype == torch.float64
    ids = torch.tensor([[1, 8, 1], [0, 3, 1]])
    assert close(model(ids).detach(), w[ids])
    for each in (a, b):
        each.data.normal_()
    outputs = model(ids)
    g = torch.randn_like(outputs)
    outputs.backward(g)
    chosen = functional.one_hot(ids, 9).double().flatten(0, 1)  # (positions, tokens)
    scaling = ALPHA / R
    assert close(outputs.detach(), (w + scaling * (b @ a).T.detach())[ids])
    assert close(b.grad, scaling * flat(g).T @ chosen @ a.detach().T)
    assert close(a.grad, scaling * b.detach().T @ flat(g).T @ chosen)
