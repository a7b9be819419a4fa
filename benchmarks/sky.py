"""How far from the truth `detect` puts objects on the sky: a DAVIS for 12 s, 20 seconds of arc a pixel, with distortion (SIP).

Run: python benchmarks/sky.py [--json FILE] [--markdown] [--quick]

Stars of a catalogue and an object that flies among them at 5 px/s are seen through a known projection by a telescope that follows
the stars, stands still, or follows the object; their light becomes events, with noise, as in `spikeseg simulate`. `detect` runs
with the packaged network, given the pointing, a rough one with the catalogue, or, with an index of that catalogue
(tests/sky/index.fits.gz, made by astrometry.net's build-astrometry-index), nothing. Counted are rows of the object's track.
"""

from __future__ import annotations

import dataclasses
import gzip
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table
from measure import options, table, write_json
from scipy.spatial.transform import Rotation

from spikeseg.data.recording import SOURCE_OBJECT, SOURCE_STAR
from spikeseg.simulation.noise import background_events
from spikeseg.simulation.pixels import Sensor, source_events
from spikeseg.simulation.recordings import SimulationConfig, events_and_truth, simulate_scene
from spikeseg.simulation.scene import Scene
from spikeseg.sky.attitude import SIDEREAL_RAD_S, Turning
from spikeseg.sky.projection import ARCSEC, Projection, angles_of, directions_of, from_tangent, gnomonic
from spikeseg.sky.times import parsed_utc

START = "2026-03-01T21:04:05.25Z"
SIZE, PIXEL, SECONDS, SPEED = (240, 180), 20.0, 12.0, 5.0
"""px, seconds of arc, s, px/s."""
FOLLOWED = 0.7
"""The telescope that follows the object lags behind by the rest of its speed: of what stands still no pixel would tell."""
SWAY_PX, SWAY_HZ = 0.2, (0.7, 0.5)
"""The mount sways by this much in x and in y, at these rates: of stars that stood quite still no pixel would tell."""
WHERE, STARS = (150.0, 40.0), 300
MOUNTS = ("sidereal", "stare", "track")
PROGRAM = [sys.executable, "-c", "from spikeseg.pipelines.cli import main; main(prog_name='spikeseg')"]
TESTED = Path(__file__).parents[1] / "tests" / "sky"
"""Where the index and the lens are: those of the tests."""
DISTORTION = {tuple(term["powers"]): tuple(term["px"]) for term in json.loads((TESTED / "distortion.json").read_text())}


@dataclass(frozen=True)
class Sky:
    """Moves the sky over a sensor, in the place of the simulation's FieldMotion; its places are px on the plane that touches it.

    Attributes:
        projection: where pixels look at t = 0.
        middle: float64 (3,), where the plane touches.
        axis: float64 (3,), about which the telescope turns, by `rate` rad/s.
    """

    projection: Projection
    middle: np.ndarray
    axis: np.ndarray
    rate: float

    velocities = np.zeros((1, 2))

    def directions(self, sky: np.ndarray) -> np.ndarray:
        """Of places of the sky (n, 2): float64 (n, 3)."""
        return from_tangent(sky * PIXEL / 3600, self.middle)

    def place(self, sky: np.ndarray, t_s: np.ndarray) -> np.ndarray:
        """See FieldMotion.place."""
        places, times = np.broadcast_arrays(sky, np.asarray(t_s)[..., None])
        turn = Rotation.from_rotvec(-self.rate * times[..., 0].reshape(-1, 1) * self.axis)
        seen = turn.apply(self.directions(places.reshape(-1, 2)))
        pixels = np.stack(self.projection.wcs.all_world2pix(*angles_of(seen), 0, quiet=True), -1)
        phase = 2 * np.pi * np.outer(times[..., 0].ravel(), SWAY_HZ)
        return (pixels + SWAY_PX * np.sin(phase + np.array([0.0, 1.0]))).reshape(places.shape)

    def speed_beside_drift(self, _: tuple[int, int], __: float) -> float:
        """See FieldMotion.speed_beside_drift."""
        return self.rate / (PIXEL * ARCSEC) * 1.1 + 2 * np.pi * SWAY_PX * max(SWAY_HZ) * 1.5


def scene_of(mount: str, seed: int) -> tuple[Scene, Table]:
    """What is seen under a mount, and the catalogue of its stars."""
    projection = gnomonic(*WHERE, PIXEL, 25.0, SIZE, DISTORTION)
    middle, _ = projection.middle(SIZE)
    rng = np.random.default_rng(0)  # the catalogue of tests/sky, of which its index is
    stars = rng.uniform(-1.6, 1.6, (STARS, 2))
    magnitudes = np.sort(rng.uniform(3, 10, STARS))
    ra, dec = angles_of(from_tangent(stars, middle))
    rng = np.random.default_rng([seed, MOUNTS.index(mount)])
    angle = rng.uniform(0, 2 * np.pi)
    way = np.array([np.cos(angle), np.sin(angle)]) * SPEED
    start = rng.uniform(-20, 20, 2) - way * SECONDS / 2
    axes = {
        "sidereal": (np.array([0.0, 0.0, 1.0]), 0.0),
        "stare": (Turning.at(parsed_utc(START, "start") / 86_400e6, 0.0).pole, SIDEREAL_RAD_S),
        "track": (_about(middle, start, way), FOLLOWED * SPEED * PIXEL * ARCSEC),
    }
    base = simulate_scene(SimulationConfig(recordings=1, duration_s=SECONDS, difficulty="easy", sensor="DAVIS", seed=seed), 0)
    n, none = STARS + 1, np.zeros(STARS + 1)
    scene = dataclasses.replace(
        base, mode=mount, noise_hz=0.1, clouds=None, field=Sky(projection, middle, *axes[mount]),
        start=np.vstack([stars * 3600 / PIXEL, start]), velocity=np.vstack([np.zeros((STARS, 2)), way]), bend=np.zeros((n, 2)),
        at_s=none, contrast=np.append(15 * 10 ** (-0.25 * (magnitudes - 3)), 6.0), tumble_hz=none, tumble_depth=none,
        tumble_phase=none, source=np.append(np.full(STARS, SOURCE_STAR), SOURCE_OBJECT).astype(np.int8),
        object_id=np.append(np.zeros(STARS), 1).astype(np.int32),
    )  # fmt: skip
    return scene, Table({"ra": ra, "dec": dec, "mag": magnitudes})


def _about(middle: np.ndarray, start: np.ndarray, way: np.ndarray) -> np.ndarray:
    """The axis about which an object's way leads."""
    ends = from_tangent(np.stack([start, start + way * SECONDS]) * PIXEL / 3600, middle)
    axis = np.cross(*ends)
    return axis / np.linalg.norm(axis)


def measured(folder: Path, mount: str, seed: int) -> dict[str, dict[str, Any]]:
    """By way of knowing the pointing: rows, and how far they are off, px."""
    scene, catalogue = scene_of(mount, seed)
    rng = np.random.default_rng([seed, 7])
    made = np.concatenate([make(scene, Sensor(), rng) for make in (source_events, background_events)])
    events, _ = events_and_truth(made)
    sky: Any = scene.field
    np.savez(folder / "night.npz", **{name: events[name] for name in "txyp"}, sensor_size=np.array(SIZE))
    fits.PrimaryHDU(header=sky.projection.header()).writeto(folder / "given.fits")
    fits.PrimaryHDU(header=gnomonic(150.12, 39.93, 20.3, 27.0, SIZE).header()).writeto(folder / "rough.fits")
    catalogue.write(folder / "stars.csv")
    (folder / "index.fits").write_bytes(gzip.decompress((TESTED / "index.fits.gz").read_bytes()))
    ways = {
        "given": ["--wcs", "given.fits"],
        "refined": ["--wcs", "rough.fits", "--catalogue", "stars.csv"],
        "solved": ["--solve", "--index-files", "index.fits"],
    }
    found = {}
    for way, words in ways.items():
        command = [
            *PROGRAM,
            "detect",
            "night.npz",
            "--network",
            "nights",
            "-o",
            way,
            "--quiet",
        ]
        subprocess.run([*command, "--start", START, "--mount", mount, *words], cwd=folder, check=True)
        rows = Table.read(folder / way / "tracks.csv", format="ascii.csv")
        told = json.loads((folder / way / "detections.json").read_text())["recordings"][0]["sky"]
        found[way] = _compared(rows, scene, sky) | {"stars": told.get("stars"), "failed": told.get("failed")}
    return found


def _compared(rows: Table, scene: Scene, sky: Sky) -> dict[str, Any]:
    """Of the track that is the object's, or nearest to it."""
    since = np.asarray(rows["t_us"], np.float64)[:, None] * 1e-6
    truth = sky.directions(scene.start[-1] + scene.velocity[-1] * since)
    places = sky.place(scene.start[-1] + scene.velocity[-1] * since, since[:, 0])
    near = np.hypot(rows["x"] - places[:, 0], rows["y"] - places[:, 1]) < 5.0
    own = np.asarray(rows["is_object"] == 1) & np.asarray(near)
    ra, dec = (np.ma.filled(np.ma.asarray(rows[name], float), np.nan) for name in ("ra", "dec"))
    off = np.linalg.norm(directions_of(ra, dec) - truth, axis=1)
    off_px = off[own] / (PIXEL * ARCSEC)
    known = np.isfinite(off_px).all() and own.any()
    placed = np.hypot(rows["x"] - places[:, 0], rows["y"] - places[:, 1])[own]
    return {
        "rows": int(own.sum()),
        "median_px": float(np.median(off_px)) if known else None,
        "rms_px": float(np.sqrt(np.mean(off_px**2))) if known else None,
        "on_sensor_px": float(np.median(placed)) if own.any() else None,
        "error_arcsec": float(np.median(np.asarray(rows["ra_err"], float)[own])) if known else None,
    }


def main() -> None:
    """Measure, print, and write JSON where asked to."""
    chosen = options("Places on the sky against the truth.", markdown=True).parse_args()
    rows, kept = [], {}
    for mount in MOUNTS[1:2] if chosen.quick else MOUNTS:
        with tempfile.TemporaryDirectory() as folder:
            kept[mount] = measured(Path(folder), mount, 1)
        for way, one in kept[mount].items():
            figures = [one[name] for name in ("median_px", "rms_px", "on_sensor_px")]
            rows.append([mount, way, one["stars"] or "", one["rows"], *("" if v is None else f"{v:.2f}" for v in figures)])
    headings = ["mount", "pointing", "stars", "rows", "off, median px", "off, rms px", "on the sensor, median px"]
    print(table(headings, rows, markdown=chosen.markdown))
    write_json(chosen.json, "sky", kept)


if __name__ == "__main__":
    main()
