"""From when on a field is said to move."""

from types import SimpleNamespace

import numpy as np
import pytest

from spikeseg.detection import moving
from spikeseg.detection.moving import BLURRED_PX_S, RESTS_PX_S, RESTS_S, _rather_still
from spikeseg.motion.frame import Frame
from spikeseg.motion.path import SmoothPath
from spikeseg.motion.star_motion import FEW
from spikeseg.tracking.star_field import StarField


@pytest.mark.parametrize(("stars", "of_pair"), [(FEW - 1, True), (FEW, False)])
def test_two_tracks_that_keep_their_distance_are_the_stars_where_hardly_any_are_known(stars, of_pair, monkeypatch):
    """Where more are known, or the two part, the telescope has turned, and the events' contrast tells how."""
    t = np.linspace(0.0, 4.0, 41)

    def track(x, vx=-9.0):
        states = np.stack([x + vx * t, 20 + 5 * t, np.full(41, vx), np.full(41, 5.0)], 1)
        return SmoothPath(0.5, t, states, np.ones(41), 90.0, np.ones(41), 3.0)

    still, size = Frame.of(StarField.still(), (0.0, 4.0), (120, 90)), (120, 90)
    search, known = SimpleNamespace(events=None), SimpleNamespace(spans=[SimpleNamespace(stars=stars)])
    found = moving.Found([track(60), track(90)], [], np.zeros(2), 20.0, t, search, known, still)
    times = SimpleNamespace(events={"t": t * 1e6}, sensor_size=size)
    frames = []
    monkeypatch.setattr(moving, "_in_its_frame", lambda *_: found)
    monkeypatch.setattr(moving, "prepared", lambda _, frame, resting: frames.append(frame))
    monkeypatch.setattr(moving, "found_in", lambda *_: found._replace(paths=[]))
    monkeypatch.setattr(moving, "frame_by_contrast", lambda *_: "by contrast")
    assert moving.find_paths(times, StarField.still(), moving.Motion(None)).paths == []
    assert [frame == "by contrast" or frame.rates[0].tolist() for frame in frames] == [[-9.0, 5.0, 0.0] if of_pair else True]


@pytest.mark.parametrize(
    ("speed", "resting", "stars", "careful", "still"),
    [
        (RESTS_PX_S, 1, 0, False, True),
        (np.nextafter(RESTS_PX_S, 0), 1, 0, False, False),  # the field is at rest itself
        (1.0, 0, 0, False, False),
        (1.0, 1, 1, False, True),
        (1.0, 1, 2, False, False),
        (1.0, FEW, FEW - 1, False, True),
        (1.0, FEW, FEW, False, False),
        (BLURRED_PX_S, 0, 0, True, False),
        (np.nextafter(BLURRED_PX_S, 0), 0, FEW - 1, True, True),  # of rest and of what moves so the tracker makes one
        (np.nextafter(BLURRED_PX_S, 0), 0, FEW, True, True),  # three that do not agree
        (np.nextafter(BLURRED_PX_S, 0), 0, -FEW, True, False),
        (0.1, 0, 0, True, True),
        (0.0, 1, 0, True, False),
        (-0.5, 0, 0, True, False),  # a telescope that turns: by no means about still
    ],
)
def test_a_field_moves_if_more_stars_say_so_than_points_rest(speed, resting, stars, careful, still):
    """stars: so many; less than none: that agree."""
    stars, known = abs(stars), stars < 0

    def rest(velocity, seconds):
        return SimpleNamespace(t_s=np.array([0.0, seconds]), states=np.tile([0.0, 0.0, velocity, 0.0], (2, 1)))

    found = SimpleNamespace(
        frame=SimpleNamespace(rates=np.tile([0.0, abs(speed), 5.0], (3, 1)), steady=speed >= 0),
        stars=SimpleNamespace(spans=[SimpleNamespace(stars=stars, known=known), SimpleNamespace(stars=0, known=False)]),
        paths=[rest(RESTS_PX_S, 9.0), rest(0.0, RESTS_S - 0.1), *[rest(0.29, RESTS_S)] * resting],
    )
    assert _rather_still(found, careful) is still
