"""Which thresholds are tried."""

import types

import numpy as np
import pytest

from spikeseg.evaluation.thresholds import _below, _plateaus, levels_of, thresholds_of


def recordings(*scores):
    """Of each recording, tracks of these scores."""
    tracks = [[types.SimpleNamespace(score=score) for score in own] for own in scores]
    return [types.SimpleNamespace(tracks=types.SimpleNamespace(tracks=own)) for own in tracks]


@pytest.mark.parametrize(("distinct", "tried"), [(0, 0), (1, 1), (48, 48), (49, 48), (500, 48)])
def test_all_scores_up_to_48_and_else_48_of_them_with_both_ends(distinct, tried):
    scores = np.arange(1, distinct + 1) / 1000
    found = thresholds_of(recordings(scores[::2].tolist(), [*scores[1::2].tolist(), *scores[:1].tolist()]), 0.75)
    assert found == sorted(found) and found[-1] == 0.75 and len(found) == tried + 1
    if distinct:
        assert (found[0], found[-2]) == (scores[0], scores[-1])
        ranks = np.searchsorted(scores, found[:-1])
        assert np.ptp(np.diff(ranks)) <= 1 if tried > 1 else True


def test_the_configured_threshold_is_tried_once():
    assert thresholds_of(recordings([0.25, 0.5], [0.5]), 0.5) == [0.25, 0.5]
    assert levels_of(recordings([0.5, 0.25], [0.5])).tolist() == [0.25, 0.5] and len(levels_of([])) == 0


def test_runs_of_equals_and_what_lies_below():
    assert _plateaus([True, True, False, True]) == [(0, 1), (3, 3)] and _plateaus([False]) == _plateaus([]) == []
    found = recordings([0.25, 0.5])
    assert [_below(found, threshold) for threshold in (0.25, 0.3, 0.5, 0.9)] == [0.0, 0.25, 0.25, 0.5]
