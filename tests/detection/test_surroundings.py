"""What is extended and has clumps is no object for detection, nor does a track along it become one."""

import dataclasses

import numpy as np
import pytest

from spikeseg.config import load_config
from spikeseg.data.recording import EVENT_DTYPE, LABEL_DTYPE, Recording
from spikeseg.data.windows import windowed
from spikeseg.detection.moving import Motion, find_paths, scored
from spikeseg.motion.footprint import Footprint
from spikeseg.tracking.scene import ObjectTrack
from spikeseg.tracking.star_field import StarField

SIZE, SECONDS = (120, 90), 8.0
CLUMPS = [(30.0, 60.0), (60.0, 40.0), (80.0, 70.0)]
MOVES = [(5.0, -4.0), (-6.0, 3.0), (2.0, 7.0)]


@pytest.fixture(scope="module")
def found():
    """With care and without: three clumps of ON events with a spread of 4 px, each of 60 events/s, over noise of 0.1 Hz."""
    rng, parts = np.random.default_rng(7), []
    n = rng.poisson(0.1 * SIZE[0] * SIZE[1] * SECONDS)
    parts.append(np.column_stack([rng.random(n) * SECONDS, rng.integers(0, SIZE, (n, 2)), rng.integers(0, 2, n)]))
    for place, velocity in zip(CLUMPS, MOVES, strict=True):
        t = rng.random(rng.poisson(60 * SECONDS)) * SECONDS
        spread = np.rint(place + np.outer(t - 4, velocity) + 4 * rng.standard_normal((len(t), 2)))
        parts.append(np.column_stack([t, spread, np.ones(len(t))]))
    table = np.concatenate(parts)
    table = table[((table[:, 1:3] >= 0) & (table[:, 1:3] < SIZE)).all(1)]
    table = table[np.argsort(table[:, 0], kind="stable")]
    events = np.zeros(len(table), EVENT_DTYPE)
    for name, column in zip("txyp", (np.rint(table[:, 0] * 1e6), *table[:, 1:].T), strict=True):
        events[name] = column
    recording = Recording(events, SIZE, np.zeros(0, LABEL_DTYPE), "clumps", "clumps")
    config = load_config("demo", {"data.data_root": None, "model.motion": True})
    view, motion = windowed(recording, config.data), Motion(Footprint.point())
    return [find_paths(view, StarField.still(), dataclasses.replace(motion, careful=careful)) for careful in (True, False)]


def test_clumps_do_not_tell(found):
    careful, learning = found
    assert not careful.tells.any() and max(careful.nats) < careful.threshold
    assert max(learning.nats) > 2 * learning.threshold and learning.tells.any()  # footprints are learned without


def test_a_track_along_a_clump_has_no_evidence(found):
    careful, _ = found
    t_s = np.linspace(0.5, 7.5, 30)
    owner = careful.search.events.owner
    owner[owner > 0] = 0
    states = np.column_stack([CLUMPS[1] + np.outer(t_s - 4, MOVES[1]), np.tile(MOVES[1], (30, 1))])
    none = np.zeros(30, np.int64)
    track = scored(ObjectTrack(1, t_s * 1e6, none, none, states, states[:, 2:], 1.0), careful)
    assert track.nats < careful.threshold and track.score < 0.5
