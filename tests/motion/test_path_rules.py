"""Which paths tell of an object: how long they last, what evidence they have, and that they are no halo."""

from types import SimpleNamespace

import numpy as np
import pytest

from spikeseg.motion import paths as motion_paths
from spikeseg.motion.events import events_of
from spikeseg.motion.frame import Frame
from spikeseg.motion.path import SmoothPath
from spikeseg.motion.paths import EARLY_NATS, LEAST_S, STREAM_LEAST_S, evidence_of, lasts, telling
from spikeseg.motion.stars import STAR
from spikeseg.tracking.star_field import StarField


@pytest.mark.parametrize(("seconds", "enough"), [(LEAST_S, True), (np.nextafter(LEAST_S, 0), False)])
def test_a_path_is_told_of_from_its_least_time_on(seconds, enough):
    path = SmoothPath(0.1, np.array([0.0, seconds]), np.zeros((2, 4)), np.full(2, 10.0), 90.0, np.full(2, 5.0), 3.0)
    assert lasts(path, 21.0, 20.0, Frame.of(StarField.still(), (0.0, 5.0), (120, 90))) is enough


@pytest.mark.parametrize(
    ("seconds", "nats", "drift", "enough"),
    [
        (STREAM_LEAST_S, 21.0, 40.0, True),
        (0.99, 39.9, 40.0, False),
        (0.99, 40.0, 40.0, True),
        (0.99, 21.0, 5.0, True),  # stars that hardly move are not passed one after the other
    ],
)
def test_where_stars_stream_a_brief_path_needs_more_evidence(seconds, nats, drift, enough):
    path = SmoothPath(0.1, np.array([0.0, seconds]), np.zeros((2, 4)), np.full(2, 10.0), 90.0, np.full(2, 5.0), 3.0)
    field = StarField(np.array([0.0, 5e6]), np.array([[drift, 0.0]]))
    assert lasts(path, nats, 20.0, Frame.of(field, (0.0, 5.0), (120, 90))) is enough


def test_what_crosses_briefly_is_told_of_if_it_leaves_no_doubt():
    """0.4 s suffice for what crosses 20 px with much evidence among steady stars; with no more than noise may give, without a
    way, or while the telescope turns, it has to be there for longer."""
    steady = Frame.of(StarField.still(), (0.0, 8.0), (120, 90))
    turned = Frame.of(StarField(np.array([0.0, 4e6, 60e6]), np.array([[0.0, 0.0], [20.0, 0.0]])), (0.0, 8.0), (120, 90))

    def path(seconds, speed, y=40.0):
        t = np.linspace(1.0, 1.0 + seconds, 9)
        states = np.stack([10 + speed * (t - 1), np.full(9, y), np.full(9, speed), np.zeros(9)], 1)
        return SmoothPath(1.5, t, states, np.full(9, 10.0), 90.0, np.full(9, 5.0), 3.0)

    assert lasts(path(0.4, 50.0), 60.0, 20.0, steady)
    assert not lasts(path(0.4, 50.0), 45.0, 20.0, steady) and not lasts(path(0.4, 10.0), 60.0, 20.0, steady)
    assert not lasts(path(0.1, 200.0), 60.0, 20.0, steady) and not lasts(path(0.4, 50.0), 60.0, 20.0, turned)
    assert lasts(path(0.7, 10.0), 21.0, 20.0, turned)
    along = Frame.of(StarField(np.array([0.0, 60e6]), np.array([[40.0, 0.0]])), (0.0, 8.0), (120, 90))
    assert not lasts(path(0.4, 50.0), 60.0, 20.0, along)  # 4 px among the stars
    assert lasts(path(0.4, 50.0, 85.0), 60.0, 20.0, steady)
    assert not lasts(path(0.4, 50.0, 86.0), 60.0, 20.0, steady)  # nearer than 4 px to the edge
    assert lasts(path(0.7, 50.0, 86.0), 21.0, 20.0, steady)


@pytest.mark.parametrize(
    ("alike", "known", "careful", "found", "nats"),
    [
        (False, False, True, 50.0, 30),
        (True, True, True, 50.0, 30),
        (True, False, True, 50.0, 0),
        (False, True, False, 50.0, 5),
        (True, True, False, 50.0, 0),
        (False, True, True, 34.0, 5),  # as paths that wander about among flickering pixels have
        (True, True, True, 34.0, 0),
    ],
)
def test_what_creeps_is_none_of_those_that_move_alike_where_stars_are_known(alike, known, careful, found, nats, monkeypatch):
    """Where they are not, all of them may be the stars."""
    for name, own in (("against_stars", 5.0), ("no_star", False), ("creeping", 30.0)):
        monkeypatch.setattr(motion_paths, name, lambda *_, own=own: own)
    spans, path = [SimpleNamespace(known=True), SimpleNamespace(known=known)], SimpleNamespace(evidence=found)
    assert evidence_of(path, alike, 17.5, None, spans, None, careful) == nats


def test_what_is_a_halo_or_brief_or_has_too_little_evidence_is_not_told_of():
    """The first path is an object's; one runs beside it, one stays in a star's halo, one is brief, one has too little."""
    t = np.linspace(0.0, 4.0, 41)

    def path(x, y, speed, last=4.0):
        states = np.stack([x + speed * t, np.full(41, y), np.full(41, speed), np.zeros(41)], 1)
        return SmoothPath(0.5, t * last / 4, states, np.ones(41), 90.0, np.ones(41), 3.0)

    paths = [path(20, 20, 8.0), path(20, 24, 8.0), path(90, 70, 0.5), path(20, 60, 8.0, 0.5), path(20, 80, 8.0)]
    seen = np.linspace(0, 4, 500)
    events = events_of(seen, np.full(500, 90.0), np.full(500, 72.0), np.ones(500), np.ones(500), np.full(500, STAR))
    still = Frame.of(StarField.still(), (0.0, 4.0), (120, 90))
    nats = [40.0, 30.0, 30.0, 30.0, 20.0 - EARLY_NATS - 0.1]
    assert telling(paths, nats, 20.0, events, still).tolist() == [True, False, False, False, False]
    assert telling(paths, nats, 20.0, events, still, careful=False).tolist() == [True, True, True, False, False]
    assert telling(paths, [*nats[:4], 20.0 - EARLY_NATS], 20.0, events, still).tolist() == [True, False, False, False, True]
    assert telling([], [], 20.0, events, still).tolist() == []
