"""The sensor of a file that does not name it."""

import numpy as np
import pytest

from spikeseg.data.sensors import EBSSA_SIZES, SENSOR_SIZES, fitting_sensor, named_sensor
from spikeseg.errors import InputError


@pytest.mark.parametrize(("name", "size"), SENSOR_SIZES.items())
def test_each_sensor_fits_its_own_corner(name, size):
    assert fitting_sensor("f", np.array([0, size[0] - 1]), np.array([0, size[1] - 1])) == name


def test_one_pixel_more_needs_a_larger_one():
    assert fitting_sensor("f", np.array([240]), np.array([0])) == "ATIS"
    assert fitting_sensor("f", np.array([0]), np.array([180])) == "ATIS"


def test_sizes_grow():
    areas = [width * height for width, height in SENSOR_SIZES.values()]
    assert areas == sorted(areas)


def test_what_is_not_usable_does_not_count():
    x = np.array([np.nan, -5.0, 30.0, np.inf])
    assert fitting_sensor("f", x, np.zeros(4)) == "N-MNIST"


def test_a_few_wild_coordinates_do_not_hide_the_sensor():
    x = np.r_[np.full(199, 33), 65_535]
    assert fitting_sensor("f", x, np.zeros(200, int)) == "N-MNIST"
    with pytest.raises(InputError, match=r"65535.*1280 x 720"):
        fitting_sensor("f", x[-50:], np.zeros(50, int))


def test_none_holds_them():
    with pytest.raises(InputError, match="304 x 240"):
        fitting_sensor("f", np.array([305]), np.array([1]), EBSSA_SIZES)


def test_no_events():
    with pytest.raises(InputError, match="no events"):
        fitting_sensor("f", np.empty(0), np.empty(0))


def test_columns_that_do_not_belong_together():
    with pytest.raises(InputError, match="one length"):
        fitting_sensor("f", np.zeros(3), np.zeros(4))


@pytest.mark.parametrize(
    ("path", "sensor"),
    [
        ("DAVIS_0003", "DAVIS"),
        ("Labelled Data/ATIS/rec_1.mat", "ATIS"),
        ("DAVIS/atis_2.mat", "ATIS"),
        ("2017_davis240c.mat", "DAVIS"),
        ("statistics.mat", ""),
        ("satisfied/rec.mat", ""),
        ("a\\ATIS\\rec.mat", "ATIS"),
        ("rec.mat", ""),
    ],
)
def test_names_that_tell(path, sensor):
    assert named_sensor(path) == sensor
