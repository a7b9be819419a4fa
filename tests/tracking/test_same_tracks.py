"""What the constants of the tracker make of one crowded night and of single paths, in numbers."""

import numpy as np
import pytest

from spikeseg.config.sections import TrackingConfig
from spikeseg.tracking import kalman, scene, star_field, tracker
from spikeseg.tracking.scene import Slices, find_tracks, motion_score

SLICE_S = 0.1


def night(seed=0, n=330):
    """Detections of 33 s: stars that drift at 6 px/s and, after a turn at 17 s, at 9; three objects; noise."""
    rng = np.random.default_rng(seed)
    times = (np.arange(n) + 0.5) * SLICE_S
    drift = np.where(times[:, None] < 17, (6.0, 1.0), (-4.0, 8.0))
    moved = np.cumsum(drift, 0) * SLICE_S
    stars = rng.uniform(-200, 440, (90, 2))
    starts, velocities = np.array([[30, 60], [200, 100], [120, 20]]), np.array([[4.0, 2.0], [-9.0, 1.0], [1.0, 6.5]])
    positions = []
    for time, shift in zip(times, moved, strict=True):
        seen = stars[rng.random(len(stars)) < 0.6] + shift
        place = np.vstack([seen, starts + velocities * time, rng.uniform(0, 1, (rng.poisson(1.5), 2)) * (240, 180)])
        place = place[((place >= 0) & (place < (240, 180))).all(1)]
        positions.append(place + rng.normal(0, 0.7, place.shape))
    return Slices((times * 1e6).tolist(), positions)


def test_a_crowded_night():
    tracks, field = find_tracks(night(), TrackingConfig())
    lengths = np.array([len(one.slices) for one in tracks])
    scores = np.array([one.score for one in tracks])
    assert (len(tracks), int(lengths.sum()), int((lengths**2).sum())) == (29, 2553, 333003)
    assert float(scores.sum()) == pytest.approx(3.7663628, rel=1e-5)
    expected = [[5.98977, 0.99803], [6.07882, 1.01004], [-3.90789, 7.95364], [-3.99608, 8.03301]]
    np.testing.assert_allclose(field.velocities, expected, atol=1e-4)
    assert (scores >= 0.5).sum() == 4  # one of the three objects in two pieces, before and after the turn
    states = sum(float(np.abs(one.states).mean()) for one in tracks)
    assert states == pytest.approx(1659.8584, rel=1e-6)


@pytest.mark.parametrize(
    ("px", "seconds", "score"), [(3.9, 4, 0.0), (12, 4, 20 / 32), (30, 4, 40 / 52), (30, 20, 137.5 / (137.5 + 12))]
)  # the last: 15 px in 10 s are 11/16 of the way, 200 detections
def test_scores_by_hand(px, seconds, score):
    """Nothing up to 4 px, all from 20 px on, half of it at 12 detections; of what has come in 10 s."""
    n = round(seconds * 10)
    t = np.linspace(0, seconds * 1e6, n)
    assert motion_score(t, np.linspace((0, 0), (px, 0), n)) == pytest.approx(score, abs=1e-9)


def test_what_the_constants_are():
    """Those that the papers and the docstrings argue for; a change of one changes what is found, and the figures of the docs."""
    assert (kalman.MEASUREMENT_PX, tracker.GATE_SIGMAS) == (1.0, 3.0)
    assert scene.CREEPING == tracker.Rules(kalman.Motion(2.0, 5.0), 4, 8, 2, 4.0)
    assert (scene.FREE_MOTION, scene.SMOOTHING) == (kalman.Motion(25.0, 50.0), kalman.Motion(2.0, 300.0))
    assert (scene.CREEP_PX_S, scene.ALIKE_PX_S, scene.FIELD_S, scene.MEMORY_S) == (10.0, 0.3, 10.0, 10.0)
    assert (scene.TURN_PX_S, scene.TURN_S, scene.JITTER_PX, scene.FAR_PX, scene.HALF) == (2.0, 2.0, 4.0, 20.0, 12.0)
    assert (star_field.MIN_STARS, star_field.TOGETHER_S, star_field.LEAST_S, star_field.MEAN_SHIFTS) == (3, 2.0, 1.0, 20)
    assert (star_field.WIDTH_PX_S, star_field.BLUR_PX, star_field.STILL) == (0.5, 2.0, 15.0)
