"""`detect --follow`: a recording that grows or is piped in."""

import json
import os
import re
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from click.testing import CliRunner

from spikeseg.config.load import load_config
from spikeseg.data.readers import read_raw
from spikeseg.data.recording import EVENT_DTYPE
from spikeseg.detection import online as follower
from spikeseg.detection.detect import detect_recording
from spikeseg.detection.network import load_network
from spikeseg.detection.online import CausalFilter, Follower
from spikeseg.detection.readout import Readout
from spikeseg.errors import InputError
from spikeseg.pipelines.cli import main
from spikeseg.pipelines.stages import follow as stage
from spikeseg.pipelines.stages.runs import network_of

SIZE = ["--sensor-size", "240x180"]


@pytest.fixture(scope="module")
def night(chain, tmp_path_factory):
    """One of the simulated recordings as text: (path, its events (n, 4))."""
    (path,) = (chain.folder / "data_cache" / "simulated").glob("*/EBSSA/labelled_ebssa.h5")
    raw = read_raw(f"{path}::DAVIS_0001")
    table = np.stack([np.asarray(c).astype(np.int64) for c in (raw.t, raw.x, raw.y, raw.p)], 1)
    place = tmp_path_factory.mktemp("text") / "night.csv"
    np.savetxt(place, table, fmt="%d", delimiter=",", header="t_us,x,y,p", comments="")
    return place, table


@pytest.fixture(scope="module")
def own(chain):
    """Configuration without transforms, and the network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(chain.folder)
        cfg = load_config("tiny.yaml")
        network = network_of(cfg)
        model = load_network(cfg, str(network.checkpoint.absolute()), "cpu")
        return load_config(str((chain.folder / "tiny.yaml").absolute()), {"data.transforms": []}), model, network


def events_of(table):
    events = np.zeros(len(table), EVENT_DTYPE)
    for k, name in enumerate("txyp"):
        events[name] = table[:, k]
    return events


def windows_of(own, table, step):
    cfg, model, _ = own
    one = Follower(cfg, model, Readout(cfg.tracking.object_threshold), (240, 180))
    events, found = events_of(table), []
    for at in range(0, len(events), step):
        found += one.take(events[at : at + step], 0.0)
    return one, [*found, *one.finish(0.0)]


@pytest.mark.parametrize("step", [1000, 10**6])
def test_its_windows_and_tracks_are_those_of_detect(own, night, step):
    """Of a recording shorter than the tracker's memory, without a filter that looks ahead, the last window knows all."""
    from spikeseg.data.recording import checked

    cfg, model, _ = own
    t, x, y, p = night[1].T
    whole = detect_recording(
        model, checked("r", "r", {"t": t, "x": x, "y": y, "p": p}, (240, 180)), cfg, Readout(cfg.tracking.object_threshold)
    )
    one, found = windows_of(own, night[1], step)
    told = whole.entry()["windows"]
    assert [(w.start_us, w.end_us) for w in found] == [(w["t_start_us"], w["t_end_us"]) for w in told]
    assert sum(len(part.blobs.objects) for _, part in one._slices) == sum(len(w["objects"]) for w in told) > 0
    assert found[-1].tracks == len(whole.track_ids) > 0
    last = {row[1]: row for row in whole.tracks.tolist()}  # of each track its last place
    assert one.events == len(t) and not one.late
    wanted = {k: row for k, row in last.items() if k in whole.object_ids}
    seen = {round(float(track.t_us[-1])): track for _, track in found[-1].objects}
    for row in wanted.values():
        if row[2] in seen:
            assert seen[row[2]].states[-1].tolist() == list(row[3:7]) and seen[row[2]].score == row[12]
    assert (len(wanted) > 0) == any(w.objects for w in found)


def test_the_size_of_the_pieces_changes_nothing(own, night):
    rows = []
    for step in (37, 4096):
        one, found = windows_of(own, night[1], step)
        rows.append([w.row(one) for w in found])
    assert rows[0] == rows[1] and len(rows[0]) > 2


def test_objects_carry_their_class_and_its_name(own, night):
    cfg, model, _ = own
    one = Follower(cfg, model, Readout(0.0), (240, 180), {0: "satellite"})  # any track is an object
    rows = [window.row(one) for window in [*one.take(events_of(night[1]), 0.0), *one.finish(0.0)]]
    classes = [(thing["class_id"], thing["class_name"]) for row in rows for thing in row["objects"]]
    assert (0, "satellite") in classes and set(classes) <= {(0, "satellite"), (-1, "")}


def test_late_events_are_left_out_and_counted_and_early_disorder_is_not_late(own, night):
    _, want = windows_of(own, night[1], 4096)
    table = night[1].copy()
    swapped = np.concatenate([table[:50][::-1], table[50:]])
    assert [w.tracks for w in windows_of(own, swapped, 10**6)[1]] == [w.tracks for w in want]
    late = np.concatenate([table[5:], table[:5]])
    one, found = windows_of(own, late, 1024)
    assert one.late == 5 and len(found) == len(want)


def test_a_long_silence_is_passed_over_and_a_short_one_is_not(own, night):
    cfg, _, _ = own
    window = round(cfg.data.n_timesteps * cfg.data.timestep_ms * 1000)
    for seconds in (1, 3600):
        later = night[1] + np.array([seconds * 1_000_000, 0, 0, 0])
        one, found = windows_of(own, np.concatenate([night[1], later]), 4096)
        first, last = night[1][0, 0], later[-1, 0]
        assert one.windows == len(found) and found[-1].end_us == last + 1
        assert one.windows + one.silent == 1 + -(-(last + 1 - first - window) // window)
        assert bool(one.silent) is (seconds > 60) and one.windows < 40


def test_memory_stays_bounded(own, night, monkeypatch):
    monkeypatch.setattr(follower, "MEMORY_S", 0.2)
    span = int(night[1][-1, 0] - night[1][0, 0]) + 1
    one, _ = windows_of(own, np.concatenate([night[1] + np.array([k * span, 0, 0, 0]) for k in range(4)]), 500)
    assert len(one._slices) <= 4 and one.windows > 15
    assert len(one._waiting) < len(night[1]) / 2
    assert {k for k, _ in one.ids._owner} <= {number for number, _ in one._slices}


def test_hot_pixels_are_told_by_the_past_alone():
    chosen = CausalFilter([{"name": "DropPixel", "hot_pixel_frequency": 20}], (8, 6))
    rng = np.random.default_rng(0)

    def second(k, hot_hz, quiet_hz):
        events = np.zeros(hot_hz + quiet_hz, EVENT_DTYPE)
        events["t"] = np.sort(rng.integers(0, 10**6, len(events))) + k * 10**6
        events["x"][rng.permutation(len(events))[:hot_hz]] = 5
        return events

    for k in range(6):
        events = second(k, 40, 10)
        kept = chosen(events, k * 10**6, (k + 1) * 10**6, k * 10**6 if k else None)
        assert (kept["x"] == 0).sum() == 10 and not (kept["x"] == 5).any()
    for k in range(6, 30):  # it cooled down
        events = second(k, 2, 10)
        kept = chosen(events, k * 10**6, (k + 1) * 10**6, k * 10**6)
        assert k > 6 or not (kept["x"] == 5).any()  # its window alone does not tell
    assert len(kept) == 12
    counted_once = CausalFilter([{"name": "DropPixel", "hot_pixel_frequency": 20}], (8, 6))
    events = second(0, 15, 0)
    assert len(counted_once(events, 0, 10**6, None)) == 15
    assert len(counted_once(events[events["t"] >= 500_000], 500_000, 1_500_000, 10**6)) > 0  # what is seen twice is counted once


def test_other_transforms_hold_as_they_are(own):
    chosen = CausalFilter([{"name": "DropPixel", "coordinates": [[5, 0]]}], (8, 6))
    events = np.zeros(4, EVENT_DTYPE)
    events["x"] = [5, 4, 5, 3]
    assert chosen(events, 0, 10, None)["x"].tolist() == [4, 3]


def test_a_file_that_is_still_written(chain, night, tmp_path, monkeypatch):
    """Whenever the follower has nothing to read, it waits, and meanwhile the file grows, until there is no more."""
    data = night[0].read_bytes()
    growing = tmp_path / "growing.csv"
    growing.write_bytes(data[:1000])
    pieces, clock = [data[at : at + 8000] for at in range(1000, len(data), 8000)], [0.0]
    n_pieces = len(pieces)

    def write(seconds):
        assert seconds <= 1
        if pieces:
            with growing.open("ab", buffering=0) as file:
                file.write(pieces.pop(0))
        else:
            clock[0] += 0.75  # idle from the second time on

    monkeypatch.setattr(stage, "_wait", write)
    monkeypatch.setattr(stage, "_now", lambda: clock[0])
    said = chain.ok("detect", "--follow", *SIZE, "--idle", "1", "-o", tmp_path / "grown", growing)
    assert not pieces and n_pieces > 1 and clock == [1.5]
    whole = chain.ok("detect", "--follow", *SIZE, "--idle", "0", "-o", tmp_path / "whole", night[0])
    lines = (tmp_path / "grown" / "detections.jsonl").read_text()
    assert lines == (tmp_path / "whole" / "detections.jsonl").read_text()
    rows = [json.loads(line) for line in lines.splitlines()]
    told = json.loads((tmp_path / "grown" / "follow.json").read_text())
    assert len(rows) == told["windows"] == said.count(" events ") and told["events"] == len(night[1])
    assert told["ended"] == "end of input" and told["left_out"] == {"late": 0}
    slow = told["latency_ms"]
    assert 0 < slow["median"] <= slow["p95"] <= slow["worst"] and told["peak_memory_mib"] > 10
    assert whole.splitlines()[-1].startswith("wrote detections.jsonl and follow.json in ")


def test_a_pipe(chain, night, tmp_path, monkeypatch):
    monkeypatch.chdir(chain.folder)
    begin, end = os.pipe()

    def write():
        with open(end, "wb") as file:
            file.write(night[0].read_bytes())

    writing = threading.Thread(target=write)
    writing.start()
    with open(begin, "rb") as piped:
        words = ["detect", "-c", "tiny.yaml", "--follow", *SIZE, "-o", str(tmp_path / "out"), "-"]
        done = CliRunner().invoke(main, words, input=piped)
    writing.join()
    assert done.exit_code == 0, done.stderr
    told = json.loads((tmp_path / "out" / "follow.json").read_text())
    assert told["name"] == "stdin" and told["events"] == len(night[1])


def test_ctrl_c_keeps_what_was_found(chain, night, tmp_path):
    code = "from spikeseg.pipelines.cli import main; main()"
    command = [sys.executable, "-c", code, "detect", "-c", "tiny.yaml", "--follow", *SIZE, "-o", str(tmp_path / "out"), "-"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, cwd=chain.folder) as run:
        run.stdin.write(night[0].read_bytes())
        run.stdin.flush()
        assert b" events " in run.stdout.readline()
        run.send_signal(signal.SIGINT)
        _, stderr = run.communicate()
    assert run.returncode == 130 and b"interrupted" in stderr and b"Traceback" not in stderr
    rows = (tmp_path / "out" / "detections.jsonl").read_text().splitlines()
    told = json.loads((tmp_path / "out" / "follow.json").read_text())
    assert told["ended"] == "interrupted" and told["windows"] >= len(rows) >= 1
    assert all(json.loads(row)["t_end_us"] for row in rows)


def test_what_is_refused(chain, night, tmp_path):
    assert "no-hulk" in chain.refused("detect", "--follow", *SIZE, "--hulk", "-o", tmp_path / "a", night[0])
    assert "nothing.csv" in chain.refused("detect", "--follow", *SIZE, "-o", tmp_path / "b", tmp_path / "nothing.csv")
    assert "folder" in chain.refused("detect", "--follow", *SIZE, "-o", tmp_path / "c", tmp_path)
    assert not (tmp_path / "a").exists() and not (tmp_path / "b").exists()
    chain.ok("detect", "--follow", *SIZE, "--idle", "0", "-o", tmp_path / "d", night[0])
    assert "--force" in chain.refused("detect", "--follow", *SIZE, "--idle", "0", "-o", tmp_path / "d", night[0])
    chain.ok("detect", "--follow", *SIZE, "--idle", "0", "--force", "-o", tmp_path / "d", night[0])
    for words in (["--follow"], ["--follow", "--sensor-size", "240"], ["--follow", "--sensor-size", "0x5"], SIZE,
                  ["--follow", *SIZE, "--plot"], ["--follow", *SIZE, "--plot-format", "svg"],
                  ["--follow", *SIZE, night[0]]):  # fmt: skip
        result = chain("detect", *words, night[0])
        assert result.exit_code == 2, (words, result.output)


def test_an_empty_input_gives_an_empty_result(chain, tmp_path):
    (tmp_path / "empty.csv").touch()
    chain.ok("detect", "--follow", *SIZE, "--idle", "0", "-o", tmp_path / "out", tmp_path / "empty.csv")
    told = json.loads((tmp_path / "out" / "follow.json").read_text())
    assert told["windows"] == told["events"] == 0 and (tmp_path / "out" / "detections.jsonl").read_text() == ""


def test_the_first_window_does_not_wait_for_numba(chain, tmp_path):
    code = "import sys; from spikeseg.pipelines.cli import main; main(standalone_mode=False); print('numba' in sys.modules)"
    command = [sys.executable, "-c", code, "detect", "-c", "tiny.yaml", "--follow", *SIZE, "-o", str(tmp_path / "out"), "-"]
    done = subprocess.run(command, input="", cwd=chain.folder, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True"


def followed(chain, tmp_path, text, *options):
    """Rows and summary of a text that is followed to its end."""
    path = tmp_path / "night.csv"
    path.write_text(text)
    out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
    said = chain("detect", "--follow", *SIZE, "--idle", "0", *options, "-o", out, path)
    assert (out / "detections.jsonl").exists(), said.output
    rows = [json.loads(line) for line in (out / "detections.jsonl").read_text().splitlines()]
    return said, rows, json.loads((out / "follow.json").read_text())


def lines_of(table):
    return ["# t x y p", *(" ".join(map(str, row)) for row in table.tolist())]


@pytest.fixture(scope="module")
def clean(chain, night, tmp_path_factory):
    """Rows and summary of the night as it is."""
    said, rows, told = followed(chain, tmp_path_factory.mktemp("clean"), "\n".join(lines_of(night[1])))
    assert said.exit_code == 0 and told["events"] == len(night[1]) and told["parts"] == 1 and len(rows) > 2
    return rows, told


@pytest.mark.parametrize("t", [10**14, 4 * 10**9, 300_000_000, 0])
def test_one_stray_time_changes_nothing(chain, night, clean, tmp_path, t):
    lines = lines_of(night[1] + np.array([5_000_000, 0, 0, 0]))
    lines.insert(len(lines) // 2, f"{t} 5 5 1")
    said, rows, told = followed(chain, tmp_path, "\n".join(lines))
    assert said.exit_code == 0 and told["left_out"] == {"stray times": 1, "late": 0}
    assert told["events"] == len(night[1]) and told["silent_windows_passed_over"] == 0
    assert [row["tracks"] for row in rows] == [row["tracks"] for row in clean[0]]


@pytest.mark.parametrize("first", [0, 7_200_000_000])
def test_a_clock_that_starts_again_begins_a_part_of_the_night(chain, night, clean, tmp_path, first):
    table = night[1] + np.array([10_000_000, 0, 0, 0])
    again = table + np.array([first - table[0, 0], 0, 0, 0])
    said, rows, told = followed(chain, tmp_path, "\n".join(lines_of(np.concatenate([table, again]))))
    assert said.exit_code == 0 and told["parts"] == 2 and told["left_out"] == {"late": 0}
    assert told["events"] == 2 * len(table) and told["windows"] == 2 * len(clean[0])
    assert re.search(r"night\.csv: the clock of the events goes from .* at about line \d+: a new part of the night", said.stderr)
    parts = [[row for row in rows if row["part"] == part] for part in (1, 2)]
    for part, start in zip(parts, (table[0, 0], first), strict=True):
        shift = start - night[1][0, 0]
        for one, other in zip(clean[0], part, strict=True):
            assert (other["t_start_us"], other["t_end_us"]) == (one["t_start_us"] + shift, one["t_end_us"] + shift)
            assert all(one[name] == other[name] for name in ("events", "events_kept", "tracks"))
            assert len(one["objects"]) == len(other["objects"])
    ids = [{thing["track_id"] for row in part for thing in row["objects"]} for part in parts]
    assert not ids[0] & ids[1]


def test_too_many_bad_lines_end_it_with_what_to_do(chain, night, tmp_path):
    text = "\n".join(["x y p t", *(f"{row[0] / 1e6:.6f},{row[1]},{row[2]},{row[3]}" for row in night[1].tolist())])
    said, rows, told = followed(chain, tmp_path, text)
    assert said.exit_code == 3 and "Traceback" not in said.output and rows == [] and told["events"] == 0
    (error,) = [line for line in said.stderr.splitlines() if line.startswith("error: ")]
    assert "night.csv: " in error and "the first is line 2, '" in error and "--columns" in error and told["ended"] in error
    said, rows, told = followed(chain, tmp_path, text, "--lenient")
    assert said.exit_code == 0 and told["left_out"]["malformed"] == len(night[1]) and told["ended"] == "end of input"


def test_the_alarm_comes_while_the_stream_goes_on(chain, night, tmp_path):
    """From a pipe that stays open, after the first few hundred lines."""
    code = "from spikeseg.pipelines.cli import main; main()"
    command = [sys.executable, "-c", code, "detect", "-c", "tiny.yaml", "--follow", *SIZE, "-o", str(tmp_path / "out"), "-"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, cwd=chain.folder) as run:
        run.stdin.write(b"0.000001,2,3,1\n" * 400)
        run.stdin.flush()
        stderr = run.stderr.read()  # ends with the process; the pipe is still open
    assert run.returncode == 3 and b"times are whole" in stderr and b"--time-unit s" in stderr, stderr


def test_events_that_come_late_are_too_many_from_a_few_hundred_on(own, night):
    cfg, model, _ = own
    one, events = Follower(cfg, model, Readout(0.5), (240, 180)), events_of(night[1])
    list(one.take(events, 0.0))
    late = np.repeat(events[:1], follower.MANY_LATE - 1)
    list(one.take(late, 0.0))
    one.check("night")
    one.events = 99 * follower.MANY_LATE  # as after a longer night: one in a hundred
    list(one.take(late[:1], 0.0))
    one.check("night")
    one.events -= 1
    with pytest.raises(InputError, match=r"night: 300 of 29999 events came after their window was finished, 1% is allowed"):
        one.check("night")
