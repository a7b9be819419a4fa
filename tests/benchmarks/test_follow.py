"""The benchmark of detect --follow: that it runs and what it reports; never how fast anything is."""


def test_a_quick_run_reports_every_mode(quick):
    printed, found = quick("follow")
    assert "a window every 500 ms" in printed and found["events"] > 60_000 and found["stride_ms"] == 500
    assert set(found["window_ms"]) == {"without the motion layer", "with it", "with it, deep"}
    assert all(0 < one["median"] <= one["p95"] <= one["worst"] for one in found["window_ms"].values())
