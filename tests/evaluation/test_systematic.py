import numpy as np
import pytest

from spikeseg.config.load import load_config
from spikeseg.data.recording import SOURCE_OBJECT
from spikeseg.errors import InputError
from spikeseg.evaluation.baselines import baselines
from spikeseg.evaluation.systematic import Conditions, Level, document, measure, systematic_csv, systematic_table

SMALL = {
    "noise_percent": (90.0, 0.0),
    "objects": (2, 1),
    "recordings": 1,
    "duration_s": 1.0,
    "sensor_size": (32, 24),
    "rate_hz": 300.0,
}


def test_noise_is_the_share_asked_for_and_objects_are_the_same_at_every_noise():
    conditions = Conditions(noise_percent=(0.0, 80.0), objects=(3,), recordings=2, duration_s=5.0, rate_hz=400.0)
    quiet, noisy = (conditions.recording(level, 1) for level in conditions.levels())
    of_objects = noisy.truth["source"] == SOURCE_OBJECT
    assert 0.78 < 1 - of_objects.mean() < 0.83 and (quiet.truth["source"] == SOURCE_OBJECT).all()
    assert np.array_equal(noisy.events[of_objects], quiet.events) and set(quiet.labels["id"]) == {1, 2, 3}
    assert conditions.noise_hz(Level(99.0, 1)) == pytest.approx(99 * 400 / 128**2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise_percent": (99.5,)}, "systematic.noise_percent: 99.5; allowed: 0 to 99"),
        ({"objects": (0,)}, "systematic.objects: 0; allowed: 1 to 100"),
        ({"objects": (1, 1)}, r"systematic.objects: \(1, 1\); allowed: different values"),
        ({"recordings": 0}, "systematic.recordings: 0; allowed: 1 to"),
        ({"duration_s": 0.1}, "limit.duration_s: 0.1; allowed"),
    ],
)
def test_what_cannot_be_simulated_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        Conditions(**{**SMALL, **changes})


def test_levels_are_scored_the_same_whatever_the_time_they_take():
    cfg, conditions = load_config("demo", {"evaluation.bootstrap": 5}), Conditions(**SMALL)
    (everything,) = (detector for detector in baselines(0) if detector.name == "everything")
    scored, again = (list(measure(everything, 0.5, cfg, conditions)) for _ in range(2))
    assert [level.level for level in scored] == [(0.0, 1), (0.0, 2), (90.0, 1), (90.0, 2)]
    content = document(conditions, scored)
    assert content == document(conditions, again) and content["levels"][2]["noise_hz_per_pixel"] == pytest.approx(2700 / 768)
    lines = systematic_csv(content).splitlines()
    assert lines[0] == "noise_percent,objects,mode,figure,value,low,high"
    assert any(line.startswith("90.0,2,object,recall,1.0,") for line in lines)
    table = systematic_table(content, [level.frames_per_second for level in scored]).splitlines()
    assert len(table) == 5 and table[3].split()[:2] == ["90", "1"]
