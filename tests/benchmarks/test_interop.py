"""The benchmark of exported networks in other simulators: what it compares, and that a quick run prints every row."""

import numpy as np


def test_a_window_is_cut_around_its_liveliest_place_or_padded(script):
    interop = script("interop")
    window = np.zeros((3, 2, 40, 50), np.uint8)
    window[:, :, 30, 10] = 4
    cut = interop._cut(window, (12, 14))
    assert cut.shape == (3, 2, 12, 14) and cut.sum() == window.sum()
    assert interop._cut(window, (60, 50)).shape == (3, 2, 60, 50)


def test_a_spike_more_is_counted(script, monkeypatch):
    interop = script("interop")
    network = interop.kinds()["subtractive leak"]
    frames = (np.random.default_rng(0).random((4, 3, 2, *network.size)) < 0.05).astype(np.uint8)
    ours = interop.expected(network, frames)
    changed = ours.copy()
    changed[2, 1, 0, 0, :3] ^= 1
    monkeypatch.setattr(interop, "simulated", lambda graph, name, part, as_imported: changed)
    found = interop.compared(network, frames, "norse", as_imported=False)
    assert found == {"equal": 3, "of": 4, "different": 3, "spikes": int(ours.sum())} and ours.any()
    assert interop.cell(found) == f"3 of 4 (3 / {ours.sum():,})" and interop.cell({"refused": "x"}) == "refused"


def test_a_quick_run_prints_a_row_of_each_kind_and_network(quick):
    printed, found = quick("interop", "--markdown")
    assert set(found["simulators"]) <= {"norse", "spikingjelly", "snntorch", "sinabs"} and "norse" in found["simulators"]
    assert len(found["found"]) == 11 and printed.count("| network nights |") == 2
    for row in found["found"].values():
        for sides in row.values():
            assert "refused" in sides["as_meant"] or sides["as_meant"]["equal"] == sides["as_meant"]["of"] == 5
            assert "refused" in sides["as_imported"] or sides["as_imported"]["spikes"] > 0
