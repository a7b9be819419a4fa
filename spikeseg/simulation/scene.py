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

from .draws import log_uniform, smooth_field, vector
from .field_motion import Clouds, FieldMotion, draw_clouds

MODES = ("sidereal", "stare", "tracking")
"""The telescope follows the stars, stands still, or follows a satellite."""

MAX_STEP_PX = 0.25
"""No source moves further than this between two time steps, so that no pixel misses its passing."""
MAX_STEP_S = 0.004
"""Longest time step: twinkling and tumbling are slower than this by a factor of five and more."""


@dataclass(frozen=True)
class Difficulty:
    """Ranges (low, high) that a level of difficulty draws from.

    contrast: peak of a satellite's point-spread function over the sky; log-uniform.
    noise_hz: mean rate of background activity of a pixel, events/s; log-uniform, tenfold between recordings.
    rotation_deg_s: rate at which the star field turns about a point of the sensor, either way round, degrees/s; uniform.
    jitter_px: root mean square of the mount's jitter, in x and in y, beside its sway; uniform.
    turns_a_minute: mean number of turns of the telescope a minute, from one of MODES to another within TURN_S.
    clouds: share of the recordings with clouds.
    cloud_depth: optical depth of their thickest parts (1: light falls to 37 %); uniform.
    """

    contrast: tuple[float, float]
    noise_hz: tuple[float, float]
    rotation_deg_s: tuple[float, float] = (0.0, 0.0)
    jitter_px: tuple[float, float] = (0.0, 0.0)
    turns_a_minute: float = 0.0
    clouds: float = 0.0
    cloud_depth: tuple[float, float] = (0.0, 0.0)


DIFFICULTIES = {
    "easy": Difficulty(contrast=(4.0, 20.0), noise_hz=(0.03, 0.3)),
    "medium": Difficulty(contrast=(0.9, 8.0), noise_hz=(0.06, 0.6)),
    "hard": Difficulty(
        contrast=(0.4, 1.6),
        noise_hz=(0.08, 0.8),
        rotation_deg_s=(0.01, 0.1),
        jitter_px=(0.02, 0.1),
        turns_a_minute=1.0,
        clouds=0.25,
        cloud_depth=(0.2, 0.7),
    ),
    "extreme": Difficulty(
        contrast=(0.4, 1.6),
        noise_hz=(0.08, 0.8),
        rotation_deg_s=(0.1, 1.0),
        jitter_px=(0.1, 0.5),
        turns_a_minute=6.0,
        clouds=0.5,
        cloud_depth=(0.7, 2.0),
    ),
}
"""What each level holds:

| | easy | medium | hard | extreme |
|---|---|---|---|---|
| contrast of satellites | 4-20 | 0.9-8 | 0.4-1.6 | 0.4-1.6 |
| noise, events/s per pixel | 0.03-0.3 | 0.06-0.6 | 0.08-0.8 | 0.08-0.8 |
| field rotation, degrees/s | none | none | 0.01-0.1 | 0.1-1 |
| jitter, px rms | none | none | 0.02-0.1 | 0.1-0.5 |
| turns of the telescope a minute | none | none | 1 | 6 |
| recordings with clouds, optical depth | none | none | 1 in 4, 0.2-0.7 | 1 in 2, 0.7-2 |

Everything else is the same for all: satellites enter and leave anywhere, at 0.5-120 px/s (SATELLITE_SPEED), and the mount
sways (SWAY_PX). medium: 3 to 26 thousand noise events/s on a DAVIS, as in the labelled part of EBSSA. extreme has the
brightness and the noise of hard, so that what tells them apart is the telescope and the weather."""

SATELLITE_SPEED = (0.5, 120.0)
"""Speed of a satellite that the telescope does not follow, px/s: of every second one relative to the stars, of the others
relative to the sensor; so some move hardly faster than the stars, and some hardly over the sensor."""
STARE_DRIFT = (2.0, 30.0)
"""Speed of the star field while the telescope stands still, px/s."""
TRACKING_DRIFT = (30.0, 120.0)
"""Speed of the star field while the telescope follows a satellite, px/s."""
TRACKING_RESIDUAL = (0.3, 2.0)
"""Speed of the followed satellite within the frame, px/s."""
MIN_RELATIVE_SPEED = 0.5
"""A satellite differs from the stars by at least this velocity, px/s, when it passes the place that it is drawn at."""
BRIEF_S = 0.5
"""Satellites in view for at least this long are as frequent as if they came from everywhere alike; shorter visits are rarer."""
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
SWAY_PX = {"sidereal": (0.0, 0.2), "stare": (0.0, 0.0), "tracking": (0.2, 0.8)}
"""Amplitude with which the mount sways while it follows something, px."""
SWAY_HZ = (0.3, 1.0)
"""Rate at which it does."""
JITTER_HZ = (0.5, 8.0)
"""Band of the mount's jitter; its amplitude falls as 1/f."""
JITTER_SINES = 6
"""Sines that make it up."""
TURN_S = (1.0, 2.0)
"""How long a turn of the telescope takes."""
MARGIN_PX = 10.0
"""Width of the strip around the swept field in which there are stars, so that their light leaks in."""
CELL_PX = 24.0
"""Side of the cells of which the swept field is made up."""
PATHS = 64
"""Paths of which one is drawn for a satellite."""
LOOK_S = 0.05
"""Time between two looks at whether a path is in view."""
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
        field: how the telescope moves the sky over the sensor.
        clouds: what dims the sources, or None.
        start, velocity, bend: float64 (S, 2); place, velocity and acceleration (x, y) in the sky (FieldMotion), so
            relative to the stars, at ``at_s``.
        at_s: float64 (S,), the time at which a source is at ``start``.
        contrast: float64 (S,), mean peak brightness over the sky, without clouds.
        twinkle_std, twinkle_s: how the air modulates the brightness (log-normal, correlation time).
        tumble_hz, tumble_depth, tumble_phase: float64 (S,), zero depth for steady sources.
        source: int8 (S,), SOURCE_STAR or SOURCE_OBJECT.
        object_id: int32 (S,), 1, 2, ... for satellites, 0 for stars.
    """

    mode: str
    sensor_size: tuple[int, int]
    duration_s: float
    noise_hz: float
    sky: np.ndarray
    sigma_px: float
    field: FieldMotion
    clouds: Clouds | None
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
    source: np.ndarray
    object_id: np.ndarray


def positions(scene: Scene, t_s: np.ndarray, which: slice | np.ndarray = slice(None)) -> np.ndarray:
    """Centres of the point-spread functions of some sources (indices, all S by default), on the sensor.

    float64 (len(t_s), S, 2), px, as (x, y).
    """
    since = t_s[:, None, None] - scene.at_s[which, None]
    return scene.field.place(_path(scene.start[which], scene.velocity[which], scene.bend[which], since), t_s[:, None])


def time_step(scene: Scene) -> float:
    """A step, in s, during which no source that is in view, or nearly, moves further than MAX_STEP_PX."""
    since = np.array([0, scene.duration_s])[:, None, None] - scene.at_s[:, None]
    own = scene.velocity + scene.bend * since  # with the drift, fastest at one of the ends and one of the drift's velocities
    speed = np.hypot(*np.moveaxis(own[:, None] + scene.field.velocities[:, None], -1, 0))
    fastest = speed.max(initial=0.0) + scene.field.speed_beside_drift(scene.sensor_size, MARGIN_PX)
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
    field = _field_motion(rng, mode, difficulty, size, duration_s)
    clouds = draw_clouds(rng, rng.uniform(*difficulty.cloud_depth)) if rng.random() < difficulty.clouds else None
    stars = _stars(rng, field, size, duration_s)
    followed = [mode == "tracking" and k == 0 for k in range(satellites)]
    paths = np.array([_satellite_path(rng, field, size, duration_s, one) for one in followed]).reshape(-1, 7)
    contrast = np.array([log_uniform(rng, difficulty.contrast) for _ in range(satellites)])
    tumbles = rng.random(satellites) < 2 / 3
    depth = np.where(tumbles, rng.uniform(*TUMBLE_DEPTH, satellites), 0.0)
    rate = np.array([log_uniform(rng, TUMBLE_HZ) for _ in range(satellites)])
    phase = rng.uniform(0, 2 * np.pi, satellites)
    n = len(stars)
    star_contrast = _star_contrast(rng, n)
    none, still = np.zeros(n), np.zeros((n, 2))
    return Scene(
        mode=mode,
        sensor_size=sensor_size,
        duration_s=duration_s,
        noise_hz=noise_hz,
        sky=smooth_field(rng, sensor_size, SKY_GRADIENT),
        sigma_px=sigma,
        field=field,
        clouds=clouds,
        start=np.concatenate([stars, paths[:, :2]]),
        velocity=np.concatenate([still, paths[:, 2:4]]),
        bend=np.concatenate([still, paths[:, 4:6]]),
        at_s=np.concatenate([none, paths[:, 6]]),
        contrast=np.concatenate([star_contrast, contrast]),
        twinkle_std=rng.uniform(*TWINKLE_STD),
        twinkle_s=log_uniform(rng, TWINKLE_S),
        tumble_hz=np.concatenate([none, rate]),
        tumble_depth=np.concatenate([none, depth]),
        tumble_phase=np.concatenate([none, phase]),
        source=np.r_[np.full(n, SOURCE_STAR), np.full(satellites, SOURCE_OBJECT)].astype(np.int8),
        object_id=np.r_[np.zeros(n), np.arange(1, satellites + 1)].astype(np.int32),
    )


def _path(start: np.ndarray, velocity: np.ndarray, bend: np.ndarray, since: np.ndarray) -> np.ndarray:
    """Places (..., 2) in the sky, ``since`` seconds (..., 1) after ``start``."""
    return start + velocity * since + 0.5 * bend * since**2


def _field_motion(
    rng: np.random.Generator, mode: str, difficulty: Difficulty, size: np.ndarray, duration_s: float
) -> FieldMotion:
    """A telescope that begins in ``mode`` and goes on in others."""
    turns_s = np.sort(rng.uniform(0, duration_s, rng.poisson(difficulty.turns_a_minute * duration_s / 60)))
    modes = [mode]
    for _ in turns_s:
        modes.append(str(rng.choice([other for other in MODES if other != modes[-1]])))
    sway_px, sway_hz = rng.uniform(*SWAY_PX[mode]), rng.uniform(*SWAY_HZ)
    jitter_hz = np.array([log_uniform(rng, JITTER_HZ) for _ in range(JITTER_SINES)])
    jitter_px = rng.uniform(*difficulty.jitter_px) * np.sqrt(2) / (jitter_hz * np.linalg.norm(1 / jitter_hz))
    return FieldMotion(
        velocities=np.array([_drift(rng, one) for one in modes]),
        turns_s=turns_s,
        turn_takes_s=rng.uniform(*TURN_S),
        rotation=np.radians(rng.uniform(*difficulty.rotation_deg_s)) * rng.choice([-1, 1]),
        pivot=rng.uniform(0, size - 1),
        shake_px=np.r_[sway_px, jitter_px],
        shake_hz=np.r_[sway_hz, jitter_hz],
        shake_phase=rng.uniform(0, 2 * np.pi, (1 + JITTER_SINES, 2)),
    )


def _drift(rng: np.random.Generator, mode: str) -> np.ndarray:
    """Velocity of the star field in a mode: float64 (2,), px/s."""
    if mode == "sidereal":
        return np.zeros(2)
    return vector(rng, log_uniform(rng, STARE_DRIFT if mode == "stare" else TRACKING_DRIFT))


def _satellite_path(
    rng: np.random.Generator, field: FieldMotion, size: np.ndarray, duration_s: float, followed: bool
) -> np.ndarray:
    """One of all paths that come into view: start, velocity and bend (x, y each) and at_s, float64 (7,).

    PATHS paths of one velocity pass through places that are uniform over the sensor, at times that are uniform over the
    recording. Such paths are more often among them the longer they are in view; by picking one with the inverse of that
    time (of BRIEF_S at least) as its weight, each is as frequent as if satellites came from everywhere alike, and their
    places in view are uniform over the sensor.
    """
    look_s = np.linspace(0, duration_s, max(20, int(np.ceil(duration_s / LOOK_S))))[:, None]
    bounds = TRACKING_RESIDUAL if followed else SATELLITE_SPEED
    while True:
        to_sensor = followed or rng.random() < 0.5
        own = vector(rng, log_uniform(rng, bounds))
        bend = vector(rng, BEND * np.hypot(*own))
        at_s = rng.uniform(0, duration_s, PATHS)
        start = field.sky(rng.uniform(-0.5, size - 0.5, (PATHS, 2)), at_s)
        velocity = own - to_sensor * field.velocity(at_s)
        seen = field.place(_path(start, velocity, bend, (look_s - at_s)[..., None]), look_s)
        in_view_s = duration_s * np.all((seen >= -0.5) & (seen < size - 0.5), axis=2).mean(axis=0)
        moves = np.hypot(*velocity.T) >= MIN_RELATIVE_SPEED
        weight = ((in_view_s > 0) & moves) / np.maximum(in_view_s, BRIEF_S)
        if weight.any():
            k = rng.choice(PATHS, p=weight / weight.sum())
            return np.r_[start[k], velocity[k], bend, at_s[k]]


def _stars(rng: np.random.Generator, field: FieldMotion, size: np.ndarray, duration_s: float) -> np.ndarray:
    """Places in the sky of all stars that come into view: float64 (n, 2).

    The density is uniform over the cells that the field of view sweeps: those in which a grid of points lies, over the
    view and two cells around it, at times between which it moves by less than half a cell.
    """
    reach, spacing = MARGIN_PX + 2 * CELL_PX, CELL_PX / 2
    view = np.stack(np.meshgrid(*(np.arange(-reach, side + reach + spacing, spacing) for side in size)), axis=-1).reshape(-1, 2)
    speed = np.hypot(*field.velocities.T).max() + abs(field.rotation) * np.hypot(*(size + reach))
    times = np.linspace(0, duration_s, 2 + int(speed * duration_s / spacing))[:, None]
    cells = np.floor(field.sky(view, times) / CELL_PX).astype(np.int64).reshape(-1, 2)
    first = cells.min(axis=0)
    swept = np.zeros(cells.max(axis=0) - first + 1, bool)
    swept[tuple((cells - first).T)] = True
    mean = log_uniform(rng, STARS_IN_VIEW) * np.count_nonzero(swept) * CELL_PX**2 / np.prod(EBSSA_SIZES["DAVIS"])
    corner = first + rng.choice(np.argwhere(swept), rng.poisson(mean))
    return CELL_PX * (corner + rng.random(corner.shape))


def _star_contrast(rng: np.random.Generator, n: int) -> np.ndarray:
    """Contrasts with N(> C) falling as 1/C, cut at the brightest: float64 (n,)."""
    low, high = STAR_CONTRAST
    return 1 / rng.uniform(1 / high, 1 / low, n)
