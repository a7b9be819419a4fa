"""How a telescope turns."""

import erfa
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from spikeseg.sky.attitude import Followed, Still, Turning
from spikeseg.sky.projection import ARCSEC
from spikeseg.sky.stars import Stars, followed


def test_a_telescope_that_stands_still_turns_as_the_earth_does():
    """Against IAU 2006/2000A from the terrestrial to the celestial frame, by erfa."""
    on_earth, unix_days = np.array([0.3, -0.5, 0.8]), 20_513.9

    def seen(seconds):
        jd = 2_440_587.5, unix_days + seconds / 86_400
        return erfa.c2i06a(jd[0], jd[1] + 69.2 / 86_400).T @ erfa.rz(-erfa.era00(*jd), np.eye(3)) @ on_earth

    turning = Turning.at(unix_days, 7e6)
    found = turning.turned(np.array([7e6, 607e6, -293e6]), np.repeat(seen(0.0)[None], 3, 0))
    off = np.linalg.norm(found - [seen(0.0), seen(600.0), seen(-300.0)], axis=1) / ARCSEC
    assert off.max() < 0.01 and np.linalg.norm(seen(600.0) - seen(0.0)) / ARCSEC > 5000
    assert np.allclose(turning.back(np.array([607e6]), found[1:2]), seen(0.0))


def test_between_knots_a_telescope_turns_evenly():
    axis = np.array([0.6, 0.0, 0.8])
    turn = Followed(np.array([0.0, 1.0, 2.0]), Rotation.from_rotvec(np.array([[0.0], [0.1], [0.3]]) * axis))
    assert np.allclose(turn.at(np.array([0.5, 1.5, 3.0, -1.0])).as_rotvec(), np.array([[0.05], [0.2], [0.45], [-0.15]]) * axis)
    since = turn.since(1.5)
    assert np.allclose(since.at(np.array([1.5, 2.0])).as_rotvec(), np.array([[0.0], [0.1]]) * axis)
    directions = np.eye(3)
    assert np.allclose(since.back(np.full(3, 0.7e6), since.turned(np.full(3, 0.7e6), directions)), directions)
    assert np.array_equal(Still().turned(np.zeros(2), directions[:1]), directions[[0, 0]])


def test_stars_tell_how_it_turned(nights):
    night = nights["track"]
    stars = Stars.of(night.detections.tracks)
    assert len(stars) == len(night.detections.track_ids) - 1  # all but the object
    turn = followed(stars, night.projection, 20 * ARCSEC).since(5.0)
    rows = night.detections.tracks[night.detections.tracks["track_id"] == 1]
    places = night.projection.directions(np.stack([rows["x"], rows["y"]], -1))
    off = np.linalg.norm(turn.turned(rows["t_us"], places) - night.truth, axis=1) / (20 * ARCSEC)
    assert np.median(off) < 0.25


def test_a_hot_pixel_and_a_track_that_strays_are_no_stars(nights):
    tracks = nights["track"].detections.tracks.copy()
    stars = len(Stars.of(tracks))
    own = tracks["track_id"] == tracks["track_id"][-1]
    tracks["vx_rel"][own], tracks["vy_rel"][own] = 4.0, 0.0
    assert len(Stars.of(tracks)) == stars - 1
    tracks["x"][tracks["track_id"] == 5] += np.linspace(0, 30, (tracks["track_id"] == 5).sum())  # a jump that no mount makes
    turn = followed(Stars.of(tracks), nights["track"].projection, 20 * ARCSEC)
    plain = followed(Stars.of(nights["track"].detections.tracks), nights["track"].projection, 20 * ARCSEC)
    apart = (turn.since(5.0).at(np.arange(5.0, 25.0)) * plain.since(5.0).at(np.arange(5.0, 25.0)).inv()).magnitude()
    assert apart.max() < 1.0 * 20 * ARCSEC * 10


def test_one_star_tells_nothing(nights):
    tracks = nights["track"].detections.tracks
    one = Stars.of(tracks[tracks["track_id"] == tracks["track_id"][-1]])
    assert len(one) == 1 and followed(one, nights["track"].projection, 20 * ARCSEC) is None
    assert len(Stars.of(tracks[:0])) == 0


@pytest.mark.parametrize("most", [1, 3, 1000])
def test_means_lie_on_the_way(nights, most):
    stars = Stars.of(nights["track"].detections.tracks)
    means = stars.means(most)
    counts = np.bincount(stars.star)
    assert np.bincount(means.star).tolist() == np.minimum(counts, most).tolist() and len(means) == len(stars)
    if most == 1000:
        assert np.allclose(means.pixels, stars.pixels) and np.array_equal(means.t_us, stars.t_us)
    first = stars.star == 0
    assert np.allclose(means.pixels[means.star == 0].mean(0), stars.pixels[first].mean(0), atol=2.0)
