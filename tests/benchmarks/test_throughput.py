"""The benchmark of events a second."""


def test_a_quick_run_reports_every_mode_and_part(quick, tmp_path):
    printed, found = quick("throughput", "--markdown")
    (own,) = found["recordings"].values()
    assert own["events"] == 5_000 and "crossing" in printed
    for mode in ("scenes", "points"):
        for kind in ("wall", "cpu"):
            assert 0 < own[mode][kind]["min"] <= own[mode][kind]["median"] <= own[mode][kind]["max"]
    assert {"tracks", "encode and trace", "write", "camera and lamps", "pace"} <= set(own["parts_s"])
    assert "read" not in own
