"""N-MNIST's 40-bit events; tonic's reader defines the meaning."""

import numpy as np
import pytest
import tonic.io

from spikeseg.data.readers import read
from spikeseg.data.readers.nmnist import read_nmnist
from spikeseg.errors import InputError

DTYPE = np.dtype([("x", int), ("y", int), ("t", int), ("p", int)])


def encode(t, x, y, p):
    high = (np.asarray(p) << 7) | (np.asarray(t) >> 16)
    columns = [x, y, high, (np.asarray(t) >> 8) & 255, np.asarray(t) & 255]
    return np.stack([np.asarray(column, np.uint8) for column in columns], axis=1).tobytes()


def sample(n=300, span=311_000):
    rng = np.random.default_rng(0)
    return (
        np.sort(rng.integers(0, span, n)),
        rng.integers(0, 34, n),
        rng.integers(0, 34, n),
        rng.integers(0, 2, n),
    )


def test_events_come_back(tmp_path):
    path = tmp_path / "00001.bin"
    path.write_bytes(encode(*sample()))
    recording = read(path)
    for field, values in zip("txyp", sample(), strict=True):
        np.testing.assert_array_equal(recording.events[field], values)
    assert recording.sensor_size == (34, 34) and recording.labels is None


@pytest.mark.parametrize("overflows", [0, 1, 5])
def test_equal_to_tonic_with_overflow_marks(tmp_path, overflows):
    t, x, y, p = sample(400, span=2**13)
    y[np.linspace(10, 390, overflows).astype(int)] = 240
    path = tmp_path / "a.bin"
    path.write_bytes(encode(t, x, y, p))
    ours, theirs = read_nmnist(path), tonic.io.read_mnist_file(str(path), dtype=DTYPE)
    assert len(ours.t) == 400 - overflows
    for field in "txyp":
        np.testing.assert_array_equal(getattr(ours, field), theirs[field])


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_truncated_inside_an_event(tmp_path, cut):
    path = tmp_path / "a.bin"
    path.write_bytes(encode(*sample())[:-cut])
    with pytest.raises(InputError, match="5-byte"):
        read(path)


def test_another_kind_of_bin(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(np.random.default_rng(0).integers(0, 256, 5000, np.uint8).tobytes())
    with pytest.raises(InputError, match=r"the clock jumps back|out of order"):
        read(path)


def test_a_stray_event_of_a_digit_is_dropped_and_counted(tmp_path):
    t, x, y, p = sample()
    x[7] = 200
    path = tmp_path / "a.bin"
    path.write_bytes(encode(t, x, y, p))
    recording = read(path)
    assert recording.sensor_size == (34, 34) and recording.dropped == {"outside the sensor": 1}


def test_a_larger_sensor_in_the_same_format(tmp_path):
    """N-Caltech101 uses the format with the size of each image."""
    t, x, y, p = sample()
    path = tmp_path / "image_0001.bin"
    path.write_bytes(encode(t, x + 150, y + 100, p))
    recording = read(path)
    assert recording.sensor_size == (150 + x.max() + 1, 100 + y.max() + 1)
    np.testing.assert_array_equal(recording.events["y"], y + 100)
    np.testing.assert_array_equal(read(path, sensor_size=(240, 180)).events["x"], x + 150)
