"""The footprint of objects in their own frame, learned by STDP without labels (ours; the rule is of Nessler et al. 2013).

A path of the motion layer is a winning neuron that moves with its object: in its frame the object stands still, and its inputs
are the events around it by polarity and place, along and across the motion. It spikes once for every SPIKE_EVENTS events of its
object. At every spike

    dw = eta (exp(-w) - 1) where the input fired since the spike before, dw = -eta where it did not,

so that exp(w) becomes the probability with which an input fires before a spike [Nessler et al. 2013, PLoS Comput. Biol.
9:e1003037]. What noise alone would give is taken off; the rest is the footprint.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from spikeseg.motion.events import Events
from spikeseg.motion.footprint import REACH, SIDE, Footprint
from spikeseg.motion.line_kernels import STILL_PX_S
from spikeseg.motion.path import SmoothPath

SPIKE_EVENTS = 5.0
"""Events of the object from one spike of the winner to the next."""

MOST_SPIKES, BRIGHT_SPIKES, USUAL_HZ = 40, 15, 30.0
"""An object gives MOST_SPIKES at most, so that none dominates; one above USUAL_HZ events/s the fewer, the brighter it is, down to
BRIGHT_SPIKES: the images of bright ones are wider."""

LONGEST_S = 4.0
"""Inputs are those of the last LONGEST_S before a spike at most, s."""

RING_PX = (REACH + 1.0, 2.0 * REACH + 2.0)
"""Distances from the path between which the background is taken, px."""

FEWEST_SPIKES = 100
"""Nothing is learned from fewer."""

PASSES = 4
"""Times that all spikes are gone through, in an order drawn anew."""

SPREAD = 0.3
"""Standard deviation of the logarithm of untrained weights."""

NOISE_SIGMAS = 2.0
"""An input whose 3 x 3 neighbours do not together fire by so much more than the background is pruned."""


LEAST_EXPLAINED = 0.5
"""A footprint that explains less than this share of the events that made the winners spike is none."""


class WinnerSpikes(NamedTuple):
    """Inputs at the spikes of winners.

    Attributes:
        fired: bool (n, 2, SIDE, SIDE), inputs that fired since the spike before; OFF, then ON; rows across, columns along.
        noise: float64 (n, 2), events per pixel that the background sends in that time, by polarity.
    """

    fired: np.ndarray
    noise: np.ndarray

    @classmethod
    def none(cls) -> WinnerSpikes:
        """No spikes."""
        return cls(np.zeros((0, 2, SIDE, SIDE), bool), np.zeros((0, 2)))

    @classmethod
    def joined(cls, parts: Sequence[WinnerSpikes]) -> WinnerSpikes:
        """Those of several paths."""
        return cls(*(np.concatenate(columns) for columns in zip(cls.none(), *parts, strict=True)))


def winner_spikes(path: SmoothPath, events: Events, sensor_size: tuple[int, int], rng: np.random.Generator) -> WinnerSpikes:
    """Spikes of the winner that follows a path, at most as many as one object may give.

    Args:
        path: smoothed with the present footprint.
        events: of its recording; those of stars (owner < 0) do not count.
        sensor_size: (width, height), px.
        rng: draws which spikes are taken where there are more.
    """
    own = np.cumsum(path.events)
    count = int(own[-1] / SPIKE_EVENTS)
    if count < 2:
        return WinnerSpikes.none()
    at_s = np.interp(np.arange(count + 1) * SPIKE_EVENTS, own, path.t_s)
    begin_s, end_s = np.maximum(at_s[:-1], at_s[1:] - LONGEST_S), at_s[1:]
    seen = _inside(path.at(begin_s), sensor_size) & _inside(path.at(end_s), sensor_size) & (end_s > begin_s)
    most = max(MOST_SPIKES * min(1.0, USUAL_HZ * float(path.t_s[-1] - path.t_s[0]) / max(float(own[-1]), 1e-9)), BRIGHT_SPIKES)
    chosen = np.flatnonzero(seen)
    if len(chosen) > most:
        chosen = np.sort(rng.choice(chosen, int(most), replace=False))
    part = slice(*np.searchsorted(events.t, [at_s[0], at_s[-1]], side="right"))
    t, on, rate = events.t[part], events.on[part], events.rate[part]
    states = path.at(t)
    speed = np.maximum(np.hypot(states[:, 2], states[:, 3]), 1e-9)
    ux, uy = states[:, 2] / speed, states[:, 3] / speed
    rx, ry = events.x[part] - states[:, 0], events.y[part] - states[:, 1]
    counted = np.isfinite(rate) & (events.owner[part] >= 0) & (speed > STILL_PX_S)
    away = np.hypot(rx, ry)
    ring = counted & (away >= RING_PX[0]) & (away < RING_PX[1])
    background = np.array([float(rate[ring & (on == k)].mean()) if (ring & (on == k)).any() else 0.0 for k in (0, 1)])
    along, across = np.rint(rx * ux + ry * uy).astype(np.int64) + REACH, np.rint(ry * ux - rx * uy).astype(np.int64) + REACH
    spike = np.searchsorted(at_s[1:], t)
    inputs = (
        counted & (along >= 0) & (along < SIDE) & (across >= 0) & (across < SIDE) & (t > begin_s[np.minimum(spike, count - 1)])
    )
    fired = np.zeros((count, 2, SIDE, SIDE), bool)
    fired[spike[inputs], on[inputs], across[inputs], along[inputs]] = True
    return WinnerSpikes(fired[chosen], (end_s - begin_s)[chosen, None] * background)


def _inside(states: np.ndarray, sensor_size: tuple[int, int]) -> np.ndarray:
    """Whether all inputs lie on the sensor, and the object moves: bool (n,)."""
    away = np.minimum(states[:, :2], np.array(sensor_size) - 1 - states[:, :2]).min(1)
    return (away >= REACH * 2**0.5) & (np.hypot(states[:, 2], states[:, 3]) > STILL_PX_S)


def untrained_footprint(seed: int) -> Footprint:
    """Random weights about flat."""
    rng = np.random.default_rng([seed, 17])
    return Footprint.normalised(np.exp(SPREAD * rng.standard_normal((2, SIDE, SIDE))))


def stdp(weights: np.ndarray, fired: np.ndarray, spikes_before: int) -> np.ndarray:
    """Weights after one spike of the winner.

    The rate of a synapse, 1 / (spikes + exp(-w)), falls as its weight becomes certain; it is the smaller, the more seldom its
    input fires, as variance tracking in [Nessler et al. 2013] has it, so that no step is larger than 1.

    Args:
        weights: float64, any shape, <= 0.
        fired: bool, the same shape.
        spikes_before: how many the winner has sent.
    """
    rare = np.exp(-weights)
    rate = 1.0 / (spikes_before + 1.0 + rare)
    return np.minimum(weights + rate * np.where(fired, rare - 1.0, -1.0), 0.0)


def learned_footprint(spikes: WinnerSpikes, start: Footprint, rng: np.random.Generator) -> Footprint | None:
    """What STDP makes of a footprint; None where there are too few spikes, or too little above the background.

    Args:
        spikes: of all winners.
        start: that weights start from.
        rng: draws the order of the spikes.
    """
    count = len(spikes.fired)
    if count < FEWEST_SPIKES:
        return None
    weights = np.log(-np.expm1(-np.maximum(SPIKE_EVENTS * start.share, 1e-4)))
    seen = 0
    for _ in range(PASSES):
        for k in rng.permutation(count):
            weights = stdp(weights, spikes.fired[k], seen)
            seen += 1
    probability = np.minimum(np.exp(weights), 0.999)
    events = -np.log1p(-probability)  # of a Poisson process that fires with this probability
    excess = events - spikes.noise.mean(0)[:, None, None]
    variance = probability / (1 - probability) / count
    excess, variance = (part + part[:, ::-1] for part in (excess, variance))  # left and right of the motion are alike
    summed, spread = (9 * ndimage.uniform_filter(part, (0, 3, 3), mode="constant") for part in (excess, variance))
    share = np.where(summed > NOISE_SIGMAS * np.sqrt(2 * spread), np.maximum(excess, 0.0), 0.0)
    return Footprint.normalised(_centred(share)) if share.sum() / 2 > LEAST_EXPLAINED * SPIKE_EVENTS else None


def _centred(share: np.ndarray) -> np.ndarray:
    """Moved along the motion so that events of both polarities together lie about the path: else it would run ahead of itself."""
    place = np.arange(SIDE) - REACH
    off = float((share.sum((0, 1)) * place).sum() / share.sum())
    moved: np.ndarray = ndimage.shift(share, (0, 0, -off), order=1, mode="constant")
    return np.maximum(moved, 0.0)
