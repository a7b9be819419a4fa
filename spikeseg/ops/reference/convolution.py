"""The dense convolution of the reference path."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def convolve(values: Tensor, kernels: Tensor, *, padded: bool = False) -> Tensor:
    """Convolution (N, C_in, H, W) with (C_out, C_in, K, K), in full precision: a GPU's TF32 stays off.

    Args:
        values: padded with zeros to 'same' size, unless they come padded.
        kernels: K odd.
        padded: whether values already hold K // 2 pixels beyond every border.
    """
    padding = 0 if padded else kernels.shape[-1] // 2
    if not values.is_cuda:
        return F.conv2d(values, kernels, padding=padding)
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        return F.conv2d(values, kernels, padding=padding)
