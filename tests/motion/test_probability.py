"""From a rate of false alarms to a threshold, and from evidence to a probability."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeseg.motion.probability import FALL, MATCHED_NATS, REFERENCE_NATS, probability, threshold_nats

SIZE = (240, 180)
RATES = st.floats(1e-6, 1e3)


@given(RATES, RATES)
def test_fewer_false_alarms_take_more_evidence(one, other):
    low, high = sorted((one, other))
    assert threshold_nats(low, SIZE) >= threshold_nats(high, SIZE) >= 5.0
    if high >= 1.01 * low and threshold_nats(high, SIZE) > 5.0:
        assert threshold_nats(low, SIZE) - threshold_nats(high, SIZE) == pytest.approx(np.log(high / low) / FALL)


def test_the_threshold_at_the_rate_and_the_sensor_it_was_measured_for():
    assert threshold_nats(0.1, SIZE) == pytest.approx(REFERENCE_NATS) == 20.0
    assert threshold_nats(0.1, SIZE, matched=True) == pytest.approx(MATCHED_NATS) == 21.0


@given(st.integers(8, 4096), st.integers(8, 4096))
def test_more_pixels_take_more_evidence(width, height):
    """A sensor of n times the pixels raises n times the false alarms."""
    share = width * height / (SIZE[0] * SIZE[1])
    assert threshold_nats(0.1 * share, (width, height)) == pytest.approx(max(threshold_nats(0.1, SIZE), 5.0))
    assert threshold_nats(0.1, (2 * width, height)) >= threshold_nats(0.1, (width, height))


@given(st.floats(5, 60), st.lists(st.floats(-1e6, 1e6), min_size=2))
def test_probability_is_a_half_at_the_threshold_and_rises(threshold, nats):
    assert probability(threshold, threshold) == 0.5
    values = probability(np.sort(nats), threshold)
    assert (np.diff(values) >= 0).all() and (values >= 0).all() and (values <= 1).all()
    assert probability(threshold + 1, threshold) > 0.5 > probability(threshold - 1, threshold)
    assert probability(threshold + 20, threshold) > 0.99 and probability(threshold - 20, threshold) < 0.01
