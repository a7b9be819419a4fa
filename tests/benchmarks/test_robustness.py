"""benchmarks/robustness.py sees what must not be."""

import json

import numpy as np


def test_what_must_not_be_is_seen(script, tmp_path):
    chain, rng = script("robustness_chain"), np.random.default_rng(0)
    one = chain.Chain(tmp_path / "one", tmp_path / "said")
    (one.folder / "a.bin").write_bytes(b"abc")
    before = one.digests()
    chain.flip(one.folder / "a.bin", rng)
    assert chain.unequal(before, one.digests()) == ["a.bin"]
    (one.folder / ".a.bin.partial-1").write_bytes(b"")
    assert one.leftovers() == [".a.bin.partial-1"]
    for seconds in (1.0, 2.0):
        (one.folder / "manifest.json").write_text(json.dumps({"key": "k", "outputs": {}, "seconds": seconds}))
        assert chain.unequal(before, one.digests()) == [".a.bin.partial-1", "a.bin", "manifest.json"]
    assert chain.digest(one.folder / "manifest.json") == one.digests()["manifest.json"]
    (one.folder / "manifest.json").write_text('{"key": ')
    assert "manifest.json" in chain.unequal(before, one.digests())  # a damaged one
    assert chain.Outcome(-11, "").crashed and chain.Outcome(3, "Traceback").crashed and not chain.Outcome(3, "error: x").crashed
    assert chain.Outcome(3, "a\nerror: x").errors == ["error: x"]


def test_every_kind_can_be_tried(script):
    tries = script("robustness")
    assert tries.COUNTS.keys() == tries.QUICK.keys()
    assert all(callable(getattr(tries.Robustness, kind)) for kind in tries.COUNTS)
