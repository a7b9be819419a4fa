"""What is compiled ahead is what detection needs last; nothing else comes of it."""

import pytest

from spikeseg.detection import moving, network
from spikeseg.detection.ahead import SIZE, compile_last, points


def test_the_made_up_events_are_a_recording():
    recording = points()
    assert recording.sensor_size == SIZE and (recording.events["t"][1:] >= recording.events["t"][:-1]).all()
    assert recording.events["x"].max() < SIZE[0] and recording.events["y"].max() < SIZE[1] and recording.events["x"].min() >= 0


@pytest.mark.parametrize("scenes", [False, True])
def test_the_last_half_of_detection_is_run(monkeypatch, scenes):
    """Of points paths are found and merged with tracks, so that their kernels are all used; of scenes windows are traced."""
    found, traced, merged = [], [], []
    find, trace, merge = moving.found_in, network.decoded, moving.merge
    monkeypatch.setattr(moving, "found_in", lambda *words: found.append(find(*words)) or found[-1])
    monkeypatch.setattr(network, "decoded", lambda *words: (traced.append(window) or window for window in trace(*words)))
    monkeypatch.setattr(moving, "merge", lambda *words: merged.append(words) or merge(*words))
    compile_last(scenes)
    if scenes:
        assert len(traced) == 3 and all(len(window.spikes["conv3"].lists.sites) for window in traced) and not found
    else:
        assert found[0].paths and found[0].stars.explained.any() and not traced
        assert merged and merged[0][2].tracks
