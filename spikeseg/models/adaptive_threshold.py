"""Background-adaptive thresholds of the first layer.

theta_eff = theta + b + k sqrt(b), where b is the current that background activity alone would cause at a neuron in one step: the
local background rate of each polarity times the positive mass of its filter. Kirkland's pre-emptive neuron thresholding (PENT)
has the same aim; its equations were not available, so this form is ours.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spikeseg.core.grid import snap
from spikeseg.ops.types import BlockThreshold


def adaptive_threshold(
    threshold: Tensor, weight: Tensor, background: Tensor, size: tuple[int, int], sigmas: float
) -> BlockThreshold:
    """Thresholds by position, constant within a sample.

    Args:
        threshold: (C,) base thresholds.
        weight: (C, P, K, K) filters.
        background: (B, P, h, w) background events per pixel and step, in blocks that cover the frame evenly.
        size: (H, W) of the frame.
        sigmas: k.

    Returns:
        (B, C, h, w) on the grid, with the side of a block in pixels.
    """
    height, width = size
    blocks_high, blocks_wide = background.shape[-2:]
    block = max(-(-height // blocks_high), -(-width // blocks_wide))
    mass = snap(weight).clamp(min=0).sum((-2, -1)).cpu().double()
    rates = background.cpu().double()
    drive = torch.zeros(len(rates), len(mass), *rates.shape[-2:], dtype=torch.float64)
    for p in range(mass.shape[1]):  # term by term in float64: the same bits on every machine
        drive += mass[:, p, None, None] * rates[:, p, None]
    theta = snap(threshold.cpu().double()[:, None, None] + drive + sigmas * drive.sqrt())
    return BlockThreshold(theta.float().to(weight.device), block)
