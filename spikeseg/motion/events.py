"""Events as the loops of the motion layer take them, where each is, and what can be seen."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .event_kernels import BLOCK_PX, indexed


class Events(NamedTuple):
    """Events in the order of their times.

    Attributes:
        t: float64 (n,), s.
        x, y: float64 (n,), px.
        on: int64 (n,), 0 or 1.
        rate: float64 (n,), background of the event's pixel and polarity, events/s; inf: does not count.
        owner: int64 (n,), what explains the event; 0: nothing yet.
    """

    t: np.ndarray
    x: np.ndarray
    y: np.ndarray
    on: np.ndarray
    rate: np.ndarray
    owner: np.ndarray


class Index(NamedTuple):
    """Events by tick and block of the sensor.

    Attributes:
        order: int64 (n,), events by tick, then block, then time.
        begins: int64 (ticks * blocks + 1,), where in `order` each block of each tick begins.
        columns, rows: blocks of the sensor.
        start_s, tick_s: of the first tick, and how long each lasts, s.
    """

    order: np.ndarray
    begins: np.ndarray
    columns: int
    rows: int
    start_s: float
    tick_s: float


class Sight(NamedTuple):
    """What can be seen for stars.

    Attributes:
        visible: uint8 (frames, height, width), 0 where a star hides what is behind it, px of the sensor.
        frame: int64 (ticks,), which of them holds at each tick.
        start_s, tick_s: of the first tick, and how long each lasts, s.
    """

    visible: np.ndarray
    frame: np.ndarray
    start_s: float
    tick_s: float


def events_of(
    t_s: np.ndarray, x: np.ndarray, y: np.ndarray, on: np.ndarray, rate: np.ndarray, owner: np.ndarray | None = None
) -> Events:
    """Events as the kernels take them.

    Args:
        t_s: float64 (n,), sorted, s.
        x: (n,), px.
        y: (n,), px.
        on: (n,), polarity.
        rate: float64 (n,), background, both polarities, events/s; inf where the event does not count.
        owner: int64 (n,), what explains the event; None: nothing.
    """
    on = np.asarray(on, np.int64)
    on_share = float(on.mean()) if len(on) else 0.5
    of_polarity = np.clip(np.array([1 - on_share, on_share]), 0.05, 0.95)
    owner = np.zeros(len(t_s), np.int64) if owner is None else owner
    column, row, of_event = np.asarray(x, np.float64), np.asarray(y, np.float64), of_polarity[on]
    of_event *= rate
    return Events(np.asarray(t_s, np.float64), column, row, on, of_event, owner)


def index_of(events: Events, sensor_size: tuple[int, int], tick_s: float = 0.25) -> Index:
    """The index of events by place and time."""
    columns, rows = (-(-side // BLOCK_PX) for side in sensor_size)
    start, end = (float(events.t[0]), float(events.t[-1])) if len(events.t) else (0.0, 0.0)
    order, begins = indexed(events, columns, rows, start, tick_s, int((end - start) / tick_s) + 1)
    return Index(order, begins, columns, rows, start, tick_s)
