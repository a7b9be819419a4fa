"""The benchmark of workers: what it prepares."""

import numpy as np

from spikeseg.data.recording import EVENT_DTYPE


def test_nights_lie_in_two_halves_and_the_long_one_holds_what_it_says(script, tmp_path):
    jobs = script("jobs")
    paths = jobs.nights(tmp_path, 4, 0.3)
    assert sorted(path.parent.name for path in paths) == ["a", "a", "b", "b"]
    with np.load(paths[0]) as night:
        n = len(night["t"])
    count = jobs.long_night(tmp_path / "long.npy", paths[0], 3.2 * n * 13 / 1e9)
    events = np.load(tmp_path / "long.npy")
    assert count == len(events) == 3 * n and events.dtype == EVENT_DTYPE and (np.diff(events["t"]) >= 0).all()


def test_caches_are_compared_but_for_their_manifest(script, tmp_path):
    jobs = script("jobs")
    folder = tmp_path / "cache" / "frames" / "key"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    (folder / "a").write_bytes(b"1")
    assert jobs.frames_of(tmp_path / "cache") == {"a": b"1"}
