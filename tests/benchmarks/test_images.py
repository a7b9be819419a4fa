"""The benchmark of images: that it runs and what it reports; never how fast anything is."""


def test_a_quick_run_compares_the_same_weights(quick):
    printed, found = quick("images", "--markdown")
    assert found["equal"] and found["cpu_ms"] > 0 and found["reference_ms"] > 0 and found["learned"]["images"] == 40
    assert "| event-driven |" in printed and "weights equal after the same images: True" in printed
