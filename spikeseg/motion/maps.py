"""Velocity-tuned maps: neurons whose potential travels along their map's velocity (ours; design after Page's CUSUM).

    V_k(x + d_k) <- max(0, max_j [ V_k(x + j) - cost_j ] + n_k(x) - leak)

once an interval: d_k is what map k moves by, n_k(x) what the interval's events add to a neuron at x that moves along (see
`receptive_field`), j the 3 x 3 neighbours, cost_j SIDE for each step aside. It is the subtractive-leak neuron with a floor at
rest, which is Page's sequential test [Page 1954, Biometrika 41:100], with the state carried along the motion. All numbers are
whole units of 1/UNIT nat in 8 bits; additions stop at 255, subtractions at 0, so that every backend gives the same bits.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import spence

from .evidence import MOVE_NATS, UNIT, Backend, EventWeights, Spikes
from .receptive_field import ReceptiveField
from .scales import SUBSLICES, Scale, Wiring
from .weight_kernels import between, weighed, weights_of_parts

TARGET_NATS = 2.5
"""Evidence per interval of the signal that maps are designed for, nat: less, and noise adds up as fast."""


class MotionMaps:
    """All maps of one scale on one sensor.

    Args:
        scale: of the maps.
        sensor_size: (width, height), px.
        field: receptive field of the neurons.
        backend: "reference" (numpy) or any other name: compiled.
    """

    def __init__(self, scale: Scale, sensor_size: tuple[int, int], field: ReceptiveField, backend: str) -> None:
        self.wiring = Wiring.of(scale)
        self.scale, self.field = scale, field
        self.size = tuple(-(-side // scale.cell_px) for side in sensor_size)
        self._state: Backend
        if backend == "reference":
            from .maps_reference import ReferenceMaps

            self._state = ReferenceMaps(self.wiring, self.size, field)
        else:
            from .maps_compiled import CompiledMaps

            self._state = CompiledMaps(self.wiring, self.size, field)

    def step(self, start_s: float, t_s: np.ndarray, x: np.ndarray, y: np.ndarray, on: np.ndarray, rate: np.ndarray) -> None:
        """Add the events of an interval.

        Args:
            start_s: where the interval begins, s.
            t_s: float64 (n,), times within it.
            x: (n,), px.
            y: (n,), px.
            on: bool (n,), polarity.
            rate: float64 (n,), background of the event's pixel, both polarities, events/s; inf: the event does not count.
        """
        background = median(rate)
        area = self.field.area_px
        signal = design_signal(background * area * self.scale.interval_s, self.field.flat)
        ratio = signal / (area * self.scale.interval_s) / rate
        leak = min(255, round(UNIT * (signal + MOVE_NATS)))
        events = EventWeights.empty(len(rate))
        columns = np.asarray(t_s, np.float64), np.asarray(x, np.float64), np.asarray(y, np.float64), np.asarray(on, np.bool_)
        per_second = SUBSLICES / self.scale.interval_s
        n = weighed(*columns, ratio, float(start_s), per_second, SUBSLICES, weights_of_parts(), events)
        self._state.step(EventWeights(*(column[:n] for column in events)), leak)

    def spikes(self, threshold_nats: float) -> Spikes:
        """Neurons whose potential reaches a threshold in nats."""
        return self._state.spikes(math.ceil(UNIT * threshold_nats))

    def clear(self, x: np.ndarray, y: np.ndarray, radius_px: float) -> None:
        """Forget the evidence around places (n,), px, in all maps: what has been explained."""
        cell = self.scale.cell_px
        low = [np.floor((side - radius_px) / cell).astype(np.int64) for side in (x, y)]
        high = [np.floor((side + radius_px) / cell).astype(np.int64) for side in (x, y)]
        boxes = np.stack(
            [c for a, b, n in zip(low, high, self.size, strict=True) for c in (np.clip(a, 0, n), np.clip(b, -1, n - 1))], 1
        )
        self._state.clear(boxes)

    def potentials(self) -> np.ndarray:
        """uint8 (K, h, w), units: a copy."""
        return self._state.potentials()

    def place(self, spikes: Spikes) -> tuple[np.ndarray, np.ndarray]:
        """Where spikes are at the end of the interval and how they move: float64 (n, 2) px, float64 (n, 2) px/s."""
        cells = np.stack([spikes.x, spikes.y], 1)
        within = self.wiring.displacement[spikes.map] / (2 * SUBSLICES)  # a sub-slice lies so far ahead of its beginning
        return (cells + 1 - within) * self.scale.cell_px - 0.5, self.wiring.velocity[spikes.map]


SAMPLE = 512
"""Of about so many values a median is taken to know about where that of all of them lies."""


def median(rate: np.ndarray) -> float:
    """Median of the finite ones of rates > 0; 1 where there are none."""
    sample = np.sort(rate[:: max(1, len(rate) // SAMPLE)])
    sample = sample[: np.searchsorted(sample, np.inf)]
    if len(sample) >= SAMPLE // 2:
        low, high = sample[int(0.44 * len(sample))], sample[int(0.56 * len(sample))]
        near = np.empty(len(rate))
        finite, below, n = between(rate, low, high, near)
        upper, lower = finite // 2 - below, (finite - 1) // 2 - below
        if lower >= 0 and upper < n:
            part = np.partition(near[:n], upper)
            return float(part[upper] if lower == upper else (part[:upper].max() + part[upper]) / 2)
    known = rate[np.isfinite(rate)]
    return float(np.median(known)) if len(known) else 1.0


def design_signal(background: float, flat: bool = True) -> float:
    """Events s over a background b at which a neuron gains TARGET_NATS: by bisection. In a flat field, (b + s) ln(1 + s/b) - s;
    in a Gaussian one, the integral of that over its densities.

    Args:
        background: events expected in an interval, > 0, in a flat field as dense as this one is where it is densest.
        flat: whether it is.
    """
    b = max(background, 1e-3)
    low, high = 0.0, 1e3 + 10 * b
    for _ in range(60):
        s = (low + high) / 2
        gained = (b + s) * math.log1p(s / b) - s
        if not flat:
            gained -= s + b * float(spence(1 + s / b))
        if gained < TARGET_NATS:
            low = s
        else:
            high = s
    return min(low, (255 / UNIT - MOVE_NATS) / 1.05)


NEAR_PX = 8.0
"""Candidates that begin and end so near to a stronger one are the same."""

AT_ONCE = 48
"""Candidates of an interval that are looked at, the strongest first."""


def strongest(maps: MotionMaps, spikes: Spikes) -> tuple[np.ndarray, np.ndarray]:
    """Places (n, 2), px, and velocities (n, 2), px/s, of the strongest spikes, each of which begins and ends away from stronger
    ones."""
    order = np.argsort(-spikes.potential, kind="stable")[:4000]
    spikes = Spikes(*(column[order] for column in spikes))
    place, velocity = maps.place(spikes)
    ends = np.concatenate([place.T, (place - velocity * maps.scale.interval_s).T])
    kept: list[int] = []
    left = np.ones(len(place), bool)
    near = max(NEAR_PX, 3.0 * maps.scale.cell_px)
    while left.any() and len(kept) < AT_ONCE:
        k = int(np.argmax(left))
        kept.append(k)
        left &= (np.abs(ends - ends[:, k, None]) > near).any(0)
    return place[kept], velocity[kept]
