"""What the simulated telescope looks at: sky, stars and satellites, as functions of time.

Positions are in pixels (0-based, the centre of the top left pixel is (0, 0)), times in s, brightness as
contrast: the peak of the point-spread function over the mean level of the sky.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from spikeseg.data.recording import SOURCE_OBJECT, SOURCE_STAR
from spikeseg.data.sensors import EBSSA_SIZES

MODES = ("sidereal", "stare", "tracking")
"""The telescope follows the stars, stands still, or follows a satellite."""

MAX_STEP_PX = 0.25
"""No source moves further than this between two time steps, so that no pixel misses its passing."""
MAX_STEP_S = 0.004
"""Longest time step: twinkling and tumbling are slower than this by a factor of five and more."""


@dataclass(frozen=True)
class Difficulty:
    """Ranges (low, high) that a level of difficulty draws from, log-uniformly.

    contrast: peak of a satellite's point-spread function over the sky.
    noise_hz: mean rate of background activity of a pixel, events/s; tenfold between recordings.
    """

    contrast: tuple[float, float]
    noise_hz: tuple[float, float]


DIFFICULTIES = {
    "easy": Difficulty(contrast=(4.0, 20.0), noise_hz=(0.03, 0.3)),
    "medium": Difficulty(contrast=(0.9, 8.0), noise_hz=(0.06, 0.6)),
    "hard": Difficulty(contrast=(0.4, 1.6), noise_hz=(0.08, 0.8)),
}
"""medium: 3 to 26 thousand noise events/s on a DAVIS, as in the labelled part of EBSSA."""

SATELLITE_SPEED = (2.0, 120.0)
"""Speed of a satellite that the telescope does not follow, px/s."""
STARE_DRIFT = (2.0, 30.0)
"""Speed of the star field while the telescope stands still, px/s."""
TRACKING_DRIFT = (30.0, 120.0)
"""Speed of the star field while the telescope follows a satellite, px/s."""
TRACKING_RESIDUAL = (0.3, 2.0)
"""Speed of the followed satellite within the frame, px/s."""
MIN_RELATIVE_SPEED = 4.0
"""A satellite differs from drifting stars by at least this velocity, px/s."""
STARS_IN_VIEW = (5.0, 18.0)
"""Mean number of stars within the area of a DAVIS."""
STAR_CONTRAST = (0.25, 15.0)
"""Faintest and brightest star; number of stars brighter than C falls as 1/C."""
TWINKLE_STD = (0.05, 0.2)
"""Standard deviation of the logarithm of a star's brightness; a recording has one value."""
TWINKLE_S = (0.03, 0.1)
"""Correlation time of twinkling."""
TUMBLE_HZ = (0.2, 3.0)
"""Rate of tumbling; two satellites in three tumble."""
TUMBLE_DEPTH = (0.1, 0.8)
"""Amplitude of tumbling in the logarithm of brightness."""
FIRST_HARMONIC = 0.4
"""Share of that amplitude at the rate of tumbling; the rest is at twice the rate."""
BEND = 0.02
"""Acceleration of a satellite, across or along its path, as a share of its speed per second."""
SKY_GRADIENT = 0.15
"""Strength of the gradient of the sky's level."""
SHAKE_PX = {"sidereal": (0.0, 0.2), "stare": (0.0, 0.0), "tracking": (0.2, 0.8)}
"""Amplitude with which the mount sways while it follows something, px."""
SHAKE_HZ = (0.3, 1.0)
"""Rate at which it does."""
MARGIN_PX = 10.0
"""Width of the strip around the swept field in which there are stars, so that their light leaks in."""
PSF_SIGMA = (0.8, 1.3)
"""Width of the point-spread function, px."""


@dataclass(frozen=True)
class Scene:
    """One recording's sky. All arrays over sources have length S.

    Attributes:
        mode: one of MODES.
        sensor_size: (width, height), px.
        duration_s: length of the recording.
        noise_hz: mean background activity of a pixel, events/s.
        sky: float64 (H, W), level of the sky, mean about 1.
        sigma_px: width of the point-spread function.
        start, velocity, bend: float64 (S, 2); position, velocity and acceleration (x, y) at ``at_s``.
        at_s: float64 (S,), the time at which a source is at ``start``.
        contrast: float64 (S,), mean peak brightness over the sky.
        twinkle_std, twinkle_s: how the air modulates the brightness (log-normal, correlation time).
        tumble_hz, tumble_depth, tumble_phase: float64 (S,), zero depth for steady sources.
        shake_px, shake_hz, shake_phase: sway of the mount, common to all sources, in x and in y.
        source: int8 (S,), SOURCE_STAR or SOURCE_OBJECT.
        object_id: int32 (S,), 1, 2, ... for satellites, 0 for stars.
    """

    mode: str
    sensor_size: tuple[int, int]
    duration_s: float
    noise_hz: float
    sky: np.ndarray
    sigma_px: float
    start: np.ndarray
    velocity: np.ndarray
    bend: np.ndarray
    at_s: np.ndarray
    contrast: np.ndarray
    twinkle_std: float
    twinkle_s: float
    tumble_hz: np.ndarray
    tumble_depth: np.ndarray
    tumble_phase: np.ndarray
    shake_px: float
    shake_hz: float
    shake_phase: tuple[float, float]
    source: np.ndarray
    object_id: np.ndarray


def log_uniform(rng: np.random.Generator, bounds: tuple[float, float]) -> float:
    """One number between the bounds, uniform in its logarithm."""
    return float(np.exp(rng.uniform(np.log(bounds[0]), np.log(bounds[1]))))


def positions(scene: Scene, t_s: np.ndarray, which: slice | np.ndarray = slice(None)) -> np.ndarray:
    """Centres of the point-spread functions of some sources (indices, all S by default).

    float64 (len(t_s), S, 2), px, as (x, y).
    """
    since = t_s[:, None, None] - scene.at_s[which, None]
    path = scene.start[which] + scene.velocity[which] * since + 0.5 * scene.bend[which] * since**2
    turn = 2 * np.pi * scene.shake_hz * t_s[:, None] + np.array(scene.shake_phase)
    return path + scene.shake_px * np.sin(turn)[:, None, :]


def time_step(scene: Scene) -> float:
    """A step, in s, during which no source moves further than MAX_STEP_PX."""
    away = np.maximum(scene.at_s, scene.duration_s - scene.at_s)
    speed = np.hypot(*scene.velocity.T) + np.hypot(*scene.bend.T) * away
    fastest = speed.max(initial=0.0) + 2 * np.pi * scene.shake_hz * scene.shake_px * np.sqrt(2)
    return float(MAX_STEP_PX / max(fastest, MAX_STEP_PX / MAX_STEP_S))


def brightness(scene: Scene, blocks: Sequence[np.ndarray], dt: float, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Contrast of every source at the time steps of each block in turn: float64 (len(block), S).

    blocks: consecutive step numbers, (K,) int; a step lasts dt s. The air modulates the logarithm by an
    Ornstein-Uhlenbeck process, tumbling by two harmonics of its rate (a body shows its broad side twice per turn).
    """
    keep = np.exp(-dt / scene.twinkle_s)
    kick = np.sqrt(1 - keep**2)
    state, turning = None, np.flatnonzero(scene.tumble_depth)
    for block in blocks:
        air = rng.standard_normal((len(block), len(scene.contrast)))
        for now in air:
            if state is not None:
                now[:] = keep * state + kick * now
            state = now
        turn = 2 * np.pi * scene.tumble_hz[turning] * (block * dt)[:, None] + scene.tumble_phase[turning]
        tumble = FIRST_HARMONIC * np.sin(turn) + (1 - FIRST_HARMONIC) * np.sin(2 * turn)
        change = scene.twinkle_std * air
        change[:, turning] += scene.tumble_depth[turning] * tumble
        yield scene.contrast * np.exp(change)


def draw_scene(
    rng: np.random.Generator,
    mode: str,
    satellites: int,
    noise_hz: float,
    difficulty: Difficulty,
    sensor_size: tuple[int, int],
    duration_s: float,
) -> Scene:
    """A scene of the given kind; everything else comes from ``rng``."""
    size = np.array(sensor_size, float)
    sigma = rng.uniform(*PSF_SIGMA)
    drift = np.zeros(2)
    if mode != "sidereal":
        drift = _vector(rng, log_uniform(rng, STARE_DRIFT if mode == "stare" else TRACKING_DRIFT))
    stars = _stars(rng, size, drift, duration_s)
    velocity = np.array([_satellite_velocity(rng, mode, k, drift) for k in range(satellites)]).reshape(-1, 2)
    bend = np.array([_vector(rng, BEND * speed) for speed in np.hypot(*velocity.T)]).reshape(-1, 2)
    middle = size * rng.uniform(0.2, 0.8, (satellites, 2))
    middle_s = rng.uniform(0.2, 0.8, satellites) * duration_s
    contrast = np.array([log_uniform(rng, difficulty.contrast) for _ in range(satellites)])
    tumbles = rng.random(satellites) < 2 / 3
    depth = np.where(tumbles, rng.uniform(*TUMBLE_DEPTH, satellites), 0.0)
    rate = np.array([log_uniform(rng, TUMBLE_HZ) for _ in range(satellites)])
    phase = rng.uniform(0, 2 * np.pi, satellites)
    n = len(stars)
    star_contrast = _star_contrast(rng, n)
    none = np.zeros(n)
    return Scene(
        mode=mode,
        sensor_size=sensor_size,
        duration_s=duration_s,
        noise_hz=noise_hz,
        sky=smooth_field(rng, sensor_size, SKY_GRADIENT),
        sigma_px=sigma,
        start=np.concatenate([stars, middle]),
        velocity=np.concatenate([np.broadcast_to(drift, (n, 2)), velocity]),
        bend=np.concatenate([np.zeros((n, 2)), bend]),
        at_s=np.concatenate([none, middle_s]),
        contrast=np.concatenate([star_contrast, contrast]),
        twinkle_std=rng.uniform(*TWINKLE_STD),
        twinkle_s=log_uniform(rng, TWINKLE_S),
        tumble_hz=np.concatenate([none, rate]),
        tumble_depth=np.concatenate([none, depth]),
        tumble_phase=np.concatenate([none, phase]),
        shake_px=rng.uniform(*SHAKE_PX[mode]),
        shake_hz=rng.uniform(*SHAKE_HZ),
        shake_phase=(rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi)),
        source=np.r_[np.full(n, SOURCE_STAR), np.full(satellites, SOURCE_OBJECT)].astype(np.int8),
        object_id=np.r_[np.zeros(n), np.arange(1, satellites + 1)].astype(np.int32),
    )


def smooth_field(rng: np.random.Generator, sensor_size: tuple[int, int], strength: float) -> np.ndarray:
    """A gentle gradient with a bowl, exp of a quadratic: float64 (H, W), mean 1."""
    width, height = sensor_size
    x, y = np.linspace(-1, 1, width), np.linspace(-1, 1, height)[:, None]
    a, b, c = rng.normal(0, strength, 3)
    field = np.exp(a * x + b * y + c * (x**2 + y**2))
    return field / field.mean()


def _vector(rng: np.random.Generator, length: float) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    return length * np.array([np.cos(angle), np.sin(angle)])


def _satellite_velocity(rng: np.random.Generator, mode: str, k: int, drift: np.ndarray) -> np.ndarray:
    """The first satellite of a tracking recording is the one followed; the others move independently."""
    bounds = TRACKING_RESIDUAL if mode == "tracking" and k == 0 else SATELLITE_SPEED
    while True:
        velocity = _vector(rng, log_uniform(rng, bounds))
        if not drift.any() or np.hypot(*(velocity - drift)) >= MIN_RELATIVE_SPEED:
            return velocity


def _stars(rng: np.random.Generator, size: np.ndarray, drift: np.ndarray, duration_s: float) -> np.ndarray:
    """Positions at t = 0 of all stars that come into view: float64 (n, 2).

    The density is uniform over the box that the drifting field of view sweeps.
    """
    path = drift * duration_s
    low = np.minimum(0, -path) - MARGIN_PX
    high = size + np.maximum(0, -path) + MARGIN_PX
    davis = np.prod(EBSSA_SIZES["DAVIS"])
    mean = log_uniform(rng, STARS_IN_VIEW) * np.prod(high - low) / davis
    return rng.uniform(low, high, (rng.poisson(mean), 2))


def _star_contrast(rng: np.random.Generator, n: int) -> np.ndarray:
    """Contrasts with N(> C) falling as 1/C, cut at the brightest: float64 (n,)."""
    low, high = STAR_CONTRAST
    return 1 / rng.uniform(1 / high, 1 / low, n)
