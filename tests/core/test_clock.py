import pytest

from spikeseg.core.clock import Clock


@pytest.mark.parametrize(
    ("span", "times", "text"),
    [
        ((0, 60_000_000), (250_000, 1_500_000), "0.2–1.5 s"),
        ((0, 8_000_000), (250_000, 1_500_000), "0.25–1.50 s"),
        ((913_718_000, 913_812_000), (913_718_700,), "913.7187 s"),
        ((1_700_000_000_000_000, 1_700_000_008_000_000), (1_700_000_001_250_000,), "1.25 s"),
        ((5, 5), (5,), "0.000005 s"),
    ],
)
def test_times_have_the_decimals_that_the_recording_asks_for(span, times, text):
    assert Clock.of(*span).text(*times) == text


def test_times_of_a_clock_that_stands_far_are_counted_from_the_first_event():
    assert Clock.of(0, 10**7).name == "time (s)"
    assert Clock.of(10**12, 10**12 + 1).name == Clock.of(-5, 10).name == "time from the first event (s)"
