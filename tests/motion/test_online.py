"""The motion layer on events that come piece by piece."""

import dataclasses

import numpy as np
import pytest

from spikeseg.motion import online
from spikeseg.motion.events import events_of
from spikeseg.motion.footprint import Footprint
from spikeseg.motion.online import KnownPath, NewEvents, OnlineSearch
from spikeseg.motion.path import Path, SmoothPath
from spikeseg.motion.path_kernels import KNOT, STATE
from spikeseg.motion.paths import joined
from spikeseg.motion.scales import FAST, MEDIUM
from spikeseg.motion.search import SearchSettings
from spikeseg.motion.stars import STAR
from spikeseg.simulation.limit import LimitConfig, limit_recording
from spikeseg.tracking.star_field import StarField

SIZE = (96, 72)
STILL = StarField.still()
SETTINGS = SearchSettings((FAST, MEDIUM), 9.0, 17.0)


def recording(**changes):
    settings = {"rate_hz": 20.0, "duration_s": 8.0, "speed_px_s": (8.0, 8.0), "stars": 0, "sensor_size": SIZE, "seed": 3}
    return limit_recording(LimitConfig(**{**settings, **changes}), 0)


def part(faint, low, high):
    """Its events between two times, s."""
    events = faint.events[(faint.events["t"] >= low * 1e6) & (faint.events["t"] < high * 1e6)]
    return NewEvents(events["t"] * 1e-6, *(events[name].astype(np.int64) for name in "xyp"))


def searched(faint, until_s, step_s=0.5, search=None):
    """A search that has come so far."""
    search = search or OnlineSearch(SIZE, Footprint.point(), SETTINGS)
    for at in np.arange(0, until_s, step_s):
        search.step(part(faint, at, at + step_s), at + step_s, STILL)
    return search


def test_a_path_is_found_while_its_object_passes_and_goes_on():
    faint = recording()
    search, ends = searched(faint, 6.0), []
    ((number, known),) = search.known.items()
    assert known.path.alive and known.nats > 30 and not known.star
    for at in (6.0, 6.5):
        search.step(part(faint, at, at + 0.5), at + 0.5, STILL)
        ends.append(search.known[number].smooth.t_s[-1])
    assert np.allclose(ends, [6.5, 7.0])
    truth = np.stack([np.interp(search.known[number].smooth.t_s * 1e6, faint.labels["t"], faint.labels[a]) for a in "xy"], 1)
    assert np.median(np.hypot(*(search.known[number].smooth.states[:, :2] - truth).T)) < 1.0


def test_only_what_is_remembered_is_kept(monkeypatch):
    monkeypatch.setattr(online, "HISTORY_S", 2.0)
    search = searched(recording(), 8.0)
    assert search._events.t[0] >= 6.0 and len(search._index.order) == len(search._events.t)
    assert all(known.smooth.t_s[0] >= 6.0 and known.path.knots[0, 0] >= 6.0 for known in search.known.values())
    assert any(known.path.alive and known.path.nats > 100 for known in search.known.values())  # its evidence is not forgotten
    quiet = recording(objects=0, seed=4)
    for at in np.arange(8.0, 14.0, 0.5):
        new = part(quiet, at - 6.5, at - 6.0)
        search.step(new._replace(t=new.t + 6.5), at + 0.5, STILL)
    assert not search.search.paths or min(path.id for path in search.search.paths) > 1


def test_a_new_beginning_remembers_nothing():
    faint = recording()
    search = searched(faint, 6.0)
    first = next(iter(search.known))
    search.restart()
    assert not search.known and not search.search.paths and not len(search._events.t)
    assert not any(maps.potentials().any() for maps in search.search.maps)
    shifted = part(faint, 0.0, 0.5)
    search.step(shifted._replace(t=shifted.t + 3600), 3600.5, STILL)
    assert search.search.ticks == 1 and search.search.start_s == shifted.t[0] + 3600
    for at in np.arange(0.5, 6.0, 0.5):
        new = part(faint, at, at + 0.5)
        search.step(new._replace(t=new.t + 3600), 3600 + at + 0.5, STILL)
    assert next(iter(search.known)) > first


def test_nothing_comes_of_nothing():
    search = OnlineSearch(SIZE, Footprint.point(), SETTINGS)
    search.step(part(recording(), 0, 0), 1.0, STILL)
    assert not search.known


@pytest.fixture(scope="module")
def drifting():
    """Stars that the tracker does not know to drift, and the true velocity."""
    faint = recording(stars=8, field="drift", field_speed_px_s=14.0, objects=0, seed=2)
    search = searched(faint, 4.0)
    return search, searched(faint, 8.0)


def test_a_field_that_the_tracker_does_not_know_is_found(drifting):
    early, search = drifting
    assert np.hypot(*search.frame.rates[-1, :2]) == pytest.approx(14.0, abs=1.0)
    assert early.stars.explained.mean() > 0.05 < search.stars.explained.mean()
    assert all(known.star or known.nats < SETTINGS.path_nats for known in search.known.values())


def test_a_path_of_a_star_is_dropped_and_its_events_are_the_stars():
    faint = recording(stars=3, objects=0, seed=6)
    search = searched(faint, 6.0)
    assert search.stars.explained.any() and not search.known
    owner = search._events.owner
    assert (owner[search.stars.explained] == -1).all() and (owner[~search.stars.explained] == 0).all()


def test_stars_may_have_what_a_path_has_explained_before_they_were_known():
    faint = recording(stars=3, objects=0, seed=6)
    search = searched(faint, 6.0)
    owner, own = search._events.owner, path(7, np.arange(0, 6, 0.1), alive=True)
    assert (owner == STAR).sum() > 200
    owner[owner == STAR] = 7
    search.search.made, search.search.paths = 7, [own]
    smooth = SmoothPath(1.0, own.knots[:, 0], own.knots[:, 1:5], np.ones(60), 1e4, np.ones(60), 3.0, 7)
    search.known = {7: KnownPath(own, smooth, 1e4, False)}
    search.step(part(faint, 6.0, 6.5), 6.5, STILL)
    assert 7 not in search.known and not search.search.paths and (search._events.owner == STAR).sum() > 200


def path(number, t, alive=False):
    """At 10 px/s along x, y = 20."""
    knots = np.zeros((len(t), KNOT))
    knots[:, 0], knots[:, 1], knots[:, 2], knots[:, 3] = t, 10 * t, 20.0, 10.0
    return Path(number, t[-1], 30.0, knots, alive, 3.0, MEDIUM, np.full(STATE, float(number)), t[-1], 0.1)


@pytest.mark.parametrize("alive", [True, False])
def test_a_piece_that_goes_on_makes_the_whole_go_on(alive):
    long, short = path(1, np.arange(0, 4, 0.1)), path(2, np.arange(4.5, 6, 0.1), alive)
    columns = np.full((4, 3), 5.0)
    events = events_of(*columns[:3], np.ones(3), np.ones(3), np.array([1, 2, 0]))
    (whole,) = joined([dataclasses.replace(long), short], events)
    assert whole.id == 1 and whole.alive is alive and events.owner.tolist() == [1, 1, 0]
    assert whole.until == (short.until if alive else long.until) and whole.state[0] == (2.0 if alive else 1.0)


def test_a_path_is_smoothed_that_lasts_for_two_steps_of_its_search():
    search = searched(recording(objects=0), 1.0).search
    step = search.tick_s / 5
    for steps, is_one in ((0, False), (1.9, False), (2.0, True), (2.5, True)):
        assert (search.smooth(path(1, np.array([0.0, steps * step]))) is not None) is is_one


@pytest.mark.parametrize(("oldest_s", "left"), [(0.0, 5), (0.3, 2), (0.35, None), (0.5, None)])
def test_a_path_that_has_ended_is_known_as_far_as_it_is_remembered(oldest_s, left):
    """Two points of it at least."""
    search, ended = searched(recording(objects=0), 1.0), path(1, np.arange(5) / 10)
    smooth = SmoothPath(0.4, ended.knots[:, 0], ended.knots[:, 1:5], np.ones(5), 5.0, np.ones(5), 3.0, 1)
    again = search._smoothed(ended, KnownPath(ended, smooth, 5.0, False), oldest_s)
    assert (None if again is None else len(again.t_s)) == left
