"""What `detect` makes to look at: made with the result, known by what it is made from, and refused before anything is done."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

MARK = {"object_id": 7, "mark": "right", "t_us": [0, 50_000], "x": [3.0, 5.5], "y": [2.0, 2.0]}


@pytest.fixture
def recording(tmp_path):
    """A few events."""
    t = np.arange(0, 90_000, 3000)
    np.savez(tmp_path / "a.npz", t=t, x=t // 9000 + 3, y=np.full(len(t), 2), p=t % 2, sensor_size=np.array([20, 10]))
    return tmp_path / "a.npz"


def review(path, recording="a", **changes):
    path.write_text(json.dumps({"version": 1, "recording": recording, "sensor_size": [20, 10], "marks": [{**MARK, **changes}]}))
    return path


def page(path):
    """The data of a page."""
    text = path.read_text(encoding="utf-8").partition('<script type="application/json" id="data">')[2]
    return json.loads(text.partition("</script>")[0])


def outputs(out):
    return set(json.loads((out / "a.detect.manifest.json").read_text())["outputs"])


def test_pages_and_videos_belong_to_the_result(chain, recording, tmp_path):
    out = tmp_path / "out"
    plain = chain.ok("detect", recording, "-o", out)
    assert "to look at" not in plain
    tables, bare = (out / "tracks.csv").read_bytes(), outputs(out)
    said = chain.ok("detect", recording, "-o", out, "--view", "--video", "gif", "--speed", "0.5")
    assert f"to look at: {out / 'a.html'}, {out / 'a.gif'}" in said.splitlines() and "wrote" in said
    assert outputs(out) == bare | {"a.html", "a.gif"} and (out / "tracks.csv").read_bytes() == tables
    assert page(out / "a.html")["event_count"] == 30
    with Image.open(out / "a.gif") as image:
        assert image.n_frames == 5  # 0.087 s at half the speed, 25 frames a second
    again = ("detect", recording, "-o", out, "--view", "--video", "gif", "--speed", "0.5")
    assert chain.ok(*again).splitlines()[-1].startswith("up to date")
    (out / "a.html").write_text("changed")
    assert chain.ok(*again).splitlines()[-1].startswith("wrote") and page(out / "a.html")["recording"] == "a"
    chain.ok("detect", recording, "-o", out)
    assert outputs(out) == bare and not (out / "a.html").exists()


def test_a_review_is_shown_and_done_again_where_it_changes(chain, recording, tmp_path):
    out, reviews = tmp_path / "out", tmp_path / "reviews"
    reviews.mkdir()
    mine = review(reviews / "a.review.json")
    review(reviews / "other.review.json", "another night")
    chain.ok("detect", recording, "-o", out, "--review", mine)
    assert [(mark["mark"], mark["x"]) for mark in page(out / "a.html")["earlier"]] == [("right", [3.0, 5.5])]
    assert chain.ok("detect", recording, "-o", out, "--review", reviews).splitlines()[-1].startswith("up to date")
    review(mine, mark="unsure")
    assert chain.ok("detect", recording, "-o", out, "--review", reviews).splitlines()[-1].startswith("wrote")
    assert [mark["mark"] for mark in page(out / "a.html")["earlier"]] == ["unsure"]


def test_what_does_not_fit_is_refused_before_anything_is_done(chain, recording, tmp_path, monkeypatch):
    mine, out = review(tmp_path / "one.review.json"), tmp_path / "out"
    other = review(tmp_path / "other.review.json", "another night")
    (tmp_path / "none").mkdir()
    for paths, told in (
        ([other], "other.review.json: is the review of another night; this command detects in a"),
        ([tmp_path / "none"], "holds no <recording>.review.json of them"),
        ([mine, review(tmp_path / "two.review.json")], "two.review.json: is the second review of a"),
        ([review(tmp_path / "bad.review.json", mark="good")], "marks[0].mark: found 'good'"),
        ([tmp_path / "gone.review.json"], "gone.review.json"),
    ):
        assert told in chain.refused("detect", recording, "-o", out, *(word for path in paths for word in ("--review", path)))
    for words in (["--speed", "2"], ["--follow", "--sensor-size", "20x10", "--view"]):
        assert chain("detect", recording, "-o", out, *words).exit_code == 2
    for words, module, extra in (
        (["--view"], "plotly.offline", "view"), (["--video", "mp4"], "PIL.ImageDraw", "view"), (["--rrd"], "rerun", "rerun"),
    ):  # fmt: skip
        monkeypatch.setitem(sys.modules, module, None)
        assert f"spikeseg[{extra}]" in chain.refused("detect", recording, "-o", out, *words)
    assert not out.exists()
