"""The whole path in one command."""


def test_demo_runs_every_stage_prints_the_table_and_where_things_are(place):
    said = place.ok("demo")
    assert "shuffled-label control" in said and "conv2: C_l" in said
    for what in ("frames ", "network ", "metrics ", "detections "):
        (line,) = [line for line in said.splitlines() if line.startswith(what)]
        assert (place.folder / line.split()[1]).exists()
    assert said.splitlines()[-1].startswith("wrote the demo in runs/tiny-")
    assert place.ok("demo").splitlines()[-1].startswith("up to date: the demo in runs/tiny-")
