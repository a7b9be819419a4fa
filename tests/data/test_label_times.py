"""Labels that belong to another time than their recording, wherever they come from."""

import numpy as np
import pytest

import spikeseg as ss
from spikeseg.data.datasets import files
from spikeseg.data.label_times import within
from spikeseg.data.long import iter_events
from spikeseg.data.readers.labels import read_labels
from spikeseg.data.recording import checked, checked_labels
from spikeseg.errors import InputError

MINUTE = (0, 60_000_000)
LATER = (5_000_000_000, 5_060_000_000)
TIMES = np.linspace(10e6, 50e6, 81)


def message(t, span):
    with pytest.raises(InputError) as caught:
        within("rec", np.asarray(t), span)
    text = str(caught.value)
    assert text.startswith("rec: labels.t: ") and "\n" not in text
    return text


@pytest.mark.parametrize("span", [MINUTE, LATER])
@pytest.mark.parametrize(("unit", "factor"), [("seconds", 1e6), ("milliseconds", 1e3), ("nanoseconds", 1e-3)])
@pytest.mark.parametrize("from_start", [False, True])
def test_other_units_are_told(span, unit, factor, from_start):
    told = message((TIMES + (0 if from_start else span[0])) / factor, span)
    assert f"look like {unit}" in told and f"times {factor:g}".replace("e+06", "e6") in told
    assert ("counted from the recording's start" in told) is (from_start and span is LATER)
    assert f"{span[0]} to {span[1]} µs" in told


def test_labels_counted_from_the_start():
    assert "look like µs counted from the recording's start: add the first event's time, 5000000000" in message(TIMES, LATER)


def test_labels_of_another_recording():
    assert "none of 81" in message(TIMES + 10**9, MINUTE) and "another recording?" in message(TIMES + 10**9, MINUTE)


@pytest.mark.parametrize(
    "t",
    [
        [], [0], [30], [0, 0, 0], [-1e6, 61e6], TIMES, TIMES + 9e6, np.arange(100) * 50_000,
        np.arange(20) * 100.0 + 30e6,  # a flash, point by point
        np.arange(20) * 10.0 + 1000,  # at the very beginning
    ],
)  # fmt: skip
def test_what_belongs_to_the_recording_is_taken(t):
    assert within("rec", np.asarray(t, float), MINUTE).all()


def table(t):
    n = len(t)
    return {"t": np.asarray(t), "x": np.full(n, 5.0), "y": np.full(n, 6.0), "id": np.ones(n)}


def night(seconds=60):
    n = 100 * seconds
    return {"t": np.arange(n) * 10_000, "x": np.arange(n) % 34, "y": np.arange(n) % 30, "p": np.arange(n) % 2}


def test_some_outside_are_dropped_within_the_limit():
    t = np.append(np.linspace(0, 59e6, 199), 80e6)
    recording = checked("r", "r", night(), (34, 34), table(t))
    assert recording.dropped == {"labels outside the recording's time": 1} and len(recording.labels) == 199
    t[:20] = 70e6
    with pytest.raises(InputError, match=r"labels: 21 of 200 would be dropped \(21 labels outside the recording's time\)"):
        checked("r", "r", night(), (34, 34), table(t))
    assert len(checked("r", "r", night(), (34, 34), table(t), lenient=True).labels) == 179


def test_labels_off_the_sensor_say_what_they_should_be():
    labels = table(TIMES) | {"x": np.full(81, 900.0)}
    with pytest.raises(
        InputError, match=r"none of 81 is usable \(81 labels outside the sensor\); labels are in pixels of the sensor"
    ):
        checked("r", "r", night(), (34, 34), labels)


def test_of_a_recording_without_events_nothing_is_said():
    none = {name: np.zeros(0) for name in "txyp"}
    assert len(checked("r", "r", none, (34, 34), table(TIMES)).labels) == 81


@pytest.fixture
def in_seconds(tmp_path):
    """A file whose labels, beside it, are in seconds."""
    np.savez(tmp_path / "n.npz", **night(), sensor_size=[34, 34])
    rows = "".join(f"{t},5,6,1\n" for t in TIMES / 1e6)
    (tmp_path / "n.labels.csv").write_text("t,x,y,id\n" + rows)
    return tmp_path


def test_labels_beside_a_file(in_seconds):
    (entry,) = files.entries(in_seconds)
    with pytest.raises(InputError, match=r"n\.npz: labels\.t: look like seconds"):
        entry.load(True)
    events = entry.long(True)
    assert sum(map(len, events)) == 6000 and events.span == (0, 59_990_000)
    with pytest.raises(InputError, match=r"n\.npz: labels\.t: look like seconds"):
        checked_labels(events.source, events.labels, events.sensor_size, events.span, True)


def test_the_span_is_known_part_by_part(in_seconds):
    events = iter_events(in_seconds / "n.npz")
    assert events.span is None
    list(events)
    labels = read_labels(in_seconds / "n.labels.csv")
    with pytest.raises(InputError, match="look like seconds"):
        checked_labels("r", labels, events.sensor_size, events.span, False)


def test_the_front_door_looks_too():
    from dataclasses import replace

    (one,) = ss.simulate(duration_s=2.0, difficulty="easy", seed=3)
    labels = one.labels.copy()
    labels["t"] += 10**9
    with pytest.raises(InputError, match=r"labels\.t: none of \d+ lies within the recording"):
        ss.evaluate(ss.new("demo", {"device": "cpu"}), replace(one, labels=labels), modes=["event"])
