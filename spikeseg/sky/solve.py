"""The pointing of a sensor found among all stars, by astrometry.net's solver (Lang et al. 2010), package astrometry."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spikeseg.core.text import many
from spikeseg.errors import InputError

from .catalogue import Catalogue
from .projection import ARCSEC, Projection, angles_of, directions_of
from .refine import LEAST
from .stars import Stars, distinct

SHIFT_S, AWAY_S = 0.5, 10.0
"""The field's shift is that of its stars for so long, s; a star counts that was seen up to so long before or after, s."""

HINT_TIMES, HINT_DEG = 1.25, 10.0
"""A rough pointing is off in scale by this factor at most, and by this much, degrees."""

NOISE_PX, CODE = 1.0, 0.03
"""Standard deviation of stars' places, px; how far the shape of four may be from one in the index, three times as far as is
usual: a few stars are known to some tenths of a pixel, and distorted."""


class Solved(NamedTuple):
    """A pointing that was found.

    Attributes:
        projection: without distortion.
        t0_us: when it holds, µs of the recording.
        catalogue: the stars of the index in the field.
        log_odds: of the match against chance.
    """

    projection: Projection
    t0_us: float
    catalogue: Catalogue
    log_odds: float


def solved(stars: Stars, index_files: Sequence[Path], rough: Projection | None, sensor_size: tuple[int, int]) -> Solved | str:
    """The pointing, from the stars at the time at which most are seen; or why there is none.

    Args:
        stars: of the recording.
        index_files: of astrometry.net.
        rough: about where the sensor looks; None: anywhere.
        sensor_size: (width, height), px.

    Raises InputError: the package is missing, or an index file cannot be read.
    """
    try:
        import astrometry
    except ImportError:
        raise InputError("--solve: needs the package astrometry: pip install 'spikeseg[sky]'") from None
    if len(stars) < LEAST:
        return f"only {many(len(stars), 'star')} found in it; {LEAST} are needed"
    t0_us, places = at_once(stars)
    if len(places) < LEAST:
        return f"only {len(places)} stars are seen at the same time; {LEAST} are needed"
    position = size = None
    if rough is not None:
        middle, pixel_rad = rough.middle(sensor_size)
        ra, dec = angles_of(middle)
        size = astrometry.SizeHint(pixel_rad / ARCSEC / HINT_TIMES, pixel_rad / ARCSEC * HINT_TIMES)
        position = astrometry.PositionHint(float(ra), float(dec), HINT_DEG)
    parameters = astrometry.SolutionParameters(
        sip_order=0,  # distortion is fitted afterwards
        tune_up_logodds_threshold=None,
        positional_noise_pixels=NOISE_PX,
        code_tolerance_l2_distance=CODE,
    )
    try:
        with astrometry.Solver(list(index_files)) as solver:
            solution = solver.solve(places + 1.0, size, position, parameters)  # FITS counts from 1
    except Exception as error:  # of the extension, which has no class of its own
        raise InputError(f"--index-files {' '.join(map(str, index_files))}: cannot be read ({error})") from None
    if not solution.has_match():
        return f"no place in the sky of the index files fits its {len(places)} stars"
    match = solution.best_match()
    projection = Projection(match.astropy_wcs())
    known = directions_of(*np.array([(star.ra_deg, star.dec_deg) for star in match.stars]).T)
    return Solved(projection, t0_us, Catalogue(known, np.arange(len(known), dtype=np.float64)), float(match.logodds))


def at_once(stars: Stars) -> tuple[float, np.ndarray]:
    """When most stars are seen, µs, and where they are then, float64 (n, 2) px, the brightest first, each once.

    Those seen up to AWAY_S before or after are put where the shift of the field takes them."""
    first, last = float(stars.t_us.min()), float(stars.t_us.max())
    edges = np.linspace(first, max(last, first + 1), max(1, round((last - first) * 1e-6 / SHIFT_S)) + 1)
    part = np.clip(np.searchsorted(edges, stars.t_us, side="right") - 1, 0, len(edges) - 2)
    velocity, times = np.zeros((len(edges) - 1, 2)), (edges[1:] + edges[:-1]) / 2
    full = np.unique(part)
    medians = np.array([np.median(stars.velocities[part == k], axis=0) for k in full])
    for axis in (0, 1):
        velocity[:, axis] = np.interp(times, times[full], medians[:, axis])
    shift = np.vstack([np.zeros(2), np.cumsum(velocity * np.diff(edges)[:, None] * 1e-6, 0)])
    seen = np.zeros((len(stars), len(times)), bool)
    seen[stars.star, part] = True
    t0 = float(times[seen.sum(0).argmax()])
    rows = np.lexsort((np.abs(stars.t_us - t0), stars.star))
    nearest = rows[np.flatnonzero(np.diff(stars.star[rows], prepend=-1))]
    nearest = nearest[np.abs(stars.t_us[nearest] - t0) <= AWAY_S * 1e6]
    then = np.stack([np.interp(stars.t_us[nearest], edges, shift[:, axis]) for axis in (0, 1)], -1)
    now = np.array([np.interp(t0, edges, shift[:, axis]) for axis in (0, 1)])
    order = np.argsort(-stars.brightness[stars.star[nearest]], kind="stable")
    places = (stars.pixels[nearest] + now - then)[order]
    return t0, places[distinct(places, np.arange(len(places)))]
