"""`evaluate --protocol`: the chain's network beside the filters of the published comparison."""

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from spikeseg.config import load_config
from spikeseg.data.store.frames import Frames
from spikeseg.detection.noise_filters import background_activity
from spikeseg.pipelines.stages import prepare


@pytest.fixture(scope="module")
def scored(chain):
    done = chain("evaluate", "--protocol", "event-10px", "--output", "protocol.json")
    assert done.exit_code == 0, done.output
    return done, json.loads((chain.folder / "protocol.json").read_text())


def test_every_recording_is_in_a_group_and_every_contender_in_the_table(scored):
    done, result = scored
    assert len(result["recordings"]) == 5 and {one["group"] for one in result["recordings"]} == {0, 1, 2, 3}
    names = [row["name"] for row in result["rows"]]
    assert names[:4] == ["baf", "ynoise", "double_window", "time_surface"] and {"network", "untrained", "random_scores"} <= {
        *names
    }
    assert all(row["title"] in done.stdout for row in result["rows"]) and "MLPF 0.813" in done.stdout
    assert "5 labelled recordings; the published comparison has 43" in result["notes"]
    assert any("was trained on" in note for note in result["notes"])
    by_name = {row["name"]: row for row in result["rows"]}
    assert by_name["raw_events"]["all_events"] == 0.5 and len(by_name["ynoise"]["settings"]) == 4


def test_a_row_is_what_scikit_learn_makes_of_the_filter(chain, scored, monkeypatch):
    monkeypatch.chdir(chain.folder)
    _, result = scored
    store = Frames.open(prepare.find_frames(load_config("tiny.yaml")).path / prepare.STORE)
    truths, scores = [], []
    for r, info in enumerate(store.recordings):
        events, labels, kept = store.events(r), store.labels(r), store.kept(r)
        near = (np.abs(events["t"][:, None] - labels["t"]) <= 10_000) & (np.abs(events["x"][:, None] - labels["x"]) <= 5)
        truths.append((near & (np.abs(events["y"][:, None] - labels["y"]) <= 5)).any(1))
        scores.append(np.zeros(len(events)))
        scores[-1][kept] = background_activity(events[kept], info.sensor_size)
    wanted = roc_auc_score(np.concatenate(truths), np.concatenate(scores))
    assert next(row for row in result["rows"] if row["name"] == "baf")["all_events"] == pytest.approx(wanted)
    assert result["object_events"] == sum(truth.sum() for truth in truths)


def test_it_is_up_to_date_and_alone(chain, scored):
    assert "up to date" in chain.ok("evaluate", "--protocol", "event-10px")
    refused = chain("evaluate", "--protocol", "event-10px", "--mode", "event")
    assert refused.exit_code == 2 and "takes no --mode" in refused.output
    assert "leaves 2 of 2 recordings" in chain.refused("evaluate", "--protocol", "event-10px", "--split", "test")
