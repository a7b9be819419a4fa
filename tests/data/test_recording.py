"""checked(): what is refused, what is dropped and counted, what is mended."""

import numpy as np
import pytest

from spikeseg.data.recording import EVENT_DTYPE, LABEL_DTYPE, TRUTH_DTYPE, checked
from spikeseg.errors import InputError

SIZE = (240, 180)


def columns(n=200, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "t": np.sort(rng.integers(0, 100_000, n)),
        "x": rng.integers(0, SIZE[0], n),
        "y": rng.integers(0, SIZE[1], n),
        "p": rng.integers(0, 2, n),
    }


def check(data, size=SIZE, labels=None, **options):
    return checked("rec", "rec.csv", data, size, labels, **options)


def refused(data, size=SIZE, labels=None, **options):
    with pytest.raises(InputError) as caught:
        check(data, size, labels, **options)
    message = str(caught.value)
    assert "\n" not in message and message.startswith("rec.csv: ")
    return message


def test_good_columns_pass_unchanged():
    data = columns()
    recording = check(data, sensor="DAVIS")
    assert recording.events.dtype == EVENT_DTYPE
    for field in "txy":
        np.testing.assert_array_equal(recording.events[field], data[field])
    np.testing.assert_array_equal(recording.events["p"], data["p"] == 1)
    assert recording.dropped == {} and recording.labels is None and recording.truth is None
    assert (recording.name, recording.source, recording.sensor) == ("rec", "rec.csv", "DAVIS")
    assert recording.sensor_size == SIZE


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.uint64, np.float32, np.float64])
def test_every_real_dtype_means_the_same(dtype):
    data = columns(seed=3)
    other = {field: values.astype(np.uint64 if field == "t" else dtype) for field, values in data.items()}
    np.testing.assert_array_equal(check(other).events, check(data).events)


def test_arguments_are_not_changed():
    data = columns()
    data["t"][[4, 5]] = data["t"][[5, 4]]
    data["x"][7] = -1
    labels = np.array([(5, 1.0, 1.0, 2), (1, 1.0, 1.0, 1)], LABEL_DTYPE)
    before = {field: values.copy() for field, values in data.items()}, labels.copy()
    check(data, labels=labels)
    for field, values in data.items():
        np.testing.assert_array_equal(values, before[0][field])
    np.testing.assert_array_equal(labels, before[1])


@pytest.mark.parametrize(("off", "on"), [(0, 1), (-1, 1), (1, 2)])
@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float64])
def test_polarity_codings(off, on, dtype):
    data = columns()
    expected = data["p"] == 1
    data["p"] = np.where(expected, on, off).astype(dtype)
    np.testing.assert_array_equal(check(data).events["p"], expected)


@pytest.mark.parametrize(("value", "on"), [(0, False), (1, True), (-1, False), (2, True)])
def test_one_polarity_only(value, on):
    data = columns() | {"p": np.full(200, value)}
    assert (check(data).events["p"] == on).all()


def test_boolean_polarity():
    data = columns()
    data["p"] = data["p"] == 1
    np.testing.assert_array_equal(check(data).events["p"], data["p"])


@pytest.mark.parametrize("values", [(0, 1, 2), (-1, 0), (0, 2), (0, 255), (0.5, 1), (-1, 1, 0), (3,)])
def test_other_polarities_are_refused(values):
    data = columns() | {"p": np.resize(values, 200)}
    message = refused(data, lenient=True)
    assert "events.p" in message and "{-1, 1}" in message and f"{values[0]}" in message


def test_lengths_differ():
    data = columns()
    data["y"] = data["y"][:-1]
    assert "y 199" in refused(data) and "t 200" in refused(data)


@pytest.mark.parametrize("bad", [np.array(["a"] * 200), np.array([None] * 200), np.zeros((200, 1)), np.zeros(200, complex)])
def test_only_columns_of_real_numbers(bad):
    assert "events.x" in refused(columns() | {"x": bad})


@pytest.mark.parametrize("field", ["t", "x", "y"])
def test_fractions_are_refused(field):
    data = columns()
    data[field] = data[field].astype(float)
    data[field][17] += 0.5
    message = refused(data, lenient=True)
    assert f"events.{field}" in message and "index 17" in message


def test_seconds_instead_of_microseconds_say_so():
    data = columns()
    data["t"] = data["t"] / 1e6
    assert "1e6" in refused(data)


@pytest.mark.parametrize("field", ["t", "x", "y", "p"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_dropped_and_counted(field, value):
    data = columns()
    expected = np.delete(check(data).events, 50)
    data[field] = data[field].astype(float)
    data[field][50] = value
    recording = check(data)
    assert recording.dropped == {"not finite": 1}
    np.testing.assert_array_equal(recording.events, expected)


@pytest.mark.parametrize(
    ("field", "value"),
    [("x", -1), ("x", 240), ("x", 65_535), ("y", -1), ("y", 180), ("y", 2**40), ("x", -(2**40))],
)
def test_outside_the_sensor_is_dropped_and_counted(field, value):
    data = columns()
    expected = np.delete(check(data).events, [3, 60])
    data[field][[3, 60]] = value
    recording = check(data)
    assert recording.dropped == {"outside the sensor": 2}
    np.testing.assert_array_equal(recording.events, expected)


def test_the_corners_are_inside():
    data = columns(4) | {"x": np.array([0, 239, 0, 239]), "y": np.array([0, 0, 179, 179])}
    assert len(check(data).events) == 4


def test_one_percent_may_be_dropped_and_no_more():
    data = columns(300)
    data["x"][:3] = -1
    assert check(data).dropped == {"outside the sensor": 3}
    data["y"] = data["y"].astype(float)
    data["y"][3] = np.nan
    message = refused(data)
    assert "4 of 300" in message and "3 outside the sensor" in message and "1 not finite" in message
    assert "--lenient" in message
    recording = check(data, lenient=True)
    assert recording.dropped == {"outside the sensor": 3, "not finite": 1} and len(recording.events) == 296


def test_nothing_left_is_refused_even_when_lenient():
    data = columns() | {"x": np.full(200, 999)}
    assert "none of 200" in refused(data, lenient=True)


def test_a_few_out_of_order_are_sorted_and_counted():
    data = columns(300)
    data["t"] = np.arange(300) * 1000
    shuffled = {field: values.copy() for field, values in data.items()}
    for field in data:
        shuffled[field][[100, 101]] = data[field][[101, 100]]
        shuffled[field][[200, 201, 202]] = data[field][[201, 202, 200]]
    recording = check(shuffled)
    assert recording.dropped == {"out of order, sorted": 2}
    np.testing.assert_array_equal(recording.events, check(data).events)


def test_equal_times_keep_their_order():
    data = columns(400) | {"t": np.repeat([0, 10, 5, 20], [100, 100, 2, 198])}
    events = check(data).events
    order = np.r_[:100, 200:202, 100:200, 202:400]
    np.testing.assert_array_equal(events["x"], data["x"][order])


def test_many_out_of_order_are_refused_unless_lenient():
    data = columns(300)
    data["t"] = data["t"][::-1].copy()
    assert "out of order" in refused(data) and "--lenient" in refused(data)
    assert (np.diff(check(data, lenient=True).events["t"]) >= 0).all()


def test_a_short_clock_that_wraps_is_noticed():
    """A 16-bit clock jumps back by 65 ms only, but for many events."""
    data = columns(1000) | {"t": np.arange(1000) * 100 % 2**16}
    assert "index 656" in refused(data) and "wrap" in refused(data)


@pytest.mark.parametrize("lenient", [False, True])
def test_a_jump_back_of_more_than_a_second_names_its_index(lenient):
    data = columns()
    data["t"] = np.arange(200) * 20_000
    data["t"][150:] -= 2_500_000
    message = refused(data, lenient=lenient)
    assert "index 150" in message and "2.480 s" in message and "wrap" in message


def test_a_second_back_is_the_limit():
    data = columns() | {"t": np.arange(200) * 10_000}
    data["t"][100] = data["t"][99] - 1_000_000
    assert check(data).dropped == {"out of order, sorted": 1}
    data["t"][100] -= 1
    assert "index 100" in refused(data)


def test_the_index_is_that_of_the_file_even_after_drops():
    data = columns()
    data["t"] = np.arange(200) * 20_000
    data["x"][10] = -1
    data["t"][150:] -= 2_500_000
    assert "index 150" in refused(data)


def test_a_slow_slide_backwards_is_a_jump():
    data = columns() | {"t": -np.arange(200) * 10_000}
    assert "index 101" in refused(data, lenient=True)


@pytest.mark.parametrize(("value", "words"), [(2**62, "285 years"), (2**53 + 1, "285 years"), (4_000_000_000, "forward")])
def test_a_corrupt_timestamp_cannot_stretch_the_recording(value, words):
    data = columns()
    data["t"][199] = value
    message = refused(data, lenient=True)
    assert "index 199" in message and words in message


def test_unsigned_time_beyond_int64_is_refused():
    data = columns()
    data["t"] = data["t"].astype(np.uint64)
    data["t"][199] = 2**64 - 5
    message = refused(data)
    assert "index 199" in message and "below 0 (-5) in unsigned numbers" in message


def test_wall_clock_time_is_kept():
    data = columns()
    data["t"] += 1_605_537_493_718_345
    np.testing.assert_array_equal(check(data).events["t"], data["t"])


def test_no_events_are_a_recording_of_silence():
    recording = check({field: np.empty(0) for field in "txyp"}, labels=np.empty(0, LABEL_DTYPE))
    assert recording.events.shape == (0,) and recording.events.dtype == EVENT_DTYPE
    assert recording.labels.shape == (0,) and recording.dropped == {}


@pytest.mark.parametrize("size", [(0, 180), (240, -1), (240.5, 180), (240, 40_000), (240,), (240, 180, 2)])
def test_impossible_sensor_sizes(size):
    assert "sensor_size" in refused(columns(), size)


def labels(*points):
    return np.array(list(points), [("t", float), ("x", float), ("y", float), ("id", float)])


def test_labels_are_sorted_and_typed():
    recording = check(columns(), labels=labels((20.4, 1.5, 2.5, 2), (10, 3, 4, 7), (10, 5, 6, 1)))
    assert recording.labels.dtype == LABEL_DTYPE
    assert recording.labels.tolist() == [(10, 5.0, 6.0, 1), (10, 3.0, 4.0, 7), (20, 1.5, 2.5, 2)]


def test_labels_as_a_mapping():
    recording = check(columns(), labels={"t": [1], "x": [2], "y": [3], "id": [4]})
    assert recording.labels.tolist() == [(1, 2.0, 3.0, 4)]


def test_labels_without_objects_stay_labels():
    assert check(columns(), labels=np.empty(0, LABEL_DTYPE)).labels.shape == (0,)


@pytest.mark.parametrize(
    ("point", "reason"),
    [
        ((5, np.nan, 1, 1), "labels not finite"),
        ((5, 1, 1, np.nan), "labels not finite"),
        ((5, 242.0, 1, 1), "labels outside the sensor"),
        ((5, 1, -1.5, 1), "labels outside the sensor"),
    ],
)
def test_bad_labels_are_dropped_and_counted(point, reason):
    good = [(t, 10.0, 20.0, 1.0) for t in range(99)]
    recording = check(columns(), labels=labels(*good, point))
    assert recording.dropped == {reason: 1} and len(recording.labels) == 99
    message = refused(columns(), labels=labels(*good[:90], point))
    assert "labels" in message and "1 of 91" in message
    assert check(columns(), labels=labels(*good[:90], point), lenient=True).dropped == {reason: 1}


@pytest.mark.parametrize("identity", [1.5, -1, 2**31])
def test_ids_are_whole_numbers(identity):
    assert "labels.id" in refused(columns(), labels=labels((1, 2, 3, identity)), lenient=True)


def test_label_columns_of_different_length():
    assert "labels" in refused(columns(), labels={"t": [1, 2], "x": [2], "y": [3], "id": [4]})


def test_truth_follows_its_events():
    data = columns()
    data["t"] = np.arange(200) * 100
    data["x"][10] = -1
    data["t"][[50, 51]] = data["t"][[51, 50]]
    truth = np.zeros(200, TRUTH_DTYPE)
    truth["object_id"] = np.arange(200)
    recording = check(data, truth=truth)
    expected = np.r_[:10, 11:50, 51, 50, 52:200]
    np.testing.assert_array_equal(recording.truth["object_id"], expected)
    np.testing.assert_array_equal(recording.events["y"], data["y"][expected])


def test_truth_of_another_length_is_refused():
    assert "truth" in refused(columns(), truth=np.zeros(199, TRUTH_DTYPE))


def test_a_sensor_larger_than_any_is_refused():
    with pytest.raises(InputError, match=r"sensor_size: 32767 x 32767; no sensor has more than 16777216 pixels"):
        checked("r", "r", {"t": [1], "x": [1], "y": [1], "p": [1]}, (32767, 32767))
