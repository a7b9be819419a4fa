"""The benchmark of detect: that it runs and what it reports; never how fast anything is."""


def test_a_quick_run_reports_the_factor_and_every_part(quick):
    printed, found = quick("detect", "--markdown")
    assert "times real time" in printed and found["events"] > 30_000
    assert set(found["modes"]) == {"default", "deep", "no motion layer"}
    for mode in found["modes"].values():
        assert mode["times_real_time"]["median"] > 0 < mode["times_real_time_by_cpu"]["median"]
        assert set(mode["parts_s"]) >= {"encode and trace", "tracks", "blobs", "write", "read and check", "all else"}
    assert (
        "motion layer" in found["modes"]["deep"]["parts_s"] and "motion layer" not in found["modes"]["no motion layer"]["parts_s"]
    )
