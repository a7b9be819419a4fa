"""Satellites of simulated nights that creep, and how many of them are found."""

import numpy as np
import pytest

from spikeseg.simulation.recordings import SimulationConfig


@pytest.fixture(scope="module")
def bench(script):
    return script("creeping")


def test_those_that_creep_come_less_than_a_pixel_a_second_among_the_stars(bench):
    own = bench.creepers(SimulationConfig(48, seed=71001))
    assert [(one.index, one.object_id) for one in own] == [(14, 1), (21, 1), (27, 2), (34, 1)]
    assert own[0].seconds == pytest.approx(5.7) and own[0].moved_px == pytest.approx(3.1, abs=0.05)
    assert own[1].moved_px > 5  # 7 px/s over the sensor


def test_the_table_counts_by_the_way(bench):
    ways = (1.0, 2.0, 2.5, 4.0, 9.0)
    creeping = [bench.Creeper(1, k, 1, 8.0, way) for k, way in enumerate(ways)]
    lines = bench.report(creeping, [False, True, False, True, True], 1, 2.0, False).splitlines()
    rows = [line.split()[:5] for line in lines[2:6]]
    assert rows == [
        ["0.0", "to", "1.5", "1", "0"],
        ["1.5", "to", "3.0", "2", "1"],
        ["3.0", "to", "5.0", "1", "1"],
        ["all", "5", "3", "0.60", "(0.23"],
    ]
    assert lines[-1].startswith("false tracks: 1 in 2 minutes, 0.50 (0.01 to")


def test_found_is_what_a_track_covers(bench, monkeypatch):
    config = SimulationConfig(48, 2.0, seed=71001)
    own = [bench.Creeper(71001, 34, 1, 2.0, 1.6)]
    labels = bench.simulate_recording(config, 34).labels
    rows = np.zeros(len(labels), np.dtype([("track_id", "<i4"), ("t_us", "<i8"), ("x", "<f8"), ("y", "<f8")]))
    rows["track_id"], rows["t_us"] = 4, labels["t"]
    answer = type("Answer", (), {"object_ids": [4], "tracks": rows})
    network = type("Network", (), {"detect": staticmethod(lambda _: answer)})
    monkeypatch.setattr(bench.spikeseg, "load", lambda *_: network)
    for off, expected in ((4.0, ([True], 0)), (6.0, ([False], 1))):
        rows["x"], rows["y"] = labels["x"] + off, labels["y"]
        found, false, minutes = bench.looked_for(config, own, "none")
        assert (found, false) == expected and minutes == pytest.approx(2 / 60, rel=0.01)


def test_it_runs(quick):
    printed, written = quick("creeping")
    assert "false tracks" in printed and len(written["satellites"]) >= 1
