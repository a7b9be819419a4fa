"""The cache looked at, checked to the last bit, and cleaned."""

import json
import os
import shutil

import numpy as np
import pytest
from rewriting import rewrite

from spikeseg.pipelines.runtime.cache import artefacts, faults


@pytest.fixture(scope="module")
def sound(chain):
    """The smallest finished artefact with arrays."""
    return min((one for one in artefacts(chain.folder / "data_cache") if one.stage == "frames"), key=lambda one: one.size).path


def test_every_flipped_bit_is_found(sound, tmp_path):
    """1000 of 1000, wherever they fall: in chunks, in metadata, in the manifest."""
    folder = tmp_path / sound.name
    shutil.copytree(sound, folder)
    assert not list(faults(folder))
    paths = sorted(p for p in folder.rglob("*") if p.is_file())
    sizes = np.array([p.stat().st_size for p in paths])
    rng, found = np.random.default_rng(0), 0
    manifest = paths.index(folder / "manifest.json")
    for k in range(1000):
        which = manifest if k % 5 == 0 else int(rng.choice(len(paths), p=sizes / sizes.sum()))
        content = paths[which].read_bytes()
        flipped = bytearray(content)
        flipped[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        rewrite(paths[which], flipped)
        told = list(faults(folder))
        found += len(told) == 1 and told[0].startswith(paths[which].relative_to(folder).as_posix())
        rewrite(paths[which], content)
    assert found == 1000 and not list(faults(folder))


def test_what_is_missing_cut_or_came_later_is_named(sound, tmp_path):
    folder = tmp_path / sound.name
    shutil.copytree(sound, folder)
    (shard,) = list(folder.rglob("frames/c/0/0/0/0/0"))[:1]
    name, content = shard.relative_to(folder).as_posix(), shard.read_bytes()
    shard.unlink()
    assert list(faults(folder)) == [f"{name}: missing"]
    shard.write_bytes(content[:-1])
    assert list(faults(folder)) == [f"{name}: not as it was written"]
    shard.write_bytes(content)
    (folder / "more").write_text("")
    assert list(faults(folder)) == ["more: came later"]
    (folder / "more").unlink()
    os.rename(folder, tmp_path / "0123456789abcdef")
    assert list(faults(tmp_path / "0123456789abcdef")) == ["manifest.json: not as it was written"]


def test_the_commands(copied):
    listed = copied.ok("cache", "list", config=False)
    assert "frames" in listed and "5 recordings" in listed and listed.splitlines()[-1].endswith("MiB")
    count = len(listed.splitlines()) - 1
    assert f"{count} artefacts are as they were written" in copied.ok("cache", "verify", config=False)
    frames = next(one for one in artefacts(copied.folder / "data_cache") if one.stage == "frames")
    assert "1 artefacts are as" in copied.ok("cache", "verify", frames.path.name, config=False)
    assert "no artefact of this key" in copied.refused("cache", "verify", "abc", config=False)
    manifest = frames.path / "manifest.json"
    told = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(told | {"seed": 7}, indent=2) + "\n")
    left = copied.folder / "data_cache" / "frames" / ".0123456789abcdef.partial-1"
    left.mkdir()
    assert "1 of" in copied.refused("cache", "verify", config=False)
    assert "would remove" in copied.ok("cache", "clean", "--damaged", "--dry-run", config=False) and frames.path.exists()
    declined = copied("cache", "clean", "--damaged", config=False)  # nobody said yes
    assert declined.exit_code == 1 and "Aborted!" in declined.output and "spikeseg itself" not in declined.output
    assert frames.path.exists()
    said = copied.ok("cache", "clean", "--damaged", "--yes", config=False)
    assert "removed 1 artefacts and 1 unfinished" in said and not frames.path.exists() and not left.exists()
    assert len(artefacts(copied.folder / "data_cache")) == count - 1
    copied.ok("prepare")
    copied.ok("cache", "clean", "--all", "--yes", config=False)
    assert not artefacts(copied.folder / "data_cache")


def test_no_cache_is_one_line(place):
    assert "no cache here" in place.refused("cache", "list", config=False)
