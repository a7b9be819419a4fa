"""The settings of scenes."""

from dataclasses import fields

import pytest

from spikeseg.errors import InputError
from spikeseg.simulation.scenes import CONDITIONS, SceneConfig, SceneSet, condition


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objects": (3, 1)}, "scenes.objects: (3, 1)"),
        ({"objects": (0.5, 1)}, "scenes.objects"),
        ({"size_px": (0.0, 5.0)}, "scenes.size_px"),
        ({"speed_px_s": 5.0}, "scenes.speed_px_s"),
        ({"styles": ()}, "scenes.styles"),
        ({"motions": ("fly",)}, "straight, turn, stop, grow, walk"),
        ({"meet": "kiss"}, "free, cross, occlude"),
        ({"background": "sea"}, "still, moving, flicker"),
        ({"noise": "pink"}, "measured"),
        ({"noise_hz": -1.0}, "scenes.noise_hz"),
        ({"noise_hz": float("nan")}, "scenes.noise_hz"),
        ({"noise_hz": 1e3, "sensor_size": (4096, 4096)}, "scenes.noise_hz"),
        ({"seed": 2**40}, "scenes.seed"),
        ({"duration_s": 0.01}, "0.05 to 60"),
        ({"sensor_size": (8, 8)}, "16 to 4096"),
        ({"seed": -1}, "scenes.seed"),
    ],
)
def test_what_is_not_allowed_names_field_and_value(changes, message):
    with pytest.raises(InputError) as error:
        SceneConfig(**changes)
    assert message in str(error.value) and len(str(error.value).splitlines()) == 1


def test_conditions_differ_and_an_unknown_one_is_refused():
    assert len({repr(config) for config in CONDITIONS.values()}) == len(CONDITIONS)
    assert condition("tiny", seed=7).seed == 7
    with pytest.raises(InputError, match="condition 'vast'; allowed: crossing"):
        condition("vast")
    with pytest.raises(InputError, match="none"):
        SceneSet(())
    with pytest.raises(InputError, match="duration_s"):
        SceneSet(changes=(("duration_s", 0.0),))


def test_every_field_is_described():
    for field in fields(SceneConfig):
        assert f"        {field.name}:" in (SceneConfig.__doc__ or ""), field.name
