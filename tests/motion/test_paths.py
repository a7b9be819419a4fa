"""Pieces that are joined, and what tells an object from a star."""

import numpy as np
import pytest

from spikeseg.motion import paths as motion_paths
from spikeseg.motion.events import Events
from spikeseg.motion.frame import Frame
from spikeseg.motion.path import Path, SmoothPath
from spikeseg.motion.path_kernels import KNOT, STATE
from spikeseg.motion.paths import beside, creeping, in_halo, joined
from spikeseg.motion.scales import MEDIUM
from spikeseg.motion.star_motion import Span
from spikeseg.motion.stars import STAR
from spikeseg.tracking.star_field import StarField

NO_SPANS: list[Span] = []


def known_within(error):
    """Still stars whose velocity is known so well, px/s."""
    return Span(0.0, 8.0, np.zeros(2), 0.0, np.array([60.0, 45.0]), True, 5, np.diag([error**2 / 4, error**2 / 4, 0.0]))


def drift(*velocity):
    return Frame.of(StarField(np.array([0.0, 60e6]), np.array([velocity], float)), (0.0, 8.0), (120, 90))


STILL = drift(0, 0)


def piece(number, first, last, start, velocity, nats=40.0):
    """A path along a straight line: where it is at time 0."""
    t = np.arange(first, last + 1e-9, 0.1)
    knots = np.zeros((len(t), KNOT))
    knots[:, 0], knots[:, 3:5] = t, velocity
    knots[:, 1:3] = np.array(start) + np.outer(t, velocity)
    knots[:, 5], knots[:, 6], knots[:, 7] = nats / len(t), 1, 1
    return Path(number, first + 1.0, nats, knots, False, 3.0 + number / 10, MEDIUM, np.zeros(STATE), last, 0.1)


def no_events(owners=()):
    n = len(owners)
    return Events(*(np.arange(n, dtype=float) for _ in range(3)), np.zeros(n, np.int64), np.ones(n), np.array(owners, np.int64))


def smooth(start, velocity, first=0.0, last=8.0, nats=80.0):
    """A smooth path along a straight line: where it is at time 0."""
    t = np.linspace(first, last, round((last - first) / 0.1) + 1)
    states = np.concatenate([np.array(start) + np.outer(t, velocity), np.tile(np.array(velocity, float), (len(t), 1))], 1)
    return SmoothPath(last, t, states, np.full(len(t), nats / len(t)), nats, np.ones(len(t)), 3.0)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_halves_are_joined(order):
    halves = [piece(1, 0.0, 3.0, (10, 20), (8, 3), 30.0), piece(2, 4.0, 9.0, (10, 20), (8, 3), 45.0)]
    events = no_events([1, 2, 0, 2, -1])
    (path,) = joined([halves[k] for k in order], events)
    assert path.id == 2 and path.nats == 75.0 and path.found_s == 1.0 and path.radius == 3.2
    assert (np.diff(path.knots[:, 0]) > 0).all() and len(path.knots) == 31 + 51
    assert path.knots[[0, -1], 0].tolist() == pytest.approx([0.0, 9.0])
    assert events.owner.tolist() == [2, 2, 0, 2, -1]


def test_three_pieces_are_one():
    pieces = [piece(k, first, first + 2.0, (10, 20), (8, 3)) for k, first in enumerate((0.0, 3.0, 6.0), 1)]
    events = no_events([1, 2, 3])
    (path,) = joined(pieces, events)
    assert path.nats == 120.0 and set(events.owner) == {path.id}


@pytest.mark.parametrize(
    "other",
    [
        piece(2, 6.0, 10.0, (10, 20), (8, 3)),  # 3 s later
        piece(2, 4.0, 8.0, (10, 40), (8, 3)),  # beside
        piece(2, 1.0, 2.5, (30, 40), (8, 3)),  # at the same time
        piece(2, 3.5, 6.0, (10, 20), (-8, 3)),  # turns back
    ],
)
def test_what_does_not_follow_stays_apart(other):
    events = no_events([1, 2])
    kept = joined([piece(1, 0.0, 3.0, (10, 20), (8, 3)), other], events)
    assert [path.id for path in kept] == [1, 2] and events.owner.tolist() == [1, 2]
    assert joined([], events) == []


def test_slow_pieces_at_one_place_are_one_object_that_rests_and_sways():
    sways = [piece(1, 0.0, 2.0, (50, 40), (3, -2)), piece(2, 3.0, 6.0, (42, 52), (2, -3)), piece(3, 1.5, 2.4, (58, 34), (-4, 3))]
    assert len(joined(sways, no_events([1, 2, 3]))) == 3
    events = no_events([1, 2, 3, 0])
    (path,) = joined(sways, events, resting=True)
    assert path.id == 2 and path.nats == 120.0 and events.owner.tolist() == [2, 2, 2, 0]
    assert path.knots[[0, -1], 0].tolist() == pytest.approx([0.0, 6.0]) and (np.diff(path.knots[:, 0]) >= 0).all()


@pytest.mark.parametrize(
    "other",
    [
        piece(2, 5.5, 7.5, (50, 40), (0, 0)),  # 2.5 s later
        piece(2, 3.5, 5.5, (56, 40), (0, 0)),  # 6 px beside
        piece(2, 1.0, 2.0, (42, 36), (6, 3)),  # passes over it
    ],
)
def test_what_lies_elsewhere_or_passes_is_another(other):
    assert len(joined([piece(1, 0.0, 3.0, (50, 40), (0, 0)), other], no_events(), resting=True)) == 2


@pytest.mark.parametrize(
    ("moving", "one"),
    [
        (piece(2, 0.0, 4.3, (18, 28), (8, 3)), True),  # it stops at 4 s and is followed for a moment
        (piece(2, 7.3, 9.0, (-4, 19), (8, 3)), True),  # it starts at 7 s
        (piece(2, 0.0, 4.3, (18, 37), (8, 3)), False),  # passes 9 px beside
        (piece(2, 2.0, 5.5, (18, 28), (8, 3)), False),  # passes over it and goes on
        (piece(2, 0.0, 2.5, (18, 28), (8, 3)), False),  # has ended before
    ],
)
def test_an_object_that_stops_or_starts_is_one(moving, one):
    rests = piece(1, 4.0, 7.0, (50, 40), (0.2, 0))
    assert len(joined([rests, moving], no_events())) == 2
    assert len(joined([rests, moving], no_events(), resting=True)) == 2 - one


def test_what_rests_on_has_not_started():
    moving, rests = piece(2, 7.3, 9.0, (-4, 19), (8, 3)), piece(1, 4.0, 7.0, (50, 40), (0.2, 0))
    rests.alive = True
    assert len(joined([rests, moving], no_events(), resting=True)) == 2


@pytest.mark.parametrize(
    ("share", "seconds", "field", "is_object"),
    [
        (1.0, 2.0, (0.0, 0.0), True),
        (1.001, 2.0, (0.0, 0.0), False),
        (1.0, 1.9, (0.0, 0.0), False),
        (1.0, 2.0, (20.0, 0.0), False),  # a telescope that turns
    ],
)
def test_what_moves_about_like_others_is_an_object_by_much_evidence_against_stars(share, seconds, field, is_object):
    frame = Frame.of(StarField(np.array([0.0, 4e6, 60e6]), np.array([(0.0, 0.0), field])), (0.0, 8.0), (120, 90))
    path = smooth((30, 40), (8, 0), last=seconds)
    asked = share * motion_paths.against_stars(path, frame, NO_SPANS, (120, 90), stars=2) / 4
    assert asked > 5 and motion_paths.no_star(path, asked, frame, NO_SPANS, (120, 90)) is is_object


def test_what_leads_from_one_star_to_another_is_no_object():
    """Two stars 8 px from each other have all of its evidence, either of them but half."""
    path = smooth((30, 40), (0, 0), last=4.0, nats=200.0)
    path.states[20:, 0] += 8
    assert against_stars(path, STILL, NO_SPANS) > 4 * 20 and not motion_paths.no_star(path, 20.0, STILL, NO_SPANS, (120, 90))
    assert motion_paths.no_star(smooth((30, 40), (2, 0), nats=200.0), 20.0, STILL, NO_SPANS, (120, 90))


@pytest.mark.parametrize(
    ("off", "first", "nats", "is_part"),
    [((3, 4), 2.0, 30.0, True), ((3, 4.1), 2.0, 30.0, False), ((3, 4), 6.1, 30.0, False), ((3, 4), 2.0, 80.0, False)],
)
def test_what_runs_beside_more_evidence_for_most_of_its_time_is_a_part_of_it(off, first, nats, is_part):
    main = smooth((30, 40), (8, 3), last=7.0)
    other = smooth(np.array([30, 40]) + off, (8, 3), first, first + 2.0)
    assert beside([main, other], np.array([50.0, nats])).tolist() == [False, is_part]
    assert not beside([main, other], np.array([0.0, nats])).any() and not len(beside([], np.zeros(0)))


def halo_of(n, away, path):
    """n events of a star at (40, 20) while a path lasts, and as many before and so far off that they do not count."""
    t = np.concatenate([np.full(n, -1.0), np.linspace(path.t_s[0], path.t_s[-1], 2 * n, endpoint=False)])
    x = np.concatenate([np.full(n, 40.0), np.where(np.arange(2 * n) % 2, 40.0 - away, 90.0)])
    return Events(t, x, np.full(3 * n, 20.0), np.zeros(3 * n, np.int64), np.ones(3 * n), np.full(3 * n, STAR))


def test_what_stays_beside_a_star_of_ten_times_its_events_is_its_halo():
    path = smooth((40, 20), (0.5, 0.5))  # 81 events
    assert in_halo(path, halo_of(1000, 0.0, path), STILL)
    assert not in_halo(path, halo_of(800, 0.0, path), STILL) and not in_halo(path, halo_of(1000, 9.5, path), STILL)
    assert not in_halo(path, halo_of(1000, 0.0, path)._replace(owner=np.zeros(3000, np.int64)), STILL)
    assert not in_halo(path, halo_of(1000, 0.0, path), drift(1.5, 1.5))  # it leaves it behind


def against_stars(path, frame, spans, size=(120, 90), careful=True):
    return motion_paths.against_stars(path, frame, spans, size, careful)


def test_a_star_has_no_evidence_to_be_anything_else():
    assert against_stars(smooth((30, 40), (0, 0)), STILL, NO_SPANS) <= 0
    assert against_stars(smooth((30, 40), (16, -5)), drift(16, -5), NO_SPANS) <= 0
    assert against_stars(smooth((30, 40), (16.2, -5)), drift(16, -5), NO_SPANS) <= 0  # the field is not known better


@pytest.mark.parametrize(("velocity", "field"), [((10, 4), STILL), ((10, 0), drift(16, 0)), ((20, 0), drift(16, 0))])
def test_an_object_keeps_its_evidence_the_more_the_further_it_goes(velocity, field):
    near = against_stars(smooth((30, 40), velocity), field, NO_SPANS)
    beside = np.array(velocity) - field.rates[0, :2]
    far = against_stars(smooth((30, 40), 3 * beside + field.rates[0, :2]), field, NO_SPANS)
    assert 40 < near < far < 80


def test_evidence_near_one_place_does_not_count():
    """A path that gained nearly all while it stood at one place, and little on its way, is a star that something passed."""
    path = smooth((30, 40), (10, 4))
    path.nats[:] = 0.1
    path.nats[:3] = 24.0
    assert against_stars(path, STILL, NO_SPANS) < 10


def test_a_telescope_that_follows_the_stars_does_so_well():
    """5 px in 8 s, of 80 nat: by as little a star that is followed does not seem to move, one that drifts may."""
    creeps = np.array([0.65, 0.0])
    followed = against_stars(smooth((30, 40), creeps), STILL, NO_SPANS)
    assert followed > 20 > 5 > against_stars(smooth((30, 40), creeps + np.array([16, -5])), drift(16, -5), NO_SPANS)
    assert against_stars(smooth((30, 40), creeps), STILL, NO_SPANS, careful=False) <= 0
    assert against_stars(smooth((30, 40), creeps), STILL, [known_within(0.3)._replace(known=False)]) == followed


def test_stars_move_as_their_spans_say():
    """A star of a field whose velocity is off by 1 px/s, or that turns, is none by the field alone."""
    wrong = Span(0.0, 8.0, np.array([1.0, 0.0]), 0.0, np.array([60.0, 45.0]), True)
    turning = Span(0.0, 8.0, np.zeros(2), 0.1, np.array([60.0, 45.0]), True)
    path = smooth((30, 40), (1, 0))
    assert against_stars(path, STILL, [wrong]) <= 0 < against_stars(path, STILL, [wrong._replace(velocity=np.zeros(2))])
    angle = 0.1 * path.t_s
    round_about = np.stack([60 + 30 * np.cos(angle), 45 + 30 * np.sin(angle), -3 * np.sin(angle), 3 * np.cos(angle)], 1)
    path = path._replace(states=round_about)
    assert against_stars(path, STILL, [turning]) <= 0 < against_stars(path, STILL, [turning._replace(turn=0.0)])


def test_a_field_that_is_known_leaves_less_open():
    path = smooth((30, 40), (17.2, -5.0))
    unknown, roughly, known = (
        against_stars(path, drift(16, -5), [known_within(error)._replace(known=known)])
        for known, error in ((False, 0.05), (True, 0.2), (True, 0.05))
    )
    assert known > roughly > unknown


def test_what_creeps_among_steady_stars_is_an_object():
    """5 px in 8 s, a tenth of a star's image a second, among stars known to a twentieth of a pixel a second: an object; not where
    they are known less well, nor where the telescope turns."""
    creeps = smooth((30, 40), (0.65, 0.0))
    assert against_stars(creeps, STILL, [known_within(0.05)]) > 20
    assert against_stars(creeps, STILL, [known_within(0.5)]) <= 0
    turned = StarField(np.array([0.0, 8e6, 60e6]), np.array([[0.0, 0.0], [20.0, 0.0]]))
    turning = Frame.of(turned, (0.0, 16.0), (120, 90))
    assert STILL.steady and drift(60, 0).steady and not turning.steady
    assert against_stars(creeps, turning, [known_within(0.05)]) <= 0


def test_where_a_turn_is_not_known_well_a_star_explains_more_far_from_the_centre():
    span = known_within(0.02)._replace(covariance=np.diag([1e-4, 1e-4, 4e-6]))
    near, far = (against_stars(smooth((x, 45), (0.65, 0.0)), STILL, [span]) for x in (58, 100))
    assert near > 20 and far < near - 5


def test_at_the_edge_a_star_seems_to_move_only_as_far_as_it_does():
    """4 px along the edge in 8 s: an object where the stars stand still, not where they move along and are cut off anew."""
    for velocity, careful, is_object in (((0, 0), True, True), ((0, 0), False, False), ((0, 2), True, False)):
        path = smooth((2, 30), (0.0, velocity[1] + 0.6))
        assert (against_stars(path, drift(*velocity), [known_within(0.02)], careful=careful) > 20) is is_object


def creeps(velocity, error=0.05, frame=STILL, start=(30, 40), last=8.0, events=1.0):
    path = smooth(start, velocity, last=last)
    return creeping(path._replace(events=events * path.events), frame, [known_within(error)], (120, 90))


def test_what_creeps_has_its_evidence_by_its_way_against_that_of_a_star():
    """3.6 px in 8 s, by 324 events: of n along a way w it is n w^2 / 24 sigma^2, less the stars' error."""
    path = smooth((30, 40), (0.45, 0.0), nats=200.0)
    nats = creeping(path._replace(events=4 * path.events), STILL, [known_within(0.05)], (120, 90))
    assert nats == pytest.approx(4 * 81 * 3.6**2 / 24 / 1.25**2 * (1 - 0.05 / 0.45) ** 2, rel=0.05)
    assert against_stars(path, STILL, [known_within(0.05)]) < 0.3 * nats
    assert creeps((0.65, 0.0), events=100.0) == 80.0  # never more than it has against noise


def test_what_hardly_moves_or_is_hardly_seen_does_not_creep():
    assert creeps((0.65, 0.0)) > 20
    assert creeps((0.65, 0.0), error=0.66) == creeps((0.65, 0.0), error=0.4) == 0  # as the stars may
    assert creeps((0.3, 0.0)) == creeps((0.65, 0.0), events=0.3) == 0
    assert creeps((1.4, 0.0), last=2.0, events=9.0) > 20 > 0 == creeps((1.4, 0.0), last=1.9, events=9.0)
    assert creeps((1.6, 0.0)) == 0  # it moves
    assert creeping(smooth((30, 40), (0.65, 0.0), nats=0.0), STILL, NO_SPANS, (120, 90)) == 0
    turned = Frame.of(StarField(np.array([0.0, 8e6, 60e6]), np.array([[0.0, 0.0], [20.0, 0.0]])), (0.0, 16.0), (120, 90))
    assert creeps((0.65, 0.0), frame=turned) == 0


def test_what_leads_from_one_star_to_another_does_not_creep():
    path = smooth((30, 40), (0, 0), nats=200.0)
    path.states[40:, 0] += 4
    assert creeping(path._replace(events=10 * path.events), STILL, [known_within(0.05)], (120, 90)) == 0


def test_at_the_edge_drifting_stars_tell_nothing_of_what_creeps():
    """They are cut off there, and seem to stay behind."""
    assert creeps((0.65, 0.0), start=(30, 3)) > 20
    away, at_edge = (creeps((0.65, 0.3), frame=drift(0.0, 0.3), start=(30, y)) for y in (5, 1))
    assert away > 20 > 0 == at_edge
    assert creeps((0.65, 0.1), frame=drift(0.0, 0.1), start=(30, 3)) > 20  # less than a pixel
