"""An object that rests on the sensor while stars stream past: the telescope follows it."""

import dataclasses

import numpy as np
import pytest

from spikeseg.config import load_config
from spikeseg.data.recording import EVENT_DTYPE, LABEL_DTYPE, Recording
from spikeseg.data.windows import windowed
from spikeseg.detection import motion_training, moving
from spikeseg.detection.motion_training import Night, footprint_of
from spikeseg.detection.moving import Motion, find_paths, found_in, frame_of, prepared, search_settings
from spikeseg.detection.path_slices import OWN
from spikeseg.motion.footprint import Footprint
from spikeseg.motion.online import NewEvents, OnlineSearch
from spikeseg.motion.probability import threshold_nats
from spikeseg.tracking.star_field import StarField

SIZE, SECONDS, STREAM = (100, 72), 8.0, (50.0, -8.0)
FIELD = StarField(np.array([0.0, 60e6]), np.array([STREAM]))
CONFIG = load_config("demo", {"data.data_root": None, "model.motion": True})
POINT = Motion(Footprint.point())


def rests(t, stops_s=0.0, starts_s=SECONDS, sway_px=0.0):
    """Where an object is that rests between two times and moves before and after: float64 (n, 2), px."""
    moves = np.minimum(t - stops_s, 0) + np.maximum(t - starts_s, 0)
    swings = np.stack([np.sin(2 * np.pi * 0.55 * t), -np.cos(2 * np.pi * 0.5 * t)], 1)
    return np.array([50.0, 36.0]) + np.outer(moves, (8.0, 3.0)) + sway_px * swings


def night(rate, seed=5, **how):
    """Stars that stream, pixels that differ by half of their mean, 0.2 events/s, and an object of so many events/s, see `rests`.
    -> the recording, and which events are the object's."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(0.2 * rng.gamma(4.0, 0.25, SIZE[::-1]) * SECONDS)
    y, x = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape))
    parts = [np.stack([rng.random(len(x)) * SECONDS, x, y], 1)]
    way = np.array(STREAM) * SECONDS
    low, high = np.minimum(0, -way), np.array(SIZE) - 1 + np.maximum(0, -way)
    stars = rng.uniform(low, high, (round(8 * np.prod(high - low) / np.prod(SIZE)), 2))
    for star in [None, *stars]:
        t = rng.random(rng.poisson((rate if star is None else rng.uniform(20, 100)) * SECONDS)) * SECONDS
        place = rests(t, **how) if star is None else star + np.outer(t, STREAM)
        parts.append(np.column_stack([t, np.rint(place + rng.standard_normal(place.shape))]))
    own = np.repeat([False, True, False], [len(parts[0]), len(parts[1]), sum(map(len, parts[2:]))])
    table = np.concatenate(parts)
    order = np.argsort(table[:, 0], kind="stable")
    order = order[((table[order, 1:] >= 0) & (table[order, 1:] < SIZE)).all(1)]
    events = np.zeros(len(order), EVENT_DTYPE)
    events["t"], events["x"], events["y"] = np.rint(table[order, 0] * 1e6), *table[order, 1:].T
    events["p"] = rng.integers(0, 2, len(order))
    return Recording(events, SIZE, np.zeros(0, LABEL_DTYPE), "rests", "rests"), own[order]


def objects(found):
    return [path for path, nats in zip(found.paths, found.nats, strict=True) if nats >= found.threshold]


@pytest.mark.parametrize(
    ("rate", "how", "share"),
    [(140.0, {"sway_px": 0.7}, 0.8), (15.0, {}, 0.7), (60.0, {"starts_s": 4.0}, 0.8), (60.0, {"stops_s": 4.0}, 0.8)],
)
def test_it_is_one_object_and_has_its_events(rate, how, share):
    recording, own = night(rate, **how)
    found = find_paths(windowed(recording, CONFIG.data), FIELD, POINT)
    (path,) = objects(found)
    assert path.t_s[0] < 0.5 and path.t_s[-1] > 7.5
    away = np.hypot(*(path.states[:, :2] - rests(path.t_s, **how)).T)
    assert np.median(away) < 1.0 and away.max() < 5.0
    assert (found.responsibility[own] >= OWN).mean() > share


def test_it_is_one_object_while_it_is_followed():
    recording, _ = night(140.0, sway_px=0.7)
    search = OnlineSearch(SIZE, Footprint.point(), search_settings(POINT, SIZE))
    t_s, columns = recording.events["t"] * 1e-6, [recording.events[name].astype(np.int64) for name in "xyp"]
    for low in np.arange(SECONDS):
        part = slice(*np.searchsorted(t_s, [low, low + 1]))
        search.step(NewEvents(t_s[part], *(column[part] for column in columns)), low + 1, FIELD)
    (one,) = (known for known in search.known.values() if known.nats >= threshold_nats(0.1, SIZE))
    assert one.smooth.t_s[0] < 0.5 and one.smooth.t_s[-1] > 7.5 and not one.star


def test_overwhelming_evidence_against_stars_goes_before_moving_like_others(monkeypatch):
    """By the tolerance of what moves alike a slow object among stars is one of them; footprints are learned without it."""
    recording, _ = night(140.0)
    view, told = windowed(recording, CONFIG.data), []
    start = prepared(view, frame_of(view, FIELD))
    monkeypatch.setattr(moving, "rigid", lambda movers, known, _: (np.ones(len(movers), bool), known))
    for careful in (True, False):
        own = start._replace(events=start.events._replace(owner=start.events.owner.copy()))
        told.append(len(objects(found_in(own, dataclasses.replace(POINT, careful=careful)))))
    assert told == [1, 0]


def test_footprints_are_learned_without(monkeypatch):
    """So that the networks that come with the package can be trained again, byte for byte."""
    asked = []

    def find(view, field, motion):
        asked.append(motion.careful)
        return find_paths(view, field, motion)

    monkeypatch.setattr(motion_training, "find_paths", find)
    monkeypatch.setattr(motion_training, "ROUNDS", 1)
    recording, _ = night(15.0)
    footprint_of([Night(lambda: windowed(recording, CONFIG.data), FIELD)], CONFIG)
    assert asked == [False]
