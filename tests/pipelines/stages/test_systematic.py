"""`spikeseg systematic` and `spikeseg diagnose`."""

import json

import pytest

LEVEL = ("systematic", "--noise", "50", "--objects", "1", "--recordings", "1", "--duration", "0.5")


def test_levels_are_scored_and_written_the_same_again(chain):
    said = chain.ok(*LEVEL, "-o", "noise.csv")
    assert said.splitlines()[0].startswith("noise, %") and said.splitlines()[1].split()[:2] == ["50", "1"]
    (scores,) = chain.folder.glob("runs/*/systematic/*/systematic.json")
    before = scores.read_bytes(), (chain.folder / "noise.csv").read_bytes()
    assert json.loads(before[0])["levels"][0]["noise_percent"] == 50
    assert "wrote noise.json;" in chain.ok(*LEVEL, "-o", "noise.json")  # a copy that was not there, of scores that were
    assert "up to date: noise.json;" in chain.ok(*LEVEL, "-o", "noise.json", "--dry-run")
    chain.ok(*LEVEL, "--force", "-o", "noise.csv")
    assert (scores.read_bytes(), (chain.folder / "noise.csv").read_bytes()) == before
    assert (chain.folder / "noise.json").read_bytes() == before[0]
    assert "systematic.noise_percent: 100.0; allowed: 0 to 99" in chain.refused("systematic", "--noise", "100")
    assert "limit.duration_s: 0.0" in chain.refused("systematic", "--duration", "0")


def test_windows_are_drawn(chain):
    pytest.importorskip("matplotlib")
    said = chain.ok("diagnose", "--samples", "1", "-o", "looked")
    pictures = sorted((chain.folder / "looked").iterdir())
    assert pictures and f"wrote {len(pictures)} figure" in said and all(path.suffix == ".png" for path in pictures)
    (simulated,) = chain.folder.glob("data_cache/simulated/*/EBSSA")
    file = next(path for path in simulated.rglob("*") if path.suffix in (".h5", ".mat"))
    chain.ok("diagnose", f"{file}::DAVIS_0001", "--samples", "1", "--plot-format", "svg", "-o", "files")
    assert all(path.suffix == ".svg" and b"truth: " in path.read_bytes() for path in (chain.folder / "files").iterdir())
    assert "no/such.mat: cannot be read" in chain.refused("diagnose", "no/such.mat")
    assert "would write" in chain.ok("diagnose", "--samples", "1", "-o", "dry", "--dry-run")
