"""Kernels that the checks of compiled kernels must find fault with."""

import triton
import triton.language as tl


@triton.jit
def contracted(values, found, SIZE: tl.constexpr):
    at = tl.arange(0, SIZE)
    x = tl.load(values + at)
    tl.store(found + at, tl.fma(x, x, x))


@triton.jit
def approximate(values, found, SIZE: tl.constexpr):
    at = tl.arange(0, SIZE)
    x = tl.load(values + at)
    tl.store(found + at, tl.exp2(x) / (x + 1.0))


@triton.jit
def wrong(values, found, SIZE: tl.constexpr):
    tl.store(found + tl.arange(0, SIZE), tl.load(values + tl.arange(0, 3)))


@triton.jit
def beyond(values, found, SIZE: tl.constexpr):
    at = tl.arange(0, SIZE)
    tl.store(found + at + 1, tl.load(values + at))
