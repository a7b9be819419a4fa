"""What each mode says chance is."""

from spikeseg.metrics.mode import modes_of


def test_levels_are_those_of_answers_that_know_nothing():
    """Half of all pairs are in order, and recall and the rate of false alarms are equal; elsewhere there is no such number."""
    levels = {mode.name: dict(mode.chance) for mode in modes_of(["event", "pixel", "object", "volume", "track"])}
    of_events = {"roc_auc": 0.5, "informedness": 0.0}
    assert levels == {
        **dict.fromkeys(["event", "event_exact", "event_stars"], of_events),
        "pixel": {"informedness": 0.0},
        "volume": {"informedness": 0.0},
        "object": {},
        "object_1px": {},
        "track": {},
    }


def test_every_mode_explains_itself_and_names_figures_that_it_shows():
    for mode in modes_of(["event", "pixel", "object", "volume", "track"]):
        assert mode.chance_note.format(slice_ms=10.0) and set(mode.chance) <= set(mode.shown)
