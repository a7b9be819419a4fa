"""The benchmark of scaling: what it fits, what it goes through, and what it reports; never how fast anything is."""

import pytest


def test_the_line_is_found(script):
    spikes = [10.0, 100.0, 1000.0]
    fit = script("scaling").line(spikes, [{"median": 50.0 + 0.2 * count} for count in spikes])
    assert fit == pytest.approx({"fixed_us": 50.0, "ns_per_spike": 200.0, "largest_error": 0.0}, abs=1e-9)
    bent = script("scaling").line(spikes, [{"median": count**1.5} for count in spikes])
    assert bent["largest_error"] > 0.2


def test_every_sample_on_disk_is_learned_once(script, tmp_path, monkeypatch):
    scaling = script("scaling")
    monkeypatch.setattr(scaling, "DISTINCT", 4)
    monkeypatch.setattr(scaling, "BLOCK_SPIKES", 30)
    scaling.write(tmp_path / "cache", 10, (3, 4, 12, 15))
    cache = scaling.Spikes.open(tmp_path / "cache")
    assert len(cache) == 10 and len(cache.blocks(30)) > 1
    assert cache.spike_counts().std() > 0
    assert scaling.learn(tmp_path / "cache") == 10


def test_a_quick_run_reports_both_tables(quick):
    printed, found = quick("scaling", "--markdown")
    assert [one["samples"] for one in found["samples"]] == [20, 60]
    assert all(one["peak_bytes"] > 2**20 and one["us_per_sample"]["median"] > 0 for one in found["samples"])
    for kind in ("silent", "learning"):
        assert [row["density"] for row in found["spikes"][kind]["rows"]] == [0.0005, 0.005, 0.05]
    assert {"fixed_us", "ns_per_spike", "largest_error"} < set(found["spikes"]["silent"])
    assert all(row["winners_per_sample"] == 0 for row in found["spikes"]["silent"]["rows"])
    assert found["spikes"]["learning"]["rows"][-1]["winners_per_sample"] > 0
    assert "| samples |" in printed and printed.count("| density |") == 2
