"""A cache at a URL, by fsspec's own file system for files."""

import json
import shutil

import pytest

from spikeseg.pipelines.runtime.remote import URL_FILE


@pytest.fixture
def far(place, monkeypatch):
    """A place whose cache lies at a URL; (place, the folder behind the URL, the folder of local copies)."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(place.folder / "home"))
    content = (place.folder / "tiny.yaml").read_text()
    (place.folder / "tiny.yaml").write_text(f"cache_dir: file://{place.folder}/far/\n{content}")
    return place, place.folder / "far", place.folder / "home" / "spikeseg"


def files_in(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_stages_are_sent_and_fetched(far):
    place, remote, local = far
    assert "wrote" in place.ok("prepare")
    (copy,) = local.iterdir()
    assert (copy / URL_FILE).read_text() == f"file://{place.folder}/far"
    assert {path.name for path in remote.iterdir()} == {"frames", "simulated"} and not (place.folder / "data_cache").exists()
    sent, (frames,) = files_in(remote), (remote / "frames").iterdir()
    here = files_in(copy / "frames" / frames.name)
    assert here == files_in(frames) and len(here) > 3
    shutil.rmtree(local)
    assert "up to date" in place.ok("prepare")
    assert files_in(next(local.iterdir()) / "frames" / frames.name) == here and files_in(remote) == sent
    place.ok("train-layer", "conv2")
    assert {path.name for path in remote.iterdir()} == {"frames", "simulated", "spikes"}


def test_a_stage_without_a_manifest_at_the_url_is_made_again(far):
    place, remote, local = far
    place.ok("prepare")
    (frames,) = (remote / "frames").iterdir()
    (frames / "manifest.json").unlink()
    shutil.rmtree(local)
    assert "wrote" in place.ok("prepare") and (frames / "manifest.json").is_file()


@pytest.mark.parametrize("change", ["flip", "missing", "outside"])
def test_what_is_damaged_at_the_url_is_refused(far, change):
    place, remote, local = far
    place.ok("prepare")
    (frames,) = (remote / "frames").iterdir()
    told = json.loads((frames / "manifest.json").read_text())
    name = sorted(told["outputs"])[-1]
    if change == "flip":
        content = bytearray((frames / name).read_bytes())
        content[len(content) // 2] ^= 1
        (frames / name).write_bytes(content)
    elif change == "missing":
        (frames / name).unlink()
    else:
        told["outputs"]["../../../stolen"] = {"bytes": 1, "sha256": ""}
        (frames / "manifest.json").write_text(json.dumps(told))
    shutil.rmtree(local)
    message = {"flip": "is not what its manifest says", "missing": "cannot be reached", "outside": "outside of it"}[change]
    assert message in place.refused("prepare")
    assert not (place.folder / "stolen").exists() and not list(local.glob("*/frames/[!.]*"))


def test_a_url_that_nothing_can_reach(place, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(place.folder / "home"))
    assert "nosuch://there/frames/" in place.refused("prepare", "--set", "cache_dir=nosuch://there")
