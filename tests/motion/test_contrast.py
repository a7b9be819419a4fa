"""The star field's motion through a turn of the telescope, by the contrast of events."""

import numpy as np
import pytest

from spikeseg.motion.background import background_rates
from spikeseg.motion.contrast import frame_by_contrast
from spikeseg.motion.events import events_of
from spikeseg.motion.frame import STEP_S, Frame

SIZE, SECONDS = (120, 90), 5.0
TIMES = np.arange(0, SECONDS + STEP_S, STEP_S)
KNOWN = Frame.moving(TIMES, np.zeros((len(TIMES), 3)), SIZE)


def course(before, after, begins=2.0, takes=1.0):
    """The frame of a telescope that turns from one velocity to another."""
    part = np.clip((TIMES - begins) / takes, 0, 1)[:, None]
    velocity = np.array(before, float) + (3 * part**2 - 2 * part**3) * (np.array(after, float) - before)
    return Frame.moving(TIMES, np.column_stack([velocity, np.zeros(len(TIMES))]), SIZE)


def events_in(frame, stars, moving=(), noise_hz=0.1, seed=5):
    """Stars (n, 3: x, y in the frame, events/s) and what moves over the sensor (n, 5: x, y, vx, vy, events/s), in noise."""
    rng = np.random.default_rng(seed)
    parts = [rng.uniform(0, [SECONDS, *SIZE], (rng.poisson(noise_hz * SIZE[0] * SIZE[1] * SECONDS), 3))]
    for x, y, rate in stars:
        t = rng.uniform(0, SECONDS, rng.poisson(rate * SECONDS))
        where = frame.to_sensor(t, np.tile([x, y], (len(t), 1)))
        parts.append(np.column_stack([t, where + rng.normal(0, 0.8, where.shape)]))
    for x, y, vx, vy, rate in moving:
        t = rng.uniform(0, SECONDS, rng.poisson(rate * SECONDS))
        parts.append(np.column_stack([t, [x, y] + t[:, None] * [vx, vy] + rng.normal(0, 0.8, (len(t), 2))]))
    t, x, y = np.concatenate(parts).T
    order = np.argsort(t, kind="stable")
    x, y = np.rint(x[order]).astype(np.int64), np.rint(y[order]).astype(np.int64)
    seen = (x >= 0) & (y >= 0) & (x < SIZE[0]) & (y < SIZE[1])
    t, x, y = t[order][seen], x[seen], y[seen]
    return events_of(t, x, y, rng.random(len(t)) < 0.5, background_rates(t, x, y, SIZE, np.zeros(len(t), bool)))


def strays(frame, true):
    """How far a star drifts from its place in the frame, px."""
    shift = frame.shift - true.shift
    return float(np.hypot(*(shift - shift.mean(0)).T).max())


def stars_along(frame, n, seed):
    """So many stars in view at any time, about."""
    rng = np.random.default_rng(seed)
    low, high = -frame.shift.max(0) - 5, np.array(SIZE) + 5 - frame.shift.min(0)
    count = round(n * np.prod(high - low) / np.prod(SIZE))
    return np.column_stack([rng.uniform(low, high, (count, 2)), rng.uniform(60, 250, count)])


@pytest.mark.parametrize(("before", "after"), [((0, 0), (60, -35)), ((30, 30), (-50, 10))])
def test_a_turn_is_followed(before, after):
    true = course(before, after)
    events = events_in(true, stars_along(true, 10, seed=2))
    assert strays(KNOWN, true) > 40
    assert strays(frame_by_contrast(events, SIZE, KNOWN), true) < 0.15 * strays(KNOWN, true)


def test_one_source_is_no_field_of_stars():
    events = events_in(KNOWN, [(20, 20, 6), (70, 60, 8), (100, 30, 6)], moving=[(-20, 80, 30, -15, 300)])
    assert strays(frame_by_contrast(events, SIZE, KNOWN), KNOWN) < 4


def test_where_nothing_tells_what_was_known_holds():
    known = course((7, 3), (7, 3))
    events = events_in(known, [])
    assert strays(frame_by_contrast(events, SIZE, known), known) < 4
    none = events_of(*np.zeros((4, 0)), np.zeros(0))
    assert frame_by_contrast(none, SIZE, known) is known
