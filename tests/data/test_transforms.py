import numpy as np
import pytest
import tonic.transforms
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeseg.config import load_config
from spikeseg.data.recording import EVENT_DTYPE
from spikeseg.data.transforms import HOT_PIXEL_FREQUENCY, TRANSFORMS, apply, build
from spikeseg.errors import InputError

SENSOR = (12, 9)


def make(count=400, seed=0, duration=2_000_000):
    rng = np.random.default_rng(seed)
    events = np.zeros(count, EVENT_DTYPE)
    events["t"] = 5_000 + np.sort(rng.integers(0, duration, count))
    events["x"], events["y"] = rng.integers(0, SENSOR[0], count), rng.integers(0, SENSOR[1], count)
    hot = rng.random(count) < 0.5
    events["x"][hot], events["y"][hot] = rng.choice([3, 4, 11], hot.sum()), 8
    events["p"] = rng.integers(0, 2, count)
    return events


def passed(events, *specs, seed=0):
    return apply(events, build(list(specs), SENSOR), seed=seed)


event_arrays = st.lists(
    st.tuples(st.integers(0, 10**6), st.integers(0, 3), st.integers(0, 3), st.booleans()),
    min_size=1,
    max_size=40,
).map(lambda rows: np.array(sorted(rows), EVENT_DTYPE))


@settings(max_examples=100, deadline=None)
@given(event_arrays, st.floats(0.5, 40))
def test_hot_pixels_are_those_of_tonic(events, frequency):
    kept_events, kept = passed(events, {"name": "DropPixel", "hot_pixel_frequency": frequency})
    theirs = tonic.transforms.DropPixel(hot_pixel_frequency=frequency)(events)
    assert np.array_equal(kept_events, theirs)
    assert np.array_equal(events[kept], theirs)


def test_tonics_own_drop_pixel_by_name_keeps_the_same():
    events, argument = make(), {"hot_pixel_frequency": 20}
    chain = build([{"name": "tonic.DropPixel", **argument}], SENSOR)
    assert type(chain.transforms[0]) is tonic.transforms.DropPixel
    theirs, ours = (passed(events, {"name": name, **argument}) for name in ("tonic.DropPixel", "DropPixel"))
    assert 0 < ours[1].sum() < len(events) and np.array_equal(theirs[0], ours[0]) and np.array_equal(theirs[1], ours[1])
    same = [passed(events, {"name": name, "filter_time": 30_000})[1] for name in ("tonic.Denoise", "Denoise")]
    assert np.array_equal(*same)
    with pytest.raises(InputError, match="unknown transform 'DropPixl'; nearest: DropPixel"):
        build([{"name": "tonic.DropPixl"}], SENSOR)


@settings(max_examples=50, deadline=None)
@given(event_arrays, st.lists(st.tuples(st.integers(-2, 6), st.integers(-2, 6)), max_size=6))
def test_named_pixels_are_dropped_as_by_tonic(events, coordinates):
    pixels = [list(pixel) for pixel in coordinates]
    kept_events, kept = passed(events, {"name": "DropPixel", "coordinates": pixels})
    theirs = tonic.transforms.DropPixel(coordinates=coordinates)(events)
    assert np.array_equal(kept_events, theirs)
    assert np.array_equal(events[kept], theirs)


def test_the_default_chain_drops_hot_pixels_and_only_those():
    events = make()
    kept_events, kept = passed(events, {"name": "DropPixel", "hot_pixel_frequency": 20})
    hot = np.isin(events["x"], [3, 4, 11]) & (events["y"] == 8)
    assert np.array_equal(kept, ~hot)
    assert kept_events.dtype == EVENT_DTYPE
    assert np.array_equal(kept_events, events[~hot])


@pytest.mark.parametrize(
    "spec",
    [
        {"name": "Denoise", "filter_time": 30_000},
        {"name": "RefractoryPeriod", "delta": 20_000},
        {"name": "Decimation", "n": 3},
        {"name": "CropTime", "min": 300_000, "max": 900_000},
        {"name": "MergePolarities"},
    ],
    ids=lambda spec: spec["name"],
)
def test_a_transform_by_name_gives_what_tonic_gives(spec):
    events = make()
    arguments = {key: value for key, value in spec.items() if key != "name"}
    theirs = getattr(tonic.transforms, spec["name"])(**arguments)(events.copy())
    ours, kept = passed(events, spec)
    assert np.array_equal(ours, theirs)
    assert ours.dtype == EVENT_DTYPE
    for name in "txy":
        assert np.array_equal(ours[name], events[kept][name])


def test_a_chain_applies_in_order():
    events = make()
    pixels = {"name": "DropPixel", "hot_pixel_frequency": 20}
    noise = {"name": "Denoise", "filter_time": 100_000}
    both, kept = passed(events, pixels, noise)
    first, first_kept = passed(events, pixels)
    second, second_kept = passed(first, noise)
    assert np.array_equal(both, second)
    assert np.array_equal(np.flatnonzero(kept), np.flatnonzero(first_kept)[second_kept])
    assert not np.array_equal(both, passed(events, noise, pixels)[0])


def test_an_empty_chain_keeps_everything():
    events = make()
    same, kept = passed(events)
    assert np.array_equal(same, events)
    assert kept.all()


ARGUMENTS = {
    "Denoise": {"filter_time": 20_000},
    "Decimation": {"n": 500},
    "DropEvent": {"p": 0.5},
    "DropPixel": {"hot_pixel_frequency": 20},
    "RandomDropPixel": {"p": 0.5},
    "RefractoryPeriod": {"delta": 1_000},
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_every_transform_leaves_its_input_alone_and_passes_nothing_on_as_nothing(name):
    chain = build([{"name": name, **ARGUMENTS.get(name, {})}], SENSOR)
    events = make()
    before = events.copy()
    result, kept = apply(events, chain)
    assert np.array_equal(events, before)
    assert not np.shares_memory(result, events)
    assert kept.sum() == len(result)
    nothing, none_kept = apply(events[:0], chain)
    assert nothing.dtype == EVENT_DTYPE
    assert len(nothing) == len(none_kept) == 0


def test_a_chain_that_drops_everything_gives_an_empty_array_of_events():
    result, kept = passed(make(), {"name": "Decimation", "n": 10_000}, {"name": "Denoise", "filter_time": 10})
    assert result.dtype == EVENT_DTYPE
    assert len(result) == 0
    assert kept.shape == (400,)
    assert not kept.any()


def test_random_transforms_are_seeded_and_leave_numpys_generator_alone():
    events = make()
    before = np.random.get_state()  # noqa: NPY002 (tonic draws from it)
    results = [passed(events, {"name": "DropEvent", "p": 0.5}, seed=seed)[1] for seed in (0, 0, 1)]
    after = np.random.get_state()  # noqa: NPY002
    for part, then in zip(after, before, strict=True):
        assert np.array_equal(part, then)
    assert results[0].sum() == 200
    assert np.array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])


def test_a_list_stands_for_the_tuple_that_tonic_takes_for_a_range():
    spec = {"name": "DropEvent", "p": [0.2, 0.6]}
    shares = {passed(make(), spec, seed=seed)[1].mean() for seed in range(8)}
    assert len(shares) > 4
    assert 0.35 < min(shares) < max(shares) < 0.85


def test_no_recording_is_remembered_for_the_next():
    chain = build([{"name": "CropTime"}], SENSOR)
    early, late = make(), make()
    late["t"] += 10**9
    assert apply(early, chain)[1].all()
    assert apply(late, chain)[1].all()


def test_sensor_size_is_filled_in():
    events = make()
    dropped = ~passed(events, {"name": "DropEventByArea", "area_ratio": 0.5})[1]
    assert 0 < dropped.sum() < len(events)
    assert np.ptp(events["x"][dropped]) < SENSOR[0] // 2
    assert np.ptp(events["y"][dropped]) < SENSOR[1] // 2


@pytest.mark.parametrize(
    "spec, match",
    [
        ({"name": "DropPixle"}, r"transforms\[0\].name: unknown transform 'DropPixle'; nearest: DropPixel"),
        ({"name": "ToFrame", "time_window": 10}, "unknown transform 'ToFrame'; there are: CropTime"),
        ({"name": "Compose", "transforms": []}, "unknown transform 'Compose'"),
        ({"name": "SpatialJitter"}, "SpatialJitter moves or adds events; only transforms that drop"),
        ({"name": "UniformNoise", "n": 5}, "UniformNoise moves or adds events"),
        ({"name": "RandomFlipLR"}, "data.augmentation"),
        ({"name": "DropPixel", "hot": 5}, r"DropPixel\(hot=5\): no argument 'hot'; there are: coordinates, hot"),
        ({"name": "DropPixel"}, "needs coordinates or hot_pixel_frequency"),
        ({"name": "DropPixel", "hot_pixel_frequency": 5, "coordinates": [[1, 1]]}, "one of them"),
        ({"name": "DropPixel", "hot_pixel_frequency": 0}, "must be above 0"),
        ({"name": "DropPixel", "hot_pixel_frequency": "many"}, r"DropPixel\(hot_pixel_frequency='many'\)"),
        ({"name": "DropPixel", "coordinates": "abc"}, "tonic cannot apply it: ValueError"),
        ({"name": "MergePolarities", "p": 1}, "no argument 'p'; there are: none"),
        ({"name": "Denoise"}, "filter_time"),
        ({"name": "Denoise", "filter_time": "long"}, r"Denoise\(filter_time='long'\): tonic cannot apply it"),
        ({"name": "RandomFlipPolarity", "p": 3}, r"RandomFlipPolarity\(p=3\): not allowed; takes: p"),
        ({"name": "DropEvent", "p": 1.5}, r"DropEvent\(p=1.5\): tonic cannot apply it"),
        ("DropPixel", "must be a mapping with a name"),
        ({"hot_pixel_frequency": 5}, "must be a mapping with a name"),
    ],
    ids=str,
)
def test_a_wrong_entry_is_refused_on_one_line(spec, match):
    with pytest.raises(InputError, match=match) as caught:
        build([spec], SENSOR)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"data.transforms\[1\]"):
        build([{"name": "MergePolarities"}, spec], SENSOR)


def moved(events):
    events["x"] += 1
    return events


def doubled(events):
    return np.repeat(events, 2)


def invented(events):
    events["i"][3] = len(events)
    return events


def late(events):
    events["t"][-1] += 1
    return events


def pictured(events):
    return np.zeros((3, 2, 9, 12))


def broken(events):
    return events["z"]


@pytest.mark.parametrize(
    "chain, match",
    [
        (moved, "changes x of events"),
        (late, "changes t of events"),
        (doubled, "adds events"),
        (invented, "adds events"),
        (pictured, "does not give events"),
        (broken, "ValueError: no field of name z"),
    ],
)
def test_a_chain_that_loses_the_place_of_events_is_refused(chain, match):
    with pytest.raises(InputError, match=match):
        apply(make(), chain)


def test_a_chain_that_only_reorders_is_put_back_in_order():
    events = make()
    result, kept = apply(events, lambda carried: carried[::-2])
    assert np.array_equal(result, events[1::2])
    assert np.array_equal(kept, np.arange(400) % 2 == 1)


@pytest.mark.parametrize("name", ["demo", "ebssa"])
def test_the_night_configurations_drop_the_hot_pixels_that_info_counts(name):
    assert load_config(name).data.transforms == [{"name": "DropPixel", "hot_pixel_frequency": HOT_PIXEL_FREQUENCY}]
