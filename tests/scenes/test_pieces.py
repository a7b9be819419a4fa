"""Which tracks are pieces of one thing, when they meet."""

import numpy as np
import pytest

from spikeseg.scenes.pieces import TOGETHER_US, pieces
from spikeseg.scenes.track import SceneTrack, Seen

HOP_US = 10_000


def came(number, way_px, alone=30):
    """A track of 20 x 20 px that has come so far, upwards or downwards, and meets another at last."""
    met = TOGETHER_US // HOP_US + 2
    y = np.r_[np.linspace(50 - way_px, 50, alone), np.full(met, 50.0)]
    how = [Seen.ALONE] * alone + [Seen.MET] * met
    rows = [(float(k * HOP_US), 50.0, own, 20.0, 20.0, int(h)) for k, (own, h) in enumerate(zip(y.tolist(), how, strict=True))]
    mask = np.divmod(np.arange(400), 20)
    return SceneTrack(number, int(rows[-1][0]), np.array([50.0, 50.0]), np.zeros(2), np.full(2, 10.0), *mask, rows, alone)


@pytest.mark.parametrize(("ways", "does"), [((0, 0), True), ((40, 40), True), ((10, -5), True), ((60, -60), False)])
def test_what_has_met_is_one_unless_it_came_from_elsewhere(ways, does):
    one, other = came(1, ways[0]), came(2, ways[1])
    t_us = one.last_us
    one.met[2] = (t_us - TOGETHER_US - HOP_US, t_us - HOP_US, one.place - other.place)
    assert pieces([one, other], t_us, HOP_US) == ([one] if does else [])
    assert one.part_of == (2 if does else 0) and other.part_of == 0
