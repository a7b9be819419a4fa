"""From when on a path is told of, and a field is said to move."""

from types import SimpleNamespace

import numpy as np
import pytest

from spikeseg.detection.moving import LEAST_S, RESTS_PX_S, RESTS_S, _rather_still, lasts
from spikeseg.motion.frame import Frame
from spikeseg.motion.search import SmoothPath
from spikeseg.motion.star_motion import FEW
from spikeseg.tracking.star_field import StarField


@pytest.mark.parametrize(("seconds", "enough"), [(LEAST_S, True), (np.nextafter(LEAST_S, 0), False)])
def test_a_path_is_told_of_from_its_least_time_on(seconds, enough):
    path = SmoothPath(0.1, np.array([0.0, seconds]), np.zeros((2, 4)), np.full(2, 10.0), 90.0, np.full(2, 5.0), 3.0)
    assert lasts(path, 21.0, 20.0, Frame.of(StarField.still(), (0.0, 5.0), (120, 90))) is enough


@pytest.mark.parametrize(
    ("speed", "resting", "stars", "still"),
    [
        (RESTS_PX_S, 1, 0, True),
        (np.nextafter(RESTS_PX_S, 0), 1, 0, False),  # the field is at rest itself
        (1.0, 0, 0, False),
        (1.0, 1, 1, True),
        (1.0, 1, 2, False),
        (1.0, FEW, FEW - 1, True),
        (1.0, FEW, FEW, False),
    ],
)
def test_a_field_moves_if_more_stars_say_so_than_points_rest(speed, resting, stars, still):
    def rest(velocity, seconds):
        return SimpleNamespace(t_s=np.array([0.0, seconds]), states=np.tile([0.0, 0.0, velocity, 0.0], (2, 1)))

    found = SimpleNamespace(
        frame=SimpleNamespace(rates=np.tile([0.0, speed, 5.0], (3, 1))),
        stars=SimpleNamespace(spans=[SimpleNamespace(stars=stars), SimpleNamespace(stars=0)]),
        paths=[rest(RESTS_PX_S, 9.0), rest(0.0, RESTS_S - 0.1), *[rest(0.29, RESTS_S)] * resting],
    )
    assert _rather_still(found) == still
