"""Universal time of recordings."""

import numpy as np
import pytest

from spikeseg.errors import InputError
from spikeseg.sky.times import UtcClock, parsed_utc, utc_clock


def test_a_time_with_a_zone_is_utc():
    since = parsed_utc("2026-03-01T21:04:05.25Z", "--start")
    assert since == 1_772_399_045_250_000 == parsed_utc("2026-03-01 22:04:05.250+01:00", "--start")
    assert UtcClock(since - 7).texts(np.array([7, 8])).tolist() == ["2026-03-01T21:04:05.250000Z", "2026-03-01T21:04:05.250001Z"]
    assert parsed_utc("1969-12-31T23:59:59.5Z", "x") == -500_000


@pytest.mark.parametrize("text", ["2026-03-01T21:04:05", "yesterday", "", "2026-13-01T00:00:00Z"])
def test_other_times_are_refused(text):
    with pytest.raises(InputError, match=r"--start: .*expected a date and time of UTC, such as 2026-03-01T21:04:05\.25Z"):
        parsed_utc(text, "--start")


def test_the_clock_tells_the_time_where_it_counts_from_1970():
    now = 1_772_399_045_250_000
    assert utc_clock(np.array([now, now + 5]), None) == UtcClock(0)
    assert utc_clock(np.array([7, 9]), now) == UtcClock(now - 7)
    assert utc_clock(np.array([now, now + 5]), now + 1) == UtcClock(1)  # what the user says holds
    assert utc_clock(np.array([7, 9]), None) is None and utc_clock(np.array([], np.int64), now) is None
    assert utc_clock(np.array([86_400_000_000 * 365]), None) is None  # a camera that runs since a year
