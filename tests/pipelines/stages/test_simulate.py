"""Simulated recordings in the cache and in a folder of the user's."""

import json
from pathlib import Path

import numpy as np
import pytest

SMALL = ["--recordings", "3", "--duration", "0.3"]


def frames_of(place, root: str) -> dict[str, bytes]:
    """The files of the frames prepared from a folder."""
    said = place.ok("prepare", "--dataset", "ebssa", "--data-root", root)
    store = place.folder / said.split()[1]
    return {path.relative_to(store).as_posix(): path.read_bytes() for path in store.rglob("c/**/*") if path.is_file()}


def test_both_formats_give_the_same_frames(place):
    place.ok("simulate", "h5", *SMALL)
    place.ok("simulate", "mat", "--format", "mat", *SMALL)
    assert (place.folder / "h5" / "EBSSA" / "labelled_ebssa.h5").is_file() and (place.folder / "mat" / "DAVIS_0000.mat").is_file()
    one, other = frames_of(place, "h5"), frames_of(place, "mat")
    assert one == other and any(name.startswith("frames_45x60/frames") for name in one)


def preparing(said):
    """The words of `prepare` for the recordings that `simulate` has said how to learn from."""
    return ["prepare", *said.partition("(`spikeseg train ")[2].partition("`")[0].split()]


def test_the_last_line_says_how_to_go_on(place):
    said = place.ok("simulate", "sky", *SMALL)
    assert said.strip().endswith("; next: spikeseg detect sky")  # which shows a result at once
    assert place.ok(*preparing(said)).splitlines()[-1].startswith("wrote data_cache/frames/")
    said = place.ok("simulate", "apart", "--format", "npz", *SMALL)  # nights need the demo's settings, not those of scenes
    assert "(`spikeseg train --dataset files --data-root apart` learns from them)" in said


def test_both_formats_may_share_a_folder_if_they_hold_the_same(place):
    place.ok("simulate", "sky", *SMALL)
    place.ok("simulate", "sky", "--format", "mat", *SMALL)
    for words in ([], ["--format", "mat"]):
        assert place.ok("simulate", "sky", *words, *SMALL).startswith("up to date")
    said = place.refused("simulate", "sky", "--format", "mat", "--seed", "7", *SMALL)
    assert "truth/DAVIS_0000.npz: is there already" in said
    assert place.ok("simulate", "sky", *SMALL).startswith("up to date")


def test_a_file_of_the_users_is_not_replaced_unless_forced(place):
    theirs = place.folder / "sky" / "EBSSA" / "labelled_ebssa.h5"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"12 GB of real recordings")
    assert "labelled_ebssa.h5: is there already" in place.refused("simulate", "sky", *SMALL)
    assert theirs.read_bytes() == b"12 GB of real recordings"
    assert [path.name for path in (place.folder / "sky").iterdir()] == ["EBSSA"]
    place.ok("simulate", "sky", "--force", *SMALL)
    assert theirs.read_bytes().startswith(b"\x89HDF")


def test_another_request_replaces_what_the_command_wrote(place):
    place.ok("simulate", "sky", "--format", "mat", *SMALL)
    place.ok("simulate", "sky", "--format", "mat", "--recordings", "2", "--duration", "0.3")
    assert sorted(path.name for path in (place.folder / "sky").iterdir()) == [
        "DAVIS_0000.mat",
        "DAVIS_0001.mat",
        "simulate-mat.manifest.json",
        "truth",
    ]


def test_options_and_jobs(place):
    words = ["--sensor", "both", "--difficulty", "hard", "--seed", "5", *SMALL]
    place.ok("simulate", "one", *words)
    place.ok("simulate", "--output", "two", "--jobs", "2", *words)
    one, two = (place.folder / name / "EBSSA" / "labelled_ebssa.h5" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    manifest = json.loads((place.folder / "one" / "simulate-h5.manifest.json").read_text())
    assert manifest["config"] == {
        "recordings": 3, "duration_s": 0.3, "difficulty": "hard", "sensor": "both", "seed": 5, "format": "h5",
    }  # fmt: skip
    assert sorted(path.stem for path in (place.folder / "one" / "truth").iterdir()) == ["ATIS_0001", "DAVIS_0000", "DAVIS_0002"]
    with np.load(place.folder / "one" / "truth" / "ATIS_0001.npz") as truth:
        assert {"t", "x", "y", "p", "source", "object_id"} == set(truth)


@pytest.mark.parametrize("out", ["/proc/nowhere", "tiny.yaml"])
def test_a_folder_that_cannot_be_written_is_one_line(place, out):
    assert "cannot write" in place.refused("simulate", out, *SMALL)


def test_an_impossible_request_is_one_line(place):
    assert "--duration: found 0.01, must be at least 0.1" in place.refused("simulate", "sky", "--duration", "0.01")
    assert not Path(place.folder / "sky").exists()


FAINT = ["--kind", "limit", "--recordings", "2", "--duration", "1"]


def manifest_of(place, name):
    (manifest,) = (place.folder / name).glob("simulate-*.manifest.json")
    return json.loads(manifest.read_text())["config"]


def test_recordings_for_the_faintest_object(place):
    words = ["simulate", "faint", *FAINT, "--rate", "6", "--noise-rate", "0.2", "--speed", "5", "9", "--field", "drift"]
    said = place.ok(*words)
    config = manifest_of(place, "faint")
    assert config["kind"] == "limit" and config["recordings"] == 2 and config["format"] == "h5" and config["duration_s"] == 1.0
    assert (config["rate_hz"], config["noise_hz"], config["speed_px_s"], config["field"]) == (6.0, 0.2, [5.0, 9.0], "drift")
    assert sorted(path.stem for path in (place.folder / "faint" / "truth").iterdir()) == ["limit_0000", "limit_0001"]
    assert place.ok(*preparing(said)).splitlines()[-1].startswith("wrote data_cache/frames/")
    assert place.ok(*words).startswith("up to date")


def test_what_is_left_out_has_the_defaults_of_the_limit_not_of_the_nights(place):
    words = ["--kind", "limit", "--recordings", "1", "--objects", "0", "--noise", "rows", "--sensor", "ATIS", "--seed", "3"]
    place.ok("simulate", "faint", *words)
    config = manifest_of(place, "faint")
    assert config["duration_s"] == 20.0 and config["objects"] == 0 and config["noise"] == "rows" and config["seed"] == 3
    assert config["sensor_size"] == [304, 240] and config["rate_hz"] == 8.0


def test_limit_in_several_processes_is_the_same(place):
    place.ok("simulate", "one", *FAINT, "--format", "mat")
    place.ok("simulate", "two", *FAINT, "--format", "mat", "--jobs", "2")
    one, two = ((place.folder / name / "limit_0001.mat").read_bytes() for name in ("one", "two"))
    assert one == two


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rate", "6"], "--rate goes with --kind limit"),
        (["--field", "drift"], "--field goes with --kind limit"),
        (["--objects", "3"], "--objects goes with --kind scenes or limit"),
        (["--noise", "rows"], "--noise: "),
        (["--kind", "limit", "--difficulty", "hard"], "without --difficulty"),
        (["--kind", "limit", "--sensor", "both"], "one sensor"),
        (["--condition", "tiny"], "--condition goes with --kind scenes"),
        (["--kind", "scenes", "--rate", "6"], "--rate goes with --kind limit"),
        (["--kind", "scenes", "--format", "mat"], "goes with --format npz"),
        (["--kind", "scenes", "--sensor", "ATIS"], "without --difficulty and --sensor"),
        (["--kind", "scenes", "--speed", "9", "5"], "scenes.speed_px_s: (9.0, 5.0)"),
        (["--kind", "limit", "--rate", "-1"], "limit.rate_hz: -1.0"),
        (["--kind", "limit", "--speed", "9", "5"], "limit.speed_px_s: (9.0, 5.0)"),
    ],
)
def test_options_that_do_not_go_together_are_one_line(place, words, message):
    result = place("simulate", "sky", *words)
    assert result.exit_code in (2, 3) and message in result.stderr and "Traceback" not in result.output
    assert not (place.folder / "sky").exists()


def test_scenes_with_their_truth_and_boxes(place):
    words = ["simulate", "scenes", "--kind", "scenes", "--condition", "small", "--condition", "crossing", "--seed", "3"]
    words += ["--recordings", "2", "--duration", "0.2", "--objects", "2", "--noise", "poisson", "--noise-rate", "0.5"]
    said = place.ok(*words)
    config = manifest_of(place, "scenes")
    assert config["kind"] == "scenes" and config["conditions"] == ["small", "crossing"] and config["seed"] == 3
    assert dict(config["changes"]) == {"duration_s": 0.2, "objects": [2, 2], "noise": "poisson", "noise_hz": 0.5}
    with np.load(place.folder / "scenes" / "crossing_0001.npz") as truth:
        assert set(np.unique(truth["box_id"])) == set(np.unique(truth["object_id"])) - {0} == {1, 2}
        assert len({len(truth[f"box_{name}"]) for name in ("t", "id", "x", "y", "w", "h")}) == 1
    assert place.ok(*words).startswith("up to date") and "scenes" in said
    place.ok("simulate", "again", *words[2:], "--jobs", "2")
    one, two = ((place.folder / name / "crossing_0001.npz").read_bytes() for name in ("scenes", "again"))
    assert one == two
    prepared = place.ok(*preparing(said), "--device", "cpu", config=False)
    assert "2 recordings" in prepared and "skipped" not in prepared


def test_nights_with_measured_noise_are_others_and_say_so(place):
    place.ok("simulate", "usual", *SMALL)
    place.ok("simulate", "real", "--noise", "measured", *SMALL)
    assert "noise" not in manifest_of(place, "usual") and manifest_of(place, "real")["noise"] == "measured"
    truths = [np.load(place.folder / name / "truth" / "DAVIS_0000.npz") for name in ("usual", "real")]
    stars = [truth["t"][truth["source"] == 2] for truth in truths]
    assert len(stars[0]) and abs(len(stars[0]) - len(stars[1])) < 0.05 * len(stars[0]) + 3  # but for the refractory period
    rows = [np.bincount(truth["y"][truth["source"] == 0], minlength=180) for truth in truths]
    ratio = [max(r[::2].sum() / r[1::2].sum(), r[1::2].sum() / r[::2].sum()) for r in rows]
    assert ratio[0] < 1.3 < 1.6 < ratio[1]
