"""The operation of SSF, with a backward pass that keeps the output in place of the input."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def scale_shift(features: Tensor, scale: Tensor | None, shift: Tensor, axis: int, *, keep_output: bool) -> Tensor:
    """``scale * features + shift`` along one axis (SSF, equation 2), in the dtype of the features.

    Args:
        features: of any floating dtype, ``channels`` long along ``axis``.
        scale, shift: of shape (channels,); no scale is 1.
        axis: counted from the end, negative.
        keep_output: keep the result for the backward pass and compute the features from it. It must not be changed in
            place then, and no scale may be near zero.
    """
    shape = (-1,) + (1,) * (-axis - 1)
    if scale is None:
        return (features + shift.view(shape)).to(features.dtype)
    if keep_output:
        return _ScaleShift.apply(features, scale, shift, shape)  # type: ignore[no-any-return,no-untyped-call]
    return (features * scale.view(shape) + shift.view(shape)).to(features.dtype)


class _ScaleShift(torch.autograd.Function):
    """Keeps its output, scale and shift: with z = s y + t, the gradient of s is (sum of g z - t sum of g) / s."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, scale: Tensor, shift: Tensor, shape: tuple[int, ...]) -> Tensor:
        result = (features * scale.view(shape)).add_(shift.view(shape)).to(features.dtype)
        ctx.shape = shape
        ctx.save_for_backward(result, scale, shift)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        result, scale, shift = ctx.saved_tensors
        axis = -len(ctx.shape)
        others = [each for each in range(gradient.dim()) if each != gradient.dim() + axis]
        wide = scale.dtype
        of_shift = gradient.sum(others, dtype=wide)
        of_scale = None
        if ctx.needs_input_grad[1]:
            of_scale = ((gradient.to(wide) * result).sum(others) - shift * of_shift) / scale
        of_features = (gradient * scale.view(ctx.shape)).to(gradient.dtype) if ctx.needs_input_grad[0] else None
        return of_features, of_scale, of_shift if ctx.needs_input_grad[2] else None, None
