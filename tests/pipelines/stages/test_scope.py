"""`evaluation.scope` reaches what is scored, from the stage and from the front door."""

import dataclasses

import pytest

import spikeseg as ss
from spikeseg.config.load import load_config
from spikeseg.data.store.frames import Frames
from spikeseg.evaluation import compare
from spikeseg.evaluation.baselines import baselines
from spikeseg.pipelines.stages.answers import labelled, labelled_recording_of


def test_the_stage_scores_the_labelled_span_where_it_is_asked_to(chain):
    (path,) = (chain.folder / "data_cache" / "frames").glob("*/frames.zarr")
    store = Frames.open(path)
    (r, *_) = [r for r in labelled(store, "all") if len(store.labels(r))]
    labels, events = store.labels(r)["t"], store.events(r)["t"]
    for scope, expected in (("recording", (events[0], events[-1])), ("labelled_span", (labels.min(), labels.max()))):
        cfg = load_config(chain.folder / "tiny.yaml", {"evaluation.scope": scope})
        one = labelled_recording_of(store, r, cfg)
        assert (one.start_us, one.end_us) == expected
    assert expected != (events[0], events[-1])


@pytest.mark.parametrize("scope", ["recording", "labelled_span"])
def test_the_front_door_scores_the_labelled_span_where_it_is_asked_to(place, monkeypatch, scope):
    (night,) = [one for one in ss.simulate(recordings=4, duration_s=0.4, difficulty="easy", seed=3) if len(one.labels) > 2][:1]
    night = dataclasses.replace(night, labels=night.labels[:2])
    monkeypatch.setattr(compare, "compared_detectors", lambda *_: (baselines(0)[:1], {"raw_events": 0.5}))
    network = ss.new(place.folder / "tiny.yaml", {"evaluation.scope": scope})
    found = ss.evaluate(network, night, modes="event")
    t, (first, last) = night.events["t"], night.labels["t"]
    inside = int(((t >= first) & (t <= last)).sum())
    assert found["event"]["raw_events"]["events"] == (len(t) if scope == "recording" else inside) and 0 < inside < len(t)
