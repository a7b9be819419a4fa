"""Lasting ids of tracks."""

from spikeseg.detection.track_ids import TrackIds


def test_numbers_last():
    ids = TrackIds()
    assert ids.carry_over([[(0, 0), (1, 0)], [(0, 1), (1, 1)]]) == [1, 2]
    assert ids.carry_over([[(1, 1), (2, 0)], [(1, 0), (2, 1)]]) == [2, 1]
    assert ids.carry_over([[(2, 5)], [(1, 0), (2, 0), (2, 1)]]) == [3, 1]  # 1 and 2 in one: one of them is gone
    assert ids.carry_over([[(3, 0)], [(2, 5), (3, 1)], [(2, 1)]]) == [4, 3, 1]
    assert ids.carry_over([]) == [] and ids.carry_over([[(3, 1)]]) == [5]  # forgotten with its detections


def test_an_id_may_be_given_and_is_kept():
    ids = TrackIds()
    ids.carry_over([[(0, 0)], [(0, 1)]])
    ids.give(1, ids.new())
    assert ids.given == [1, 3] and ids.carry_over([[(0, 1), (1, 1)]]) == [3]
    assert ids.new() == 4


def test_objects_are_counted_once_and_forgotten_with_their_tracks():
    ids = TrackIds()
    for k in range(50):
        one, other = ids.carry_over([[(k, 0), (k + 1, 0)], [(k, 1)]])  # the one lasts, the other is another one each time
        assert ids.report([one, other]) == ({one, other} if k == 0 else {other})
    assert ids.objects == 51 and ids.reported == {one, other}
    ids.carry_over([])
    assert ids.report([], others=[one]) == frozenset() and ids.reported == {one}
