"""The whole path in one command."""

import re
import sys


def test_demo_runs_every_stage_and_ends_with_eleven_lines_a_picture_and_a_report(place, monkeypatch):
    result = place("demo")
    lines = result.stdout.splitlines()
    assert result.exit_code == 0 and not set(result.output) & {"\r", "\x1b"}
    assert len(lines) == 11 and lines[0] == "3 recordings to learn from, without labels; 2 others to be scored on:"
    rows = [line.split("  ")[0] for line in lines[2:6]]
    assert rows == ["graded filter, tracked", "untrained network", "trained network", "shuffled-label control"]
    assert all(re.search(r"  \d of \d  +[\d.]+  +[\d.]+$", row) for row in lines[2:5])
    for what in ("detections ", "picture ", "report "):
        (line,) = [line for line in lines if line.startswith(what)]
        assert (place.folder / line.split()[1]).exists()
    nights = re.findall(r"(DAVIS_\d+) (\d) of (\d)", lines[6])
    assert lines[6].startswith("by night  ") and len(nights) == 2 and nights == sorted(nights)
    name, found, objects = next((night for night in nights if night[1] != "0"), nights[0])
    shown = re.search(r"\((\d) of (\d) objects found in (DAVIS_\d+)(, the first with any)?\)$", lines[7]).groups()
    assert shown[:3] == (found, objects, name) and bool(shown[3]) == (found != "0") and lines[8].endswith(f"{name}.png")
    assert lines[4].split("  ")[1:] and f" {sum(int(n[1]) for n in nights)} of {sum(int(n[2]) for n in nights)} " in lines[4]
    assert lines[10].startswith("wrote the demo in runs/tiny-")
    full = place.ok("demo", "--full")
    assert full.splitlines()[-1].startswith("up to date: the demo in runs/tiny-") and full.splitlines()[-11:-1] == lines[:-1]
    assert "conv2: C_l" in full and "raw events, random scores" in full
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    told = place.ok("demo")
    assert all(
        f"{what} pictures need matplotlib; install it with: pip install 'spikeseg[plots]'\n" in told
        for what in ("picture    ", "report     ")
    )
