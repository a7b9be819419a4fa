"""Controls across the modes: labels of another recording come out at chance, and a span limits what is scored."""

import numpy as np
import pytest

from spikeseg.data.recording import EVENT_DTYPE, LABEL_DTYPE
from spikeseg.metrics import event, truth, volume

SIZE = (60, 40)
DURATION = 2_000_000


def night(seed):
    """Noise and an object of 80 events/s that crosses the field; the detector knows which is which, with doubt."""
    rng = np.random.default_rng(seed)
    n, m = 4000, 160
    events = np.zeros(n + m, EVENT_DTYPE)
    x0, y0, x1, y1 = rng.uniform(5, 55), rng.uniform(5, 35), rng.uniform(5, 55), rng.uniform(5, 35)
    t = rng.integers(0, DURATION, n + m)
    share = t[n:] / DURATION
    x = np.concatenate([rng.integers(0, 60, n), np.rint(x0 + (x1 - x0) * share + rng.normal(size=m))])
    y = np.concatenate([rng.integers(0, 40, n), np.rint(y0 + (y1 - y0) * share + rng.normal(size=m))])
    events["t"], events["x"], events["y"] = t, np.clip(x, 0, 59), np.clip(y, 0, 39)
    scores = rng.random(n + m) * 0.6 + np.where(np.arange(n + m) >= n, 0.4, 0)
    order = np.argsort(t, kind="stable")
    labels = np.zeros(21, LABEL_DTYPE)
    labels["t"], labels["id"] = np.linspace(0, DURATION, 21), 1
    labels["x"], labels["y"] = np.linspace(x0, x1, 21), np.linspace(y0, y1, 21)
    return events[order], scores[order], labels


NIGHTS = [night(seed) for seed in range(12)]


def of_events(shift):
    recordings = []
    for i, (events, scores, _) in enumerate(NIGHTS):
        labels = NIGHTS[(i + shift) % len(NIGHTS)][2]
        recordings.append(event.EventScores(str(i), scores, truth.event_truth(events, labels, 3)))
    return event.score(recordings, 0.6)


def of_volume(shift):
    rows = []
    for i, (events, scores, _) in enumerate(NIGHTS):
        output = np.zeros(len(events), volume.OUTPUT_DTYPE)
        for name in "txy":
            output[name] = events[name]
        output["w"] = scores * (scores >= 0.6)
        labels = NIGHTS[(i + shift) % len(NIGHTS)][2]
        found = volume.region_counts(output, labels, sensor_size=SIZE, start_us=0, end_us=DURATION, radius_px=3)
        rows.append({"name": str(i), **found})
    return volume.score(rows)


def test_own_labels_are_found_and_shuffled_ones_are_at_chance():
    own, shuffled = of_events(0), of_events(1)
    assert own["roc_auc"] > 0.7 and own["intervals"]["roc_auc"][0] > 0.65
    # a little below 1/2: the object's own events, scored high, now count as noise
    assert shuffled["roc_auc"] == pytest.approx(0.5, abs=0.03)
    assert own["intervals"]["roc_auc"][0] > shuffled["intervals"]["roc_auc"][1]


def test_own_discs_are_dense_and_shuffled_ones_are_at_chance():
    own, shuffled = of_volume(0), of_volume(1)
    assert own["informedness"] > 0.35
    assert shuffled["informedness"] == pytest.approx(0, abs=0.05)
    assert own["intervals"]["informedness"][0] > shuffled["intervals"]["informedness"][1]


def test_the_labelled_span_limits_what_is_scored():
    """Labels stop at half time while the object is still in view: the whole recording calls it a false alarm."""
    events, scores, labels = NIGHTS[0]
    stopped = labels[:11]
    start, end = truth.span(stopped)
    assert (start, end) == (0, DURATION // 2)
    near = truth.event_truth(events, stopped, 3)
    inside = (events["t"] >= start) & (events["t"] <= end)
    assert not near[~inside].any()
    whole = event.score([event.EventScores("whole", scores, near)], 0.6)
    part = event.score([event.EventScores("span", scores[inside], near[inside])], 0.6)
    assert part["events"] == inside.sum() < whole["events"]
    assert part["object_events"] == whole["object_events"] > 0
    assert part["precision"] > whole["precision"] and part["roc_auc"] > whole["roc_auc"]
