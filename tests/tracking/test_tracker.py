"""Tracks of synthetic objects whose paths are known."""

import numpy as np
import pytest
from point_filter import begin, predict, update
from scipy.optimize import linear_sum_assignment

from spikeseg.tracking import kalman
from spikeseg.tracking.kalman import Motion
from spikeseg.tracking.tracker import GATE_SIGMAS, Rules, join

SLICE_US = 100_000
SIZE = np.array([240.0, 180.0])
RULES = Rules(Motion(acceleration=25.0, first_speed_px_s=50.0), min_hits=3, max_misses=3, first_misses=0, gate_px=10.0)


def run(slices, **changes):
    """Of each confirmed track its (slice, detection) pairs; and the number of each detection's track, slice by slice."""
    counts = [len(np.reshape(found, (-1, 2))) for found in slices]
    offsets = np.concatenate([[0], np.cumsum(counts, dtype=int)])
    positions = np.concatenate([np.zeros((0, 2)), *(np.reshape(found, (-1, 2)) for found in slices)])
    times = (np.arange(len(slices)) + 0.5) * SLICE_US
    tracks, number = join(times, offsets, positions, RULES._replace(**changes))
    where = np.repeat(np.arange(len(slices)), counts)
    for hits in tracks:
        assert len(set(number[hits].tolist())) == 1 and np.array_equal(hits, np.flatnonzero(number == number[hits[0]]))
    places = [[(int(where[i]), int(i - offsets[where[i]])) for i in hits] for hits in tracks]
    return places, [number[a:b].tolist() for a, b in zip(offsets[:-1], offsets[1:], strict=True)]


def slices_of(track):
    return [k for k, _ in track]


def path(start, velocity, n):
    """Positions at the middle of n slices, (n, 2)."""
    return np.array(start) + (np.arange(n)[:, None] + 0.5) * SLICE_US * 1e-6 * np.array(velocity)


def test_one_object_by_hand():
    tracks, owners = run(path((10, 20), (50, -10), 4)[:, None])
    assert tracks == [[(0, 0), (1, 0), (2, 0), (3, 0)]] and owners == [[0]] * 4


def test_a_detection_is_known_by_its_index_in_its_slice():
    there = path((10, 20), (50, -10), 4)
    (track,), _ = run([[(200, 100 + 30 * k), there[k]] if k % 2 else [there[k]] for k in range(4)])
    assert track == [(0, 0), (1, 1), (2, 0), (3, 1)]


def test_two_crossing_objects_keep_their_ids():
    noise = np.random.default_rng(0).normal(0, 0.5, (2, 41, 2))
    a, b = path((20, 40), (45, 20), 41) + noise[0], path((20, 122), (45, -20), 41) + noise[1]
    assert np.hypot(*(a - b).T).min() < 2  # they meet
    order = np.random.default_rng(1).permuted(np.tile([0, 1], (41, 1)), axis=1)
    tracks, owners = run([np.stack([a[k], b[k]])[order[k]] for k in range(41)])
    assert len(tracks) == 2
    ids = [[owners[k][int(np.flatnonzero(order[k] == which)[0])] for k in range(41)] for which in (0, 1)]
    assert sorted({(ids[0][k], ids[1][k]) for k in range(41)}) in ([(0, 1)], [(1, 0)])


@pytest.mark.parametrize("missed", [1, 3])
def test_missed_slices_are_bridged(missed):
    there = path((30, 30), (60, 10), 20)
    seen = [[there[k]] if not 8 <= k < 8 + missed else [] for k in range(20)]
    (track,) = run(seen, max_misses=3)[0]
    assert slices_of(track) == [k for k in range(20) if len(seen[k])]


def test_more_missed_slices_end_a_track():
    there = path((30, 30), (60, 10), 20)
    tracks, _ = run([[there[k]] if not 8 <= k < 12 else [] for k in range(20)], max_misses=3)
    assert [slices_of(track) for track in tracks] == [list(range(8)), list(range(12, 20))]


@pytest.mark.parametrize("first_misses", [0, 1, 2])
def test_what_is_not_confirmed_may_miss_less(first_misses):
    for missed in (first_misses, first_misses + 1):
        tracks, owners = run([[(50, 50)], [(50, 50)], *[[]] * missed, [(50, 50)]], first_misses=first_misses)
        assert (owners[1] == owners[-1]) is (missed == first_misses) is bool(tracks)


def test_noise_alone_confirms_no_track():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        assert run([rng.uniform(0, 1, (rng.poisson(2), 2)) * SIZE for _ in range(80)])[0] == []


def test_an_object_is_tracked_through_noise():
    rng = np.random.default_rng(5)
    there = path((20, 60), (30, 5), 60)
    slices = [np.vstack([rng.uniform(0, 1, (rng.poisson(3), 2)) * SIZE, there[k] + rng.normal(0, 0.7, 2)]) for k in range(60)]
    tracks, owners = run(slices)
    k, j = max(tracks, key=len)[0]
    assert sum(owner[-1] == owners[k][j] for owner in owners) >= 58


@pytest.mark.parametrize("speed", [0.0, 2.0, 30.0, 120.0])
def test_an_object_is_one_track_at_every_speed(speed):
    n = min(60, int(200 / max(speed, 1e-9) / 0.1))
    there = path((20, 20), speed * np.array([0.8, 0.6]), n)
    (track,) = run((there + np.random.default_rng(2).normal(0, 0.7, there.shape))[:, None])[0]
    assert len(track) == n


def test_a_track_of_one_detection_looks_as_far_as_its_motion_allows():
    """By hand: predicted over 0.1 s, variance 1 + 0.01 * 50² + 25 / 3000, and 1 of the measurement."""
    reach = GATE_SIGMAS * np.sqrt(2 + 25 + 25 / 3000)
    assert 15 < reach < 16  # 150 px/s, wider than the gate
    for step, tracks in ((reach - 0.1, 1), (reach + 0.1, 0)):
        assert len(run([[(10 + k * step, 50)] for k in range(8)])[0]) == tracks


def test_the_gate_limits_how_far_a_track_reaches():
    jump = [[(50, 50)]] * 6 + [[]] * 3 + [[(56, 50)]]
    assert run(jump, gate_px=10.0)[1][-1] == [0]
    assert run(jump, gate_px=5.0)[1][-1] == [1]


@pytest.mark.parametrize("min_hits", [1, 2, 5])
def test_min_hits_confirm_and_earlier_detections_are_part_of_the_track(min_hits):
    for n in range(1, min_hits + 2):
        tracks, owners = run([[(50, 50)]] * n, min_hits=min_hits)
        assert owners == [[0]] * n and [slices_of(track) for track in tracks] == [list(range(n))] * (n >= min_hits)


def test_tracks_come_in_the_order_of_their_confirmation():
    """The second begins later and is seen in every slice, the first misses one."""
    slices = [[(50, 50)], [(50, 50), (150, 50)], [(150, 50)], [(150, 50), (50, 50)]]
    tracks, owners = run(slices, first_misses=1)
    assert tracks == [[(1, 1), (2, 0), (3, 0)], [(0, 0), (1, 0), (3, 1)]] and owners == [[0], [0, 1], [1], [1, 0]]


@pytest.mark.parametrize("known", [2, 5])
def test_well_known_tracks_choose_first(known):
    """A track of several detections, confirmed or not, takes one that lies nearer to a track of one detection."""
    slices = [[(50, 50)]] * known + [[(50, 50), (53, 50)], [(52, 50)]]
    _, owners = run(slices, min_hits=4)
    assert owners[-1] == owners[0]


def test_a_confirmed_track_chooses_before_one_that_is_not():
    """Both have several detections, and the one not confirmed lies nearer."""
    slices = [[(50, 50)]] * 2 + [[(50, 50), (54, 50)]] * 2 + [[(53, 50)]]
    for min_hits, first in ((3, True), (9, False)):
        _, owners = run(slices, min_hits=min_hits)
        assert (owners[-1] == owners[0]) is first


def test_the_likelier_track_is_chosen_and_not_the_nearer():
    """Of two confirmed tracks the farther has not been seen for two slices, so that it may well have come this far."""
    slices = [[(50, 50), (58, 50)]] * 8 + [[(58, 50)]] * 2 + [[(54.3, 50)]]
    _, owners = run(slices)
    assert owners[-1] == owners[0][:1]


def test_as_many_pairs_as_can_be():
    """The nearest pair alone would leave a detection without its track."""
    slices = [[(50, 50), (56, 50)]] * 5 + [[(53.5, 50), (59, 50)]]
    _, owners = run(slices)
    assert owners[-1] == owners[0] == [0, 1]


def test_one_detection_serves_one_track():
    _, owners = run([[(50, 50), (56, 50)]] * 4 + [[(53, 50)]])
    assert owners[3] == [0, 1] and owners[4] in ([0], [1])


@pytest.mark.parametrize("n", [0, 1, 5])
def test_empty_slices(n):
    assert run([[]] * n) == ([], [[]] * n)


def test_slices_must_come_in_order():
    with pytest.raises(ValueError, match=r"100\.0 µs does not come after"):
        join(np.array([100.0, 100.0]), np.zeros(3, int), np.zeros((0, 2)), RULES)


def test_equal_input_gives_equal_tracks():
    rng = np.random.default_rng(4)
    there = rng.uniform(0, 1, (15, 2)) * SIZE
    slices = [np.vstack([there + rng.normal(0, 1, there.shape), rng.uniform(0, 1, (9, 2)) * SIZE]) for _ in range(40)]
    first, second = run(slices), run(slices)
    assert len(first[0]) > 10 and first == second


def by_definition(slices, rules):
    """`join` as its text says it, all tracks of a rank shared out at once; -> number of each detection's track."""
    beliefs, hits, last, number, found, begun = [], [], [], [], [], 0
    for k, positions in enumerate(slices):
        beliefs = [predict(one, SLICE_US * 1e-6 if k else 0.0, rules.motion) for one in beliefs]
        owner = [-1] * len(positions)
        for rank in range(3):
            ranks = [0 if n >= rules.min_hits else 1 if n > 1 else 2 for n in hits]
            tracks = [i for i in range(len(hits)) if ranks[i] == rank and i not in owner]
            free = [j for j in range(len(positions)) if owner[j] < 0]
            cost = np.full((len(tracks), len(free)), 1e9)
            for a, i in enumerate(tracks):
                variance = beliefs[i].covariance[0, 0] + kalman.MEASUREMENT_PX**2
                reach = GATE_SIGMAS * np.sqrt(variance)
                for b, j in enumerate(free):
                    squared = float(((beliefs[i].mean[0, 0] - positions[j]) ** 2).sum())
                    if squared <= (reach if rank == 2 else min(reach, rules.gate_px)) ** 2:
                        cost[a, b] = squared / variance
            for a, b in zip(*linear_sum_assignment(cost), strict=True):
                if cost[a, b] < 1e9:
                    owner[free[b]] = tracks[a]
        for j, position in enumerate(positions):
            if owner[j] < 0:
                owner[j] = len(hits)
                beliefs.append(begin(position[None], rules.motion))
                hits.append(0)
                last.append(k)
                number.append(begun)
                begun += 1
            else:
                beliefs[owner[j]] = update(beliefs[owner[j]], position[None])
            hits[owner[j]] += 1
            last[owner[j]] = k
        found.append([number[i] for i in owner])
        alive = [
            i for i in range(len(hits)) if k - last[i] <= (rules.max_misses if hits[i] >= rules.min_hits else rules.first_misses)
        ]
        beliefs, hits, last, number = ([kept[i] for i in alive] for kept in (beliefs, hits, last, number))
    return found


@pytest.mark.parametrize("seed", range(12))
def test_tracks_are_those_of_the_definition(seed):
    """Crowded enough that many assignments are not plain."""
    rng = np.random.default_rng(seed)
    area = (40, 30) if seed % 2 else (90, 70)
    there = rng.uniform(0, 1, (12, 2)) * area
    speed = rng.normal(0, 12, there.shape)
    slices = []
    for k in range(25):
        seen = (there + k * 0.1 * speed + rng.normal(0, 0.8, there.shape))[rng.random(len(there)) < 0.8]
        slices.append(np.vstack([seen, rng.uniform(0, 1, (rng.poisson(3), 2)) * area]) if k % 9 else np.zeros((0, 2)))
    changes = {"min_hits": 2 + seed % 3, "max_misses": seed % 4, "first_misses": seed % 3}
    tracks, owners = run(slices, **changes)
    assert owners == by_definition(slices, RULES._replace(**changes)) and len(tracks) > 3
