"""The benchmark of detect: that it runs and what it reports; never how fast anything is."""


def test_a_quick_run_reports_the_factor_and_every_part(quick):
    printed, found = quick("detect", "--markdown")
    assert "times real time" in printed and found["times_real_time"]["median"] > 0 and found["events"] > 30_000
    assert set(found["parts_s"]) >= {"encode and trace", "tracks", "blobs", "write", "read and check", "all else"}
