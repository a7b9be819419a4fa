"""The dense convolution of the reference path."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def convolve(values: Tensor, kernels: Tensor) -> Tensor:
    """'Same' convolution (N, C_in, H, W) with (C_out, C_in, K, K), in full float32: a GPU's TF32 stays off."""
    half = kernels.shape[-1] // 2
    if not values.is_cuda:
        return F.conv2d(values, kernels, padding=half)
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        return F.conv2d(values, kernels, padding=half)
