"""What is chosen by name, ours and other packages'."""

from importlib.metadata import EntryPoint

import pytest

from spikeseg import registry
from spikeseg.errors import InputError
from spikeseg.registry import Registry


@pytest.fixture
def things(monkeypatch):
    """Two things of ours, and entry points of another package: one good, one that takes our name, one that is not there."""
    points = [
        EntryPoint("other", "math:tau", "spikeseg.things"),
        EntryPoint("pi", "math:inf", "spikeseg.things"),
        EntryPoint("gone", "no_such_module:x", "spikeseg.things"),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == "spikeseg.things" else [])
    return Registry("thing", "spikeseg.things", {"pi": "math:pi", "e": "math:e"})


def test_ours_come_first_and_keep_their_names(things):
    assert list(things) == ["pi", "e", "gone", "other"] and len(things) == 4
    assert round(things["pi"], 2) == 3.14 and round(things["other"], 2) == 6.28
    assert "other" in things and "nothing" not in things


def test_what_is_not_there_is_one_line(things):
    with pytest.raises(InputError, match="thing 'x': unknown, must be one of pi, e, gone, other"):
        things["x"]
    with pytest.raises(InputError, match=r"thing .gone.: entry point no_such_module:x of spikeseg\.things cannot be loaded"):
        things["gone"]
