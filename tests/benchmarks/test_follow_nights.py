"""What `--follow` tells of simulated nights, as its lines hold it, and how it is counted."""

from types import SimpleNamespace

import numpy as np
import pytest


@pytest.fixture(scope="module")
def bench(script):
    return script("follow_nights")


def test_a_track_is_the_past_and_then_a_place_for_every_window(bench, monkeypatch):
    """What a line tells again, or has not seen since, is no new place."""

    def line(end_us, number, t_us, past=None):
        own = {"track_id": number, "t_us": t_us, "x": t_us / 10, "y": 5.0}
        return SimpleNamespace(
            row=lambda _: {"t_end_us": end_us, "objects": [own | ({"past": [[t, t / 10, 5.0] for t in past]} if past else {})]}
        )

    lines = [line(500, 3, 480, [100, 300, 480]), line(600, 3, 580), line(700, 3, 580), line(700, 4, 690, [690])]
    follower = SimpleNamespace(take=lambda *_: lines[:2], finish=lambda _: lines[2:])
    monkeypatch.setattr(bench, "Follower", lambda *_: follower)
    network = SimpleNamespace(config=None, model=None, readout=None)
    one, other = bench.reported(network, SimpleNamespace(events=None, sensor_size=(240, 180)))
    assert one.t_us.tolist() == [100, 300, 480, 580] and one.places[:, 0].tolist() == [10, 30, 48, 58] and one.told_us == 500
    assert other.t_us.tolist() == [690] and other.told_us == 700 and other.track.position.tolist() == [[69, 5]]


def test_both_ways_are_counted_and_the_delays_of_what_is_found(bench, monkeypatch):
    config = bench.SimulationConfig(48, 2.0, seed=71001)
    labels = bench.simulate_recording(config, 34).labels
    t_us, places = labels["t"].astype(np.float64), np.stack([labels["x"], labels["y"]], 1).astype(np.float64)
    told = [bench.Reported(t_us, places + 4, 1_500_000), bench.Reported(t_us, places + 40, 600_000)]
    monkeypatch.setattr(bench, "reported", lambda *_: told)
    monkeypatch.setattr(bench, "object_tracks", lambda _: [])
    monkeypatch.setattr(bench, "_network", lambda _: SimpleNamespace(detect=lambda _: None))
    own = bench.night(config, 34, "none")
    assert own["detect"]["objects"] == own["follow"]["objects"] == 1 and own["detect"]["found"] == 0
    assert (own["follow"]["found"], own["follow"]["false_tracks"]) == (0, 2)
    told[0] = told[0]._replace(places=places + 3)
    own = bench.night(config, 34, "none")
    assert (own["follow"]["found"], own["follow"]["true_tracks"], own["follow"]["false_tracks"]) == (1, 1, 1)
    assert own["delays_s"] == [pytest.approx(1.5 - t_us[0] / 1e6)]
    lines = bench.report({"medium": [own, own]}, False).splitlines()
    assert lines[2].split()[:5] == ["medium", "detect", "0", "of", "2"] and lines[3].split()[:5] == [
        "medium",
        "follow",
        "2",
        "of",
        "2",
    ]
    assert lines[-1].startswith("medium: told of 1.5 s after")


def test_it_runs(quick):
    printed, written = quick("follow_nights", "--difficulty", "medium")
    assert "follow" in printed and len(written["nights"]["medium"]) == 2
