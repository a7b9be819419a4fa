"""The tracker, fed with rectangles."""

import numpy as np
import pytest

from spikeseg.scenes.activity import Components
from spikeseg.scenes.moments import Moment
from spikeseg.scenes.track import YOUNG, Seen
from spikeseg.scenes.tracks import WAIT_US, SceneTracker

SIZE, HOP_US = (160, 120), 10_000
NONE = np.zeros(0, np.int64)


def moment(k, *rectangles):
    """Number k: each rectangle (left, top, width, height), or several of them in a list, is a component."""
    found = []
    for parts in rectangles:
        image = np.zeros(SIZE[::-1], bool)
        for left, top, width, height in parts if isinstance(parts, list) else [parts]:
            image[max(top, 0) : top + height, max(left, 0) : left + width] = True
        found.append(np.flatnonzero(image))
    found.sort(key=lambda pixels: int(pixels[0]))
    label, boxes = np.zeros(SIZE[::-1], np.int32), np.zeros((len(found), 4), np.int64)
    for number, pixels in enumerate(found):
        label.reshape(-1)[pixels] = number + 1
        y, x = np.divmod(pixels, SIZE[0])
        boxes[number] = x.min(), y.min(), x.max() + 1, y.max() + 1
    begins = np.cumsum([0, *map(len, found)])
    components = Components(np.concatenate([NONE, *found]), begins, boxes)
    return Moment(k * HOP_US, components, label, NONE, NONE)


def tracker_of(moments):
    """A tracker that went through moments, each a list of rectangles."""
    tracker = SceneTracker(SIZE, HOP_US)
    for k, rectangles in enumerate(moments):
        tracker.step(moment(k, *rectangles))
    return tracker


def hows(track):
    return [int(row[-1]) for row in track.rows]


def whole(tracks):
    return [track for track in tracks if not track.part_of]


def test_one_thing_is_one_track_that_follows_it():
    tracker = tracker_of([[(10 + 2 * k, 50, 12, 8)] for k in range(40)])
    (track,) = tracker.finished()
    rows = np.array(track.rows)
    assert track.id == 1 and rows[:, 0].tolist() == [HOP_US * k for k in range(40)] and set(hows(track)) == {Seen.ALONE}
    assert rows[10:, 1] == pytest.approx(10 + 2 * np.arange(10, 40) + 5.5, abs=1.5) and rows[:, 2] == pytest.approx(53.5)
    assert rows[:, 3:5] == pytest.approx(np.tile((12, 8), (40, 1))) and track.velocity == pytest.approx([200, 0], abs=20)
    assert sorted(zip(*track.mask, strict=True)) == sorted((y, x) for y in range(50, 58) for x in range(88, 100))


@pytest.mark.parametrize(("way", "how"), [(1, Seen.HIDDEN), (0, Seen.STOPPED)])
@pytest.mark.parametrize("steps", [15, 30, 80])
def test_a_track_waits_for_what_is_hidden_or_stands(way, how, steps):
    before = [[(10 + k, 50, 12, 8)] for k in range(20)]
    start = 10 + 19 + way * (steps + 1)
    after = [[(start + k, 50, 12, 8)] for k in range(10)]
    (track,) = tracker_of(before + [[]] * steps + after).finished()
    assert [k for k, own in enumerate(hows(track)) if own != Seen.ALONE] == [20] and hows(track)[20] == how
    assert len(track.rows) == 30


@pytest.mark.parametrize("steps", [15, 80])
def test_what_went_behind_something_does_not_come_back_where_it_was_lost(steps):
    """Its leading edge stands still at x = 40 while the rest comes after; another thing appears there later."""
    behind = [[(20 + k, 50, min(12, 20 - k), 8)] for k in range(-10, 20)]
    another = [[(39 - k, 50, min(12, 1 + k), 8)] for k in range(20)]
    tracks = tracker_of(behind + [[]] * steps + another).finished()
    assert [len(track.rows) for track in tracks] == [30, 20] and not any({*hows(track)} - {Seen.ALONE} for track in tracks)
    stands = [[(30, 50, 12, 8)]] * 20 + [[(33, 52, 5, 4)]] * 2  # its last events leave the window
    (track,) = tracker_of([[(10 + k, 50, 12, 8)] for k in range(20)] + stands + [[]] * steps + [[(30, 50, 12, 8)]] * 5).finished()
    assert hows(track).count(Seen.STOPPED) == 1


def test_what_left_the_picture_does_not_come_back_where_it_was_lost():
    """Too fast to be seen in part; what stops as near to the edge is whole."""
    leaves, another = [[(10 + 6 * k, 50, 12, 8)] for k in range(25)], [[(154 - 6 * k, 50, 12, 8)] for k in range(10)]
    tracks = tracker_of([*leaves, *[[]] * 15, *another]).finished()
    assert [len(track.rows) for track in tracks] == [25, 10] and all(set(hows(track)) == {Seen.ALONE} for track in tracks)
    stops = [[(127 + k, 50, 12, 8)] for k in range(20)]
    (track,) = tracker_of([*stops, *[[]] * 15, *[[(146, 50, 12, 8)]] * 5]).finished()
    assert hows(track).count(Seen.STOPPED) == 1


@pytest.mark.parametrize(
    ("left", "seen", "how"), [(45, 20, Seen.STOPPED), (46, 20, Seen.HIDDEN), (45, 8, Seen.STOPPED), (45, 7, Seen.HIDDEN)]
)
def test_what_is_seen_within_where_it_stood_is_a_part_of_it(left, seen, how):
    """Its leading edge goes on first. In the meantime it is where it was when it was whole, 40 px wide from 10 to 50, less the
    last two moments."""
    comes, ends = [[(10, 50, 40, 20)]] * seen, [[(32, 50, 18, 20)], [(41, 50, 9, 20)]]
    (track,) = tracker_of(comes + ends + [[]] * 30 + [[(left, 52, 9, 12)]]).finished()
    assert hows(track) == [Seen.ALONE] * (seen + 2) + [how]
    stood = np.array(track.rows)[-3:, 1:5] == pytest.approx(np.tile((29.5, 59.5, 40, 20), (3, 1)))
    assert stood == (how == Seen.STOPPED)


@pytest.mark.parametrize(("away", "how"), [(1, Seen.STOPPED), (7, Seen.HIDDEN)])
def test_what_stands_does_not_go_further_the_longer_it_waits(away, how):
    before, after = [[(10 + 2 * k, 50, 12, 8)] for k in range(20)], [[(48 + away, 50, 12, 8)]] * 5
    (track,) = tracker_of(before + [[]] * 15 + after).finished()
    assert hows(track)[20] == how


def test_what_it_was_before_it_met_another_does_not_tell_where_it_stopped():
    (track,) = tracker_of([[(10 + k, 50, 12, 12)] for k in range(20)]).finished()
    assert track.whole.t_us == 170_000
    track.meet(track.mask, (NONE, NONE), np.zeros((0, 4), np.int64), 500_000)
    assert track.whole.t_us == 500_000


@pytest.mark.parametrize("steps", [15, 80])
def test_what_goes_on_bit_by_bit_is_what_stopped(steps):
    """Its last events, and the first ones when it goes on, come from its edges alone, which lie far from each other."""
    comes, stops = [[(10 + k, 50, 40, 20)] for k in range(20)], [[(29, 50, 18, 20)]]
    wakes = [[(29, 52, 2, 12), (43, 52, 19, 12)]]
    goes_on = [[(34 + k, 50, 40, 20)] for k in range(10)]
    (track,) = tracker_of(comes + stops + [[]] * steps + wakes + goes_on).finished()
    assert hows(track) == [Seen.ALONE] * 21 + [Seen.STOPPED] + [Seen.ALONE] * 10
    assert track.rows[-1][1:5] == pytest.approx((62.5, 59.5, 40, 20), abs=2)


def test_not_for_ever():
    before, after = [[(10 + 2 * k, 50, 12, 8)] for k in range(20)], [[(48, 50, 12, 8)]] * 5
    for steps, number in ((WAIT_US // HOP_US - 2, 1), (WAIT_US // HOP_US + 2, 2)):
        assert len(tracker_of(before + [[]] * steps + after).finished()) == number


def test_a_young_track_hardly_waits():
    before, after = [[(50, 50, 12, 8)]] * (YOUNG - 1), [[(50, 50, 12, 8)]] * 5
    for steps, number in ((2, 1), (10, 2)):
        assert len(tracker_of(before + [[]] * steps + after).finished()) == number


def test_it_is_not_looked_for_anywhere():
    before = [[(10 + 2 * k, 50, 12, 8)] for k in range(20)]
    after = [[(20, 100, 12, 8)]] * 10
    assert len(tracker_of(before + [[]] * 10 + after).finished()) == 2


def crossing(k):
    """One to the right, one downwards: they share a component while they are over each other, at k of about 20."""
    one, other = (20 + 3 * k, 50, 12, 12), (80, -10 + 3 * k, 12, 12)
    over = abs(one[0] - other[0]) <= 12 and abs(one[1] - other[1]) <= 12
    return [[one, other]] if over else [one, other]


def test_two_that_meet_go_on_as_they_went():
    tracks = tracker_of([crossing(k) for k in range(4, 40)]).finished()
    assert [track.id for track in tracks] == [1, 2] and all(Seen.MET in hows(track) for track in tracks)
    ends = [(20 + 3 * 39 + 5.5, 55.5), (85.5, -10 + 3 * 39 + 5.5)]
    starts = [(track.rows[0][1], track.rows[0][2]) for track in tracks]
    for track, start in zip(tracks, starts, strict=True):
        end = ends[0] if start[1] > 50 and start[0] < 60 else ends[1]
        assert track.rows[-1][1:3] == pytest.approx(end, abs=4) and len(track.rows) == 36
    for rows in zip(*(track.rows for track in tracks), strict=True):  # each keeps its shape
        assert all(row[3:5] == pytest.approx((12, 12), abs=4) for row in rows[5:])


@pytest.mark.parametrize("step", [0.3, 0.4, 0.7])
def test_masks_of_those_that_meet_come_as_far_as_they_do(step):
    """In steps of less than a pixel, below and above half of one."""
    things = ((20, 40, 20, 30), (1, 0)), ((60, 30, 20, 12), (0, 1))
    tracker = SceneTracker(SIZE, HOP_US)
    for k in range(80):
        boxes = [
            (round(left + step * k * right), round(top + step * k * down), width, height)
            for (left, top, width, height), (right, down) in things
        ]
        tracker.step(moment(k, *([boxes] if k >= 20 else boxes)))
    assert len(tracker.tracks) == 2
    for track, box in zip(sorted(tracker.tracks, key=lambda track: track.rows[0][1]), boxes, strict=True):
        assert hows(track)[-1] == Seen.MET
        assert (track.x.min(), track.y.min()) == pytest.approx(box[:2], abs=3)


@pytest.mark.parametrize(("way", "kept"), [(lambda k: 0.7 * k, 1.0), (lambda k: 8 * np.sin(0.4 * k), 0.26)])
def test_a_mask_goes_on_by_the_share_of_its_velocity_that_is_sure(way, kept):
    """What swings does not keep the velocity that it happens to have as it meets another, of which it hides every edge."""
    (track,) = tracker_of([[(40 + round(way(k)), 50, 20, 20)] for k in range(48)]).tracks
    speed, left = track.velocity[0], track.x.min()
    for k in range(48, 58):
        right, down = np.rint(track.way(k * HOP_US)).astype(int)
        track.meet((track.y + down, track.x + right), (NONE, NONE), np.zeros((0, 4), np.int64), k * HOP_US)
    assert abs(speed) > 50 and track.sure[0] == pytest.approx(kept, abs=0.02)
    assert track.x.min() - left == pytest.approx(speed * 0.1 * kept, abs=1)


def test_a_mask_follows_the_outer_edges_of_what_has_met_until_it_is_seen_by_itself():
    """The joint outline is its own to the right, where it lies 2 px further than expected: its mask has to come half of that."""
    tracker, favoured = tracker_of([[(40, 50, 20, 20)]] * 30), np.zeros(SIZE[::-1], np.uint8)
    (track,) = tracker.tracks
    place, (y, x) = track.place.copy(), np.mgrid[50:70, 40:62].reshape(2, -1)
    track.meet(track.mask, (y, x), np.array([[20, 50, 62, 90]]), 30 * HOP_US)
    assert (track.place - place).tolist() == pytest.approx([1, 0])
    assert track.way(30 * HOP_US).tolist() == pytest.approx([1, 0])
    assert tracker.favour(30 * HOP_US, favoured) and np.flatnonzero(favoured.any(0)).tolist() == list(range(41, 61))
    y, x = np.mgrid[50:70, 41:61].reshape(2, -1)
    track.take(y, x, np.array([41, 50, 61, 70]), 31 * HOP_US, waited=False)
    assert not track.lag.any()


def test_parts_nearby_stay_one_and_parts_afar_become_two():
    before = [[(50, 50, 24, 8)]] * 20
    near = [[(50, 50, 10, 8), (64, 50, 10, 8)]] * 20
    assert len(whole(tracker_of(before + near).finished())) == 1
    far = [[(50 - k, 50, 10, 8), (64 + k, 50, 10, 8)] for k in range(30)]
    tracks = whole(tracker_of(before + far).finished())
    assert len(tracks) == 2
    assert sorted(track.rows[-1][1] for track in tracks) == pytest.approx([21 + 4.5, 93 + 4.5], abs=3)


@pytest.mark.parametrize(("gap", "things"), [(7, 1), (12, 2)])
def test_large_things_that_walked_as_one_become_two_once_there_is_room_between_them(gap, things):
    """Each 30 px high: what is far enough for two does not grow with them as it did."""
    joint = [[(40, 40, 30, 30)]] * 20
    apart = [[(40, 40, 15, 30), (55 + gap, 40, 15, 30)]] * 20
    assert len(whole(tracker_of(joint + apart).finished())) == things


def test_two_specks_that_grow_together_are_one_from_the_beginning():
    specks = [[(20 + 2 * k, 50, 6, 6), (32 + 2 * k, 50, 6, 6)] for k in range(4)]
    thing = [[(20 + 2 * k, 50, 18, 6)] for k in range(4, 20)]
    tracks = tracker_of(specks + thing).finished()
    (one,) = whole(tracks)
    assert len(tracks) == 2 and {track.part_of for track in tracks} == {0, one.id} and len(one.rows) == 20
    assert one.rows[-1][3:5] == pytest.approx((18, 6), abs=1)


def test_what_begins_beside_a_thing_and_moves_with_it_is_a_piece_of_it():
    alone = [[(20 + 2 * k, 50, 12, 8)] for k in range(15)]
    beside = [[(20 + 2 * k, 50, 12, 8), (36 + 2 * k, 50, 8, 8)] for k in range(15, 27)]
    joint = [[(20 + 2 * k, 50, 24, 8)] for k in range(27, 45)]
    tracks = tracker_of(alone + beside + joint).finished()
    assert [track.part_of for track in tracks] == [0, 1] and len(tracks[0].rows) == 45 and len(tracks[1].rows) == 12
    assert set(hows(tracks[0])) == {Seen.ALONE} and tracks[0].rows[-1][3:5] == pytest.approx((24, 8), abs=1)


def test_what_comes_from_afar_is_none():
    """It flies towards the thing, and stays with it for a moment."""
    apart = [[(20, 50, 12, 8), (120 - 4 * k, 50, 8, 8)] for k in range(20)]
    joint = [[[(20, 50, 12, 8), (120 - 4 * k, 50, 8, 8)]] for k in range(20, 26)]
    tracks = tracker_of(apart + joint).finished()
    assert [track.part_of for track in tracks] == [0, 0] and all(hows(track)[-1] == Seen.MET for track in tracks)


def test_a_track_that_meets_what_is_not_tracked_leaves_it_to_a_new_one():
    before = [[(20 + 2 * k, 50, 12, 8)] for k in range(20)]
    joint = [[[(20 + 2 * k, 50, 12, 8), (32 + 2 * k, 30, 20, 40)]] for k in range(20, 23)]
    tracks = tracker_of(before + joint).finished()
    assert len(tracks) == 2 and hows(tracks[0])[-3:] == [Seen.MET] * 3
    assert tracks[0].rows[-1][1:5] == pytest.approx((69.5, 53.5, 12, 8), abs=3)
    assert tracks[1].rows[0][1:5] == pytest.approx((83.5, 49.5, 17, 40), abs=3)


def test_a_track_that_meets_one_that_waits_gives_it_its_own():
    before = [[(20 + 2 * k, 50, 12, 8), (100, 30, 20, 40)] for k in range(20)]
    hidden = [[(20 + 2 * k, 50, 12, 8)] for k in range(20, 34)]
    joint = [[[(20 + 2 * k, 50, 12, 8), (100, 30, 20, 40)]] for k in range(34, 37)]
    tracks = tracker_of(before + hidden + joint).finished()
    assert len(tracks) == 2
    waited, moving = sorted(tracks, key=lambda track: len(track.rows))
    assert waited.rows[-1][0] == 36 * HOP_US and waited.rows[20][0] == 34 * HOP_US and Seen.MET in hows(moving)


def test_where_a_track_is_expected_less_is_enough():
    tracker = tracker_of([[(20 + 2 * k, 50, 12, 8)] for k in range(30)])
    favoured = np.zeros(SIZE[::-1], np.uint8)
    assert tracker.favour(30 * HOP_US, favoured) and favoured.max() == 1 and favoured.sum() == 96
    y, x = np.nonzero(favoured)
    assert (y.min(), y.max()) == (50, 57) and abs(x.min() - 80) <= 1  # where it will be
    assert not tracker.favour(36 * HOP_US, np.zeros_like(favoured))  # it has been lost for long
    young = tracker_of([[(20, 50, 12, 8)]] * (YOUNG - 1))
    assert not young.favour(YOUNG * HOP_US, np.zeros_like(favoured))


# -- what belongs to whom -----------------------------------------------------------------------------


def pixels_of(track):
    """The pixels where events are a track's own now."""
    own = list(zip(*(axis.tolist() for axis in track.own), strict=True))
    assert len(own) == len(set(own))
    return set(own)


def stepped(moments):
    """A tracker after each moment, and the pixels of the components there."""
    tracker = SceneTracker(SIZE, HOP_US)
    for k, rectangles in enumerate(moments):
        now = moment(k, *rectangles)
        tracker.step(now)
        parts = [now.components.of(number) for number in range(len(now.components))]
        yield tracker, [set(zip(*(axis.tolist() for axis in np.divmod(own, SIZE[0])), strict=True)) for own in parts]


def test_alone_a_component_is_its_tracks_own():
    for tracker, components in stepped([[(10 + 2 * k, 50, 12, 8), (150 - 3 * k, 90, 9, 7)] for k in range(30)]):
        assert [pixels_of(track) for track in tracker.tracks] == components


def test_every_pixel_of_a_shared_component_belongs_to_one_of_them():
    met = 0
    for k, (tracker, components) in enumerate(stepped([crossing(k) for k in range(4, 40)]), 4):
        one, other = (pixels_of(track) for track in tracker.tracks)
        assert not one & other and one | other == set.union(*components)
        if len(components) == 1:
            met += 1
            assert [hows(track)[-1] for track in tracker.tracks] == [Seen.MET] * 2
            assert min(len(one), len(other)) >= 10 or k == 20  # when one lies over the other
        else:
            assert sorted([one, other], key=min) == sorted(components, key=min)
    assert met >= 5


def test_the_nearest_of_three_that_meet():
    """Each keeps what is nearest to it, bridges between them included."""
    apart = [[(20, 50, 12, 8), (60, 50, 12, 8), (100, 50, 12, 8)]] * 10
    bridged = [[[(20, 50, 12, 8), (60, 50, 12, 8), (100, 50, 12, 8), (20, 53, 90, 2)]]] * 3
    *_, (tracker, components) = stepped(apart + bridged)
    own = [pixels_of(track) for track in tracker.tracks]
    assert len(own) == 3 and set.union(*own) == components[0] and sum(map(len, own)) == len(components[0])
    assert [(min(x for _, x in part), max(x for _, x in part)) for part in own] == [(20, 45), (46, 85), (86, 111)]


def test_what_is_not_tracked_belongs_to_a_new_one():
    before = [[(20 + 2 * k, 50, 12, 8)] for k in range(20)]
    joint = [[[(20 + 2 * k, 50, 12, 8), (32 + 2 * k, 30, 20, 40)]] for k in range(20, 23)]
    *_, (tracker, components) = stepped(before + joint[:1])
    one, new = (pixels_of(track) for track in tracker.tracks)
    assert not one & new and one | new == components[0]
    assert {(y, x) for y in range(50, 58) for x in range(60, 72)} <= one and max(x for _, x in one) <= 72 + 4
    assert max(x for _, x in new) == 91 and min(x for _, x in new) >= 72


def test_off_the_sensor_and_nothing_at_all():
    tracks = tracker_of([[(100 + 3 * k, 50, 12, 8)] for k in range(20)] + [[]] * 20).finished()
    assert len(tracks) == 1 and np.isfinite(np.array(tracks[0].rows)).all()
    assert tracker_of([[]] * 5).finished() == []


def test_equal_input_gives_equal_output():
    one, other = (tracker_of([crossing(k) for k in range(4, 40)]).finished() for _ in range(2))
    assert [track.rows for track in one] == [track.rows for track in other]
