"""Copies between the host and the device, beside the computing where there is a GPU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


class Transfers:
    """Copies through pinned memory, up and down on a stream each; on a CPU, under Triton's interpreter, plain copies.

    torch keeps pinned memory that is free again, and no block is used anew before the copies out of it are done: with the next
    group's copy queued while the last one's is read, it is a double buffer.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self.streams = device, device.type == "cuda"
        if self.streams:
            self._up, self._down = torch.cuda.Stream(device), torch.cuda.Stream(device)

    def up(self, array: np.ndarray) -> Tensor:
        """A copy on the device; what is launched from now on sees it whole. The array may be changed at once."""
        values = np.asarray(array)
        room = torch.empty(values.shape, dtype=_DTYPES[values.dtype], pin_memory=self.streams)
        room.numpy()[...] = values
        if not self.streams:
            return room
        computing = torch.cuda.current_stream(self.device)
        with torch.cuda.stream(self._up):
            there = room.to(self.device, non_blocking=True)
        computing.wait_stream(self._up)
        there.record_stream(computing)
        return there

    def down(self, *tensors: Tensor) -> Download:
        """Copies on the host, as soon as what was launched so far is done."""
        if not self.streams:
            return Download(tensors, None)
        rooms = [torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True) for tensor in tensors]
        self._down.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self._down):
            for room, tensor in zip(rooms, tensors, strict=True):
                room.copy_(tensor, non_blocking=True)
                tensor.record_stream(self._down)
        return Download(rooms, self._down.record_event())


_DTYPES = {np.dtype(np.int32): torch.int32, np.dtype(np.int64): torch.int64}


class Download:
    """Copies on their way to the host."""

    def __init__(self, rooms: Sequence[Tensor], arrived: torch.cuda.Event | None) -> None:
        self._rooms, self._arrived = rooms, arrived

    def arrays(self) -> list[np.ndarray]:
        """The arrays, once they are there; in memory of their own, so that pinned memory is free again."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return [room.numpy().copy() for room in self._rooms]
