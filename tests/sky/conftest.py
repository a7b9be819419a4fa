"""A simulated sky: stars of a catalogue and an object, seen through a known pointing with distortion by a telescope that stands,
follows the stars or follows the object; places are measured with noise and smoothed as `detect` does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from spikeseg.detection.readout import Readout
from spikeseg.detection.result import Detections
from spikeseg.detection.schema import DETECTION_COLUMNS, EVENT_COLUMNS, TRACK_COLUMNS, WINDOW_DTYPE, table_dtype
from spikeseg.detection.tables import object_table
from spikeseg.sky.catalogue import Catalogue
from spikeseg.sky.projection import ARCSEC, Projection, angles_of, directions_of, from_tangent, gnomonic
from spikeseg.sky.times import parsed_utc
from spikeseg.tracking import kalman
from spikeseg.tracking.scene import SMOOTHING

SIZE = (240, 180)
START = "2026-03-01T21:04:05.25Z"
STEP_S, SECONDS, FIRST_US = 0.1, 12.0, 5_000_000
PIXEL = 20.0
"""Side of a pixel, seconds of arc."""
DISTORTION = {
    tuple(term["powers"]): tuple(term["px"]) for term in json.loads((Path(__file__).parent / "distortion.json").read_text())
}
"""Of a lens (SIP): powers of x and y -> px in x and y."""


def pointing(ra=150.0, dec=40.0, *, pixel=PIXEL, roll=25.0, distorted=True):
    return gnomonic(ra, dec, pixel, roll, SIZE, DISTORTION if distorted else None)


def pixels_of(projection, directions):
    """Where directions (n, 3) are seen: the inverse of `Projection.directions`."""
    return np.stack(projection.wcs.all_world2pix(*angles_of(directions), 0, quiet=True), -1)


@dataclass
class Night:
    """What there was, and what `detect` makes of it.

    Attributes:
        projection: the true pointing at the first event.
        catalogue: all stars.
        detections: of the object, track 1, and of the stars.
        truth: directions (n, 3) of the rows of the object's track.
        rates: its rates (2,), to the east and north, seconds of arc per second, at each row.
    """

    projection: Projection
    catalogue: Catalogue
    detections: Detections
    truth: np.ndarray
    rates: np.ndarray

    def off_px(self, found=None):
        """How far the object's places are from the truth, px: (n,)."""
        rows = (found or self.detections).tracks
        rows = rows[rows["track_id"] == 1]
        return np.linalg.norm(directions_of(rows["ra"], rows["dec"]) - self.truth, axis=1) / (PIXEL * ARCSEC)


def night(mount, *, seed=0, noise_px=0.4, where=(150.0, 40.0), stars=300):
    """A simulated night under a mount, "sidereal", "stare" or "track"."""
    rng = np.random.default_rng(seed)
    projection = pointing(*where)
    t = np.arange(0.0, SECONDS, STEP_S)
    middle, pixel = projection.middle(SIZE)
    catalogue = from_tangent(rng.uniform(-1.6, 1.6, (stars, 2)), middle)
    catalogue = Catalogue(catalogue, np.sort(rng.uniform(3, 10, stars)))
    axis = np.cross(middle, directions_of(np.array([20.0]), np.array([10.0]))[0])
    start = from_tangent(np.array([[0.25, 0.2]]), middle)[0]
    path = Rotation.from_rotvec(np.outer(t, axis / np.linalg.norm(axis)) * 5.0 * pixel)  # 5 px/s among the stars
    course = path.apply(start)
    if mount == "stare":
        turn = Rotation.from_rotvec(np.outer(t, POLE) * 7.292115146706979e-5)
    elif mount == "track":
        turn = path * Rotation.from_rotvec(np.outer(np.sin(t / 3) * 5 * pixel, np.cross(middle, [0.0, 0.0, 1.0])))
    else:
        turn = Rotation.from_rotvec(np.zeros((len(t), 3)))
    seen = []
    for track, directions in enumerate([course, *np.broadcast_to(catalogue.directions[:, None], (stars, len(t), 3))], 1):
        looked = turn.inv().apply(np.array(directions))
        near = np.flatnonzero(looked @ middle > np.cos(200 * pixel))
        places = pixels_of(projection, looked[near]) if len(near) else np.zeros((0, 2))
        inside = near[((places > 0) & (places < np.array(SIZE) - 1)).all(1)]
        if len(inside) > 15:
            assert (np.diff(inside) == 1).all()
            places = places[np.isin(near, inside)] + rng.normal(0.0, noise_px, (len(inside), 2))
            seen.append((track, t[inside], *kalman.smooth(t[inside], places, SMOOTHING), directions[inside]))
    change = np.gradient(course, STEP_S, axis=0)
    ra = np.radians(angles_of(course)[0])
    to_east = np.stack([-np.sin(ra), np.cos(ra), 0 * ra], -1)
    to_north = np.cross(course, to_east)
    rates = np.stack([(change * to_east).sum(1), (change * to_north).sum(1)], -1) / ARCSEC
    own = np.isin(t, seen[0][1])
    return Night(projection, catalogue, _detections(seen), seen[0][4], rates[own])


POLE = np.array([0.0025463, 0.0000301, 0.9999967])
"""The celestial intermediate pole on 2026-03-01 of ICRS, about, by precession alone: 20.04 seconds of arc a year."""


def _detections(seen):
    """Of tracks: number, times (s), means and covariances of `kalman.smooth`, directions."""
    counts = [len(times) for _, times, *_ in seen]
    tracks = np.zeros(sum(counts), table_dtype(TRACK_COLUMNS, "night"))
    tracks["recording"] = "night"
    tracks["track_id"] = np.repeat([number for number, *_ in seen], counts)
    tracks["t_us"] = np.rint(np.concatenate([times for _, times, *_ in seen]) * 1e6) + FIRST_US
    mean = np.concatenate([mean for _, _, mean, *_ in seen])
    tracks["x"], tracks["y"], tracks["vx"], tracks["vy"] = mean.reshape(-1, 4).T
    tracks["is_object"] = tracks["track_id"] == 1
    field = {
        t: np.median(tracks[(tracks["t_us"] == t) & ~tracks["is_object"]][["vx", "vy"]].tolist(), 0)
        for t in set(tracks["t_us"].tolist())
    }
    at = np.array([field[t] for t in tracks["t_us"].tolist()])
    tracks["vx_rel"], tracks["vy_rel"] = tracks["vx"] - at[:, 0], tracks["vy"] - at[:, 1]
    tracks["object_score"], tracks["score"] = tracks["is_object"], 1.0 / tracks["track_id"]
    events = {name: np.zeros(2, column.dtype) for name, column in EVENT_COLUMNS.items()}
    events["t"][:] = FIRST_US, FIRST_US + SECONDS * 1e6
    errors = np.sqrt(np.concatenate([covariance[:, 0] for _, _, _, covariance, _ in seen]))
    return Detections(
        "night", SIZE, Readout(0.5, 0.25), (0.0, 0.0), np.zeros(0, WINDOW_DTYPE), np.zeros(0, table_dtype(DETECTION_COLUMNS)),
        tracks, object_table(tracks, np.zeros(2, np.int32)), events, errors,
    )  # fmt: skip


@pytest.fixture(scope="session")
def nights():
    """A night under each mount."""
    return {mount: night(mount) for mount in ("sidereal", "stare", "track")}


@pytest.fixture
def start():
    """UTC of the first event, µs since 1970."""
    return parsed_utc(START, "start")


@pytest.fixture
def simulated():
    """`night`, `pointing` and `pixels_of`, for tests that cannot import them from here."""
    return {"night": night, "pointing": pointing, "pixels_of": pixels_of, "size": SIZE, "start": START}
