"""Objects from single spikes instead of connected blobs, on the command line."""

import json

import pytest


@pytest.fixture(scope="module")
def recording(chain) -> str:
    """One of the simulated recordings, as `detect` takes it."""
    (path,) = (chain.folder / "data_cache" / "simulated").glob("*/EBSSA/labelled_ebssa.h5")
    return f"{path}::DAVIS_0003"


def objects_of(chain, recording, out, *words):
    chain.ok("detect", recording, "-o", out, *words)
    (told,) = json.loads((out / "detections.json").read_text())["recordings"]
    return [o for window in told["windows"] for o in window["objects"]]


def test_hulk_and_smash_find_the_blobs_and_hulk_alone_finds_many_of_each(chain, recording, tmp_path):
    blobs = objects_of(chain, recording, tmp_path / "blobs")
    assert objects_of(chain, recording, tmp_path / "no", "--no-hulk") == blobs
    grouped = objects_of(chain, recording, tmp_path / "smash", "--hulk")
    alone = objects_of(chain, recording, tmp_path / "alone", "--hulk", "--no-smash")
    assert blobs and len(blobs) <= len(grouped) < len(alone)
    places = {(o["t_start_us"], round(o["x"]), round(o["y"])) for o in grouped}
    assert len({(o["t_start_us"], round(o["x"]), round(o["y"])) for o in blobs} & places) >= 0.7 * len(blobs)
    assert sum(o["score"] for o in grouped) == pytest.approx(sum(o["score"] for o in alone), rel=0.2)


def test_evaluate_scores_either(chain, tmp_path):
    for name, words in (("blobs", []), ("alone", ["--hulk", "--no-smash"])):
        chain.ok("evaluate", "--mode", "object", "-o", tmp_path / f"{name}.json", *words)
    blobs, alone = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("blobs", "alone"))
    assert not blobs["settings"]["tracking"]["hulk"] and alone["settings"]["tracking"]["hulk"]
    assert not alone["settings"]["tracking"]["smash"]
    assert blobs["modes"]["object"]["graded"] == alone["modes"]["object"]["graded"]
