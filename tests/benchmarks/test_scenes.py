"""The benchmark of scenes: what is counted, on answers made by hand, the opponents, and that it runs."""

from dataclasses import replace

import numpy as np
import pytest

from spikeseg.data.recording import EVENT_DTYPE, Recording
from spikeseg.simulation.scenes import BOX_DTYPE, CONDITIONS, condition, scene_recording

INSTANTS = np.arange(20_000, 1_000_000, 20_000)


@pytest.fixture(scope="module")
def scoring(script):
    return script("scenes_scoring")


@pytest.fixture(scope="module")
def detectors(script):
    return script("scenes_detectors")


def moving(number=1, y=20.0, first=0, last=1_000_000, every_us=200):
    """Events of a square of 10 px that moves along x at 60 px/s, and its boxes at INSTANTS."""
    t = np.arange(first, last, every_us)
    rng = np.random.default_rng(number)
    events = np.zeros(len(t), EVENT_DTYPE)
    events["t"], events["x"] = t, 10 + 60e-6 * t + rng.integers(-5, 6, len(t))
    events["y"] = y + rng.integers(-5, 6, len(t))
    instants = INSTANTS[(INSTANTS >= first) & (INSTANTS < last)]
    boxes = np.zeros(len(instants), BOX_DTYPE)
    boxes["t"], boxes["id"], boxes["x"], boxes["y"], boxes["w"], boxes["h"] = instants, number, 10 + 60e-6 * instants, y, 11, 11
    return events, boxes


def truth_of(scoring, *parts):
    """Of several objects (events, boxes), and their answer: what is true."""
    events = np.concatenate([own for own, _ in parts])
    ids = np.concatenate([np.full(len(own), boxes["id"][0], np.int32) for own, boxes in parts])
    order = np.argsort(events["t"], kind="stable")
    boxes = np.concatenate([boxes for _, boxes in parts])
    truth = scoring.Truth("made", events[order], ids[order], boxes, INSTANTS, (100, 80))
    return truth, scoring.Answer(ids[order].copy(), boxes.copy())


def all_of(scoring, *rows):
    pytest.importorskip("trackeval")
    return scoring.combined([scoring.score(truth, answer) for truth, answer in rows])


def test_a_perfect_answer(scoring):
    found = all_of(scoring, truth_of(scoring, moving(1), moving(2, y=50.0)))
    ones = (
        "HOTA",
        "DetA",
        "AssA",
        "MOTA",
        "recall0.3",
        "recall0.5",
        "precision0.3",
        "precision0.5",
        "event_iou",
        "tracks_per_object",
    )
    assert {name: found[name] for name in ones} == pytest.approx(dict.fromkeys(ones, 1.0))
    zeros = ("switches_per_object", "fragments_per_object", "false_tracks_per_recording")
    assert [found[name] for name in zeros] == [0, 0, 0] and np.isnan(found["empty_tracks_a_minute"])


def test_a_track_that_breaks_in_the_middle(scoring):
    truth, answer = truth_of(scoring, moving())
    answer.track_ids[truth.events["t"] >= 500_000] = 2
    answer.boxes["id"][answer.boxes["t"] >= 500_000] = 2
    found = all_of(scoring, (truth, answer))
    assert found["tracks_per_object"] == 2 and found["switches_per_object"] == 1 and found["recall0.5"] == 1
    assert found["event_iou"] == pytest.approx(0.5, abs=0.01) and found["AssA"] == pytest.approx(0.5, abs=0.02)


def test_what_is_missed_and_what_is_false(scoring):
    truth, answer = truth_of(scoring, moving(1), moving(2, y=50.0))
    answer.track_ids[truth.object_ids == 2] = 0
    half = replace(answer, boxes=answer.boxes[answer.boxes["id"] == 1])
    found = all_of(scoring, (truth, half))
    assert found["recall0.3"] == 0.5 and found["precision0.3"] == 1 and found["event_iou"] == 0.5
    assert found["tracks_per_object"] == 1 and found["false_tracks_per_recording"] == 0
    far = half.boxes.copy()
    far["id"], far["y"] = 7, 70
    found = all_of(scoring, (truth, replace(half, boxes=np.concatenate([half.boxes, far]))))
    assert found["precision0.3"] == 0.5 and found["false_tracks_per_recording"] == 1


def test_boxes_that_are_too_large_count_at_one_overlap_and_not_at_the_other(scoring):
    truth, answer = truth_of(scoring, moving())
    answer.boxes["w"] *= 2.5
    found = all_of(scoring, (truth, answer))
    assert found["recall0.3"] > 0.9 and found["recall0.5"] < 0.3 and found["tracks_per_object"] == 1


def test_events_of_a_track_that_are_not_the_objects_count_while_it_lives(scoring):
    truth, answer = truth_of(scoring, moving(1, last=500_000), moving(2, y=50.0))
    answer.track_ids[:] = 1
    ious = scoring.event_ious(truth.object_ids, answer.track_ids, np.array([1, 2]))
    assert ious == pytest.approx([0.5, 2 / 3], abs=0.01)


def test_where_nothing_is_every_track_counts(scoring):
    truth, answer = truth_of(scoring, moving())
    empty = replace(truth, boxes=truth.boxes[:0], object_ids=np.zeros(len(truth.events), np.int32))
    found = all_of(scoring, (empty, answer), (truth, answer))
    assert found["empty_tracks_a_minute"] == pytest.approx(60 / empty.seconds) and found["recall0.5"] == 1
    recording = Recording(truth.events, (100, 80), None, "made", "here")
    assert all_of(scoring, (scoring.Truth.nothing(recording), answer))["empty_tracks_a_minute"] == pytest.approx(
        60 / empty.seconds
    )
    only_events = replace(answer, boxes=answer.boxes[:0])
    assert all_of(scoring, (empty, only_events))["empty_tracks_a_minute"] == pytest.approx(60 / empty.seconds)


def test_figures_have_intervals_over_recordings(scoring):
    pytest.importorskip("trackeval")
    truth, answer = truth_of(scoring, moving())
    none = scoring.Answer(np.zeros_like(answer.track_ids), answer.boxes[:0])
    rows = [scoring.score(truth, own) for own in (answer, none, answer, none)]
    found = scoring.figures(rows, samples=100)
    assert found["recall0.5"][0] == 0.5 and found["recall0.5"][1] < 0.3 and found["recall0.5"][2] > 0.7
    assert found["empty_tracks_a_minute"] == [None, None, None]
    assert scoring.figures(rows, samples=100) == found


def test_another_number_of_events_is_refused(scoring):
    truth, answer = truth_of(scoring, moving())
    with pytest.raises(ValueError, match="track_ids"):
        scoring.score(truth, replace(answer, track_ids=answer.track_ids[1:]))


def test_overlaps_are_those_of_what_is_on_the_sensor(scoring):
    boxes = np.array([(0, 1, 0.0, 10.0, 21.0, 11.0), (0, 2, 4.5, 10.0, 10.0, 11.0)], BOX_DTYPE)
    assert scoring.overlaps(boxes, boxes, (100, 80))[0, 1] == pytest.approx(10 / 11)


def test_boxes_of_events_hold_what_a_track_sends_around_an_instant(scoring):
    truth, answer = truth_of(scoring, moving(1), moving(2, y=50.0))
    boxes = scoring.boxes_of_events(truth.events, answer.track_ids, INSTANTS, window_us=40_000)
    assert len(boxes) == len(truth.boxes) and np.array_equal(boxes["t"], np.repeat(INSTANTS, 2))
    assert np.abs(boxes["x"] - 10 - 60e-6 * boxes["t"]).max() < 2 and np.abs(boxes["w"] - 12).max() < 3


def test_answers_and_annotations_come_back_from_files(scoring, tmp_path):
    truth, answer = truth_of(scoring, moving(1), moving(2, y=50.0))
    answer.save(tmp_path / "a.npz")
    again = scoring.Answer.load(tmp_path / "a.npz")
    assert np.array_equal(again.track_ids, answer.track_ids) and np.array_equal(again.boxes, answer.boxes)
    rows = ["t_us,x,y,w,h,id", *(f"{b['t']},{b['x']},{b['y']},{b['w']},{b['h']},{b['id']}" for b in truth.boxes)]
    (tmp_path / "b.csv").write_text("\n".join(rows))
    events = truth.events.copy()
    events["t"] += 5_000_000
    real = scoring.Truth.annotated(Recording(events, (100, 80), None, "made", "here"), tmp_path / "b.csv")
    assert np.array_equal(real.instants, INSTANTS + 5_000_000) and real.object_ids is None
    later = answer.boxes.copy()
    later["t"] += 5_000_000
    found = all_of(scoring, (real, replace(answer, boxes=later)))
    assert found["HOTA"] == pytest.approx(1) and np.isnan(found["event_iou"]) and found["false_tracks_per_recording"] == 0


def test_copies_of_a_real_recording_lack_a_little_of_it_and_keep_its_truth(script, scoring, tmp_path):
    events, boxes = moving(1)
    for folder in ("events", "annotations"):
        (tmp_path / folder).mkdir()
    np.savez(tmp_path / "events" / "made.npz", **{name: events[name] for name in "txyp"})
    rows = ["t_us,x,y,w,h,id", *(f"{b['t']},{b['x']},{b['y']},{b['w']},{b['h']},{b['id']}" for b in boxes)]
    (tmp_path / "annotations" / "made.boxes.csv").write_text("\n".join(rows))
    parts, names, recordings, truths = zip(*script("scenes").annotated(tmp_path, copies=3), strict=True)
    assert parts == ("made", *["made, copies", "made, later"] * 3)
    assert names == ("made", *(f"made-{part}-{seed}" for seed in range(3) for part in ("copies", "later")))
    whole, *copies = (own.events for own in recordings)
    assert len(whole) == len(events) and len({own.tobytes() for own in copies}) == 6
    for own, truth in zip(copies, truths[1:], strict=True):
        assert np.isin(own["t"], whole["t"]).all()
        assert np.array_equal(truth.events, own) and np.array_equal(truth.boxes, truths[0].boxes)
    for own in copies[::2]:
        assert 0.98 * len(events) < len(own) < len(events)
    for k, own in enumerate(copies[1::2], 1):
        assert np.array_equal(own, whole[whole["t"] >= whole["t"][0] + 7_000 * k]) and len(own) < len(whole)


# -- detectors ----------------------------------------------------------------------------------------


def test_connected_components_find_one_object_and_keep_it(scoring, detectors):
    recording = scene_recording(condition("crossing", seed=1, objects=(1, 1), size_px=(30.0, 30.0), styles=("textured",)), 0)
    truth = scoring.Truth.of(recording)
    answer = detectors.components(recording, truth.instants)
    ious = scoring.event_ious(truth.object_ids, answer.track_ids, np.array([1]))
    assert ious[0] > 0.85 and set(np.unique(answer.boxes["t"])) <= set(truth.instants.tolist())
    hot = detectors.hot_pixels(recording)
    assert (
        0 < hot.sum() < 100 and not np.isin(truth.object_ids[hot[recording.events["y"], recording.events["x"]]], [1]).mean() > 0.2
    )


@pytest.mark.parametrize("name", ["trackpy", "meanshift"])
def test_opponents_of_other_packages_answer(scoring, detectors, name):
    pytest.importorskip({"trackpy": "trackpy", "meanshift": "dv_processing"}[name])
    recording = scene_recording(condition("crossing", seed=1, duration_s=0.5), 0)
    truth = scoring.Truth.of(recording)
    answer = detectors.OPPONENTS[name](recording, truth.instants)
    assert answer.track_ids.shape == recording.events.shape and answer.track_ids.any() and len(answer.boxes)


def test_boxes_of_tracks_go_in_straight_lines(detectors):
    rows = np.zeros(3, [("track_id", "i4"), ("t_us", "i8")] + [(name, "f8") for name in ("x", "y", "width", "height")])
    rows["track_id"], rows["t_us"], rows["x"], rows["width"], rows["height"] = [4, 4, 9], [100_000, 140_000, 0], [10, 30, 5], 6, 7
    boxes = detectors.boxes_of_tracks(rows, np.array([0, 60_000, 80_000, 120_000, 160_000, 180_000]))
    assert boxes["id"].tolist() == [4, 4, 4, 9] and boxes["t"].tolist() == [80_000, 120_000, 160_000, 0]
    assert boxes["x"].tolist() == [10, 20, 30, 5] and set(boxes["w"]) == {6}


def test_boxes_of_tracks_have_gaps_where_rows_are_missing(detectors):
    rows = np.zeros(6, [("track_id", "i4"), ("t_us", "i8")] + [(name, "f8") for name in ("x", "y", "width", "height")])
    rows["track_id"], rows["t_us"] = 1, [0, 20_000, 40_000, 200_000, 220_000, 240_000]
    boxes = detectors.boxes_of_tracks(rows, np.arange(0, 260_000, 10_000))
    assert boxes["t"].tolist() == [*range(0, 60_000, 10_000), *range(190_000, 260_000, 10_000)]


# -- the script ---------------------------------------------------------------------------------------


def test_recordings_of_conditions_and_seeds_differ(script):
    scenes = script("scenes")
    assert scenes.TEST_SEEDS[0] >= 9000 and set(CONDITIONS) > set(scenes.TRAINED_ON)
    one, other = scenes.scene("small", 1000), scenes.scene("small", 1001)
    assert not np.array_equal(one.events[:50], other.events[:50])
    assert [name for _, name, _ in scenes.simulated(("small",), (3, 5))] == ["small-3", "small-4"]


def test_a_quick_run_prints_every_figure(quick, script, tmp_path):
    pytest.importorskip("trackeval")
    scenes, scoring = script("scenes"), script("scenes_scoring")
    for name in ("small", "empty"):
        recording = scenes.scene(name, 1000)
        truth = scoring.Truth.of(recording)
        scoring.Answer(truth.object_ids, truth.boxes).save(tmp_path / f"{name}-1000.npz")
    printed, found = quick(
        "scenes", "--markdown", "--detectors", "network", "components", "--ceiling", "--answers", "true", str(tmp_path)
    )
    assert all(f"| {title} |" in printed for title in scenes.COLUMNS.values()) and found["seeds"] == [1000, 1001]
    figures = found["figures"]["simulated"]
    assert set(figures) == {"network", "components", "true", "ceiling"} and set(figures["true"]) == {"all", "small", "empty"}
    assert figures["true"]["all"]["HOTA"][0] == pytest.approx(1) and figures["true"]["all"]["empty_tracks_a_minute"][0] == 0
    assert 0.5 < figures["ceiling"]["all"]["HOTA"][0] < 1 and figures["ceiling"]["all"]["event_iou"][0] == 1


def test_seeds_that_are_none_are_told_of(script, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["scenes.py", "--seeds", "7", "7"])
    with pytest.raises(SystemExit):
        script("scenes").arguments()
    assert "--seeds 7 7: no seed" in capsys.readouterr().err
