"""Heatmaps as the targets of keypoints (Xiao et al. 2018, arXiv:1804.06208, section 2)."""

from __future__ import annotations

import torch
from torch import Tensor

SHARE = 1 / 32
"""The standard deviation as a part of the heatmap's height: 2 pixels of 64, 3 of 96 (section 3.1)."""

REACH = 3.0
"""Standard deviations beyond which a Gaussian counts as nothing."""


def gaussians(points: Tensor, size: tuple[int, int], sigma: float) -> Tensor:
    """A Gaussian of height 1 around each keypoint, at its exact place, between pixels too.

    Args:
        points: x and y in pixels of the heatmap, of shape (rows, keypoints, 2).
        size: height and width of the heatmaps.
        sigma: standard deviation in pixels.

    Returns:
        Of shape (rows, keypoints, height, width).
    """
    across = torch.arange(size[1], device=points.device, dtype=points.dtype) - points[..., 0:1]
    down = torch.arange(size[0], device=points.device, dtype=points.dtype) - points[..., 1:2]
    columns, lines = (torch.exp(-(each**2) / (2 * sigma**2)) for each in (across, down))
    return lines[..., :, None] * columns[..., None, :]


def heatmap_loss(heatmaps: Tensor, points: Tensor, annotated: Tensor, sigma: float | None = None) -> Tensor:
    """The mean squared error between heatmaps and Gaussians, over keypoints that are annotated.

    It is a mean over all pixels of all heatmaps of all rows. Those of keypoints that are not annotated, or whose
    Gaussian lies outside, count as zero.

    Args:
        heatmaps: the model's, of shape (rows, keypoints, height, width).
        points: x and y as parts of the way from the centre of the first pixel to that of the last, of shape
            (rows, keypoints, 2).
        annotated: which keypoints are, of shape (rows, keypoints).
        sigma: in pixels of the heatmap; None for :data:`SHARE` of its height.
    """
    height, width = heatmaps.shape[-2:]
    sigma = height * SHARE if sigma is None else sigma
    last = torch.tensor([width - 1, height - 1], device=points.device, dtype=points.dtype)
    places = points * last
    inside = ((places > -REACH * sigma) & (places < last + REACH * sigma)).all(-1)
    wanted = gaussians(places, (height, width), sigma)
    weights = (annotated & inside).to(wanted.dtype)
    return (weights[..., None, None] * (heatmaps.to(wanted.dtype) - wanted) ** 2).mean()
