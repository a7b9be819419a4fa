"""Tracking data messages, read by other means than they are written by."""

import dataclasses
import re
import sys
import types
import typing
import xml.etree.ElementTree as ET
from datetime import UTC, datetime

import numpy as np
import pytest

from spikeseg.errors import InputError
from spikeseg.sky.observe import observed
from spikeseg.sky.request import Mount, SkyRequest
from spikeseg.sky.tdm import SCHEMA, creation_time, messages


@pytest.fixture(scope="module")
def found(nights, tmp_path_factory):
    from astropy.io import fits

    path = tmp_path_factory.mktemp("tdm") / "a.fits"
    fits.PrimaryHDU(header=nights["sidereal"].projection.header()).writeto(path)
    return observed(nights["sidereal"].detections, SkyRequest(start_utc_us=1_772_399_045_250_000, wcs=path, mount=Mount.SIDEREAL))


@pytest.fixture(scope="module")
def written(found):
    return messages(found, "Here", "us", datetime(2026, 3, 2, tzinfo=UTC))


def kvn(text):
    """Header, metadata and data of the text of keywords and values, by the standard's grammar (503.0-B-2, section 4)."""
    pairs = [
        [part.strip() for part in line.split("=", 1)] for line in text.splitlines() if line and not line.startswith("COMMENT")
    ]
    marks = [pairs.index([mark]) for mark in ("META_START", "META_STOP", "DATA_START", "DATA_STOP")]
    data = [(key, *value.split()) for key, value in pairs[marks[2] + 1 : marks[3]]]
    assert marks[2] == marks[1] + 1 and marks[3] == len(pairs) - 1
    return dict(pairs[: marks[0]]), dict(pairs[marks[0] + 1 : marks[1]]), data


def test_the_text_of_keywords_holds_what_tracks_csv_holds(found, written):
    assert sorted(written) == ["night.1.tdm", "night.1.tdm.xml"]
    header, metadata, data = kvn(written["night.1.tdm"].decode("ascii"))
    assert header == {"CCSDS_TDM_VERS": "2.0", "CREATION_DATE": "2026-03-02T00:00:00", "ORIGINATOR": "US"}
    rows = found.tracks[found.tracks["track_id"] == 1]
    assert metadata == {
        "TRACK_ID": "NIGHT-1", "DATA_TYPES": "ANGLE_1,ANGLE_2", "TIME_SYSTEM": "UTC", "PARTICIPANT_1": "HERE",
        "PARTICIPANT_2": "UNIDENTIFIED NIGHT-1", "MODE": "SEQUENTIAL", "PATH": "2,1", "TIMETAG_REF": "RECEIVE",
        "ANGLE_TYPE": "RADEC", "REFERENCE_FRAME": "ICRF", "DATA_QUALITY": "RAW",
        "START_TIME": rows["utc"][0][:-1], "STOP_TIME": rows["utc"][-1][:-1],
    }  # fmt: skip
    assert [key for key, *_ in data] == ["ANGLE_1", "ANGLE_2"] * len(rows)
    assert [epoch for _, epoch, _ in data[::2]] == [epoch for _, epoch, _ in data[1::2]] == [utc[:-1] for utc in rows["utc"]]
    angles = np.array([float(value) for *_, value in data]).reshape(-1, 2)
    assert np.abs(angles - np.stack([rows["ra"], rows["dec"]], -1)).max() < 1e-7


def test_both_forms_hold_the_same(written):
    header, metadata, data = kvn(written["night.1.tdm"].decode())
    root = ET.fromstring(written["night.1.tdm.xml"])
    assert (root.tag, root.get("id"), root.get("version")) == ("tdm", "CCSDS_TDM_VERS", header["CCSDS_TDM_VERS"])
    assert root.get("{http://www.w3.org/2001/XMLSchema-instance}noNamespaceSchemaLocation") == SCHEMA
    assert {leaf.tag: leaf.text for leaf in root.find("body/segment/metadata") if leaf.tag != "COMMENT"} == metadata
    observations = [[leaf.text for leaf in one] for one in root.iter("observation")]
    assert [(epoch, float(value)) for epoch, value in observations] == [(epoch, float(value)) for _, epoch, value in data]


def faults(element, kind):
    """Where an element breaks the rules of the published schema (NDM/XML 4.0, TDM 2.0), as translated into the classes of
    ccsds-ndm: order, what is required, patterns, ranges, enumerations."""
    if not dataclasses.is_dataclass(kind):
        options = [one for one in typing.get_args(kind) if one is not types.NoneType] or [kind]
        try:
            options[0](element.text if options[0] is not float else float(element.text))
        except ValueError as error:
            yield f"{element.tag}: {error}"
        return
    hints = typing.get_type_hints(kind)
    fields = [field for field in dataclasses.fields(kind) if field.metadata.get("type") == "Element"]
    known = {field.metadata.get("name", field.name): field for field in fields}
    if not known:
        value = next(field for field in dataclasses.fields(kind) if field.name == "value").metadata
        if not value["min_inclusive"] <= float(element.text) < value["max_exclusive"]:
            yield f"{element.tag}: {element.text} out of range"
        return
    order = list(known)
    places = [order.index(child.tag) if child.tag in known else -1 for child in element]
    if -1 in places or places != sorted(places):
        yield f"{element.tag}: {[child.tag for child in element]}"
        return
    for name, field in known.items():
        if field.metadata.get("required") and element.find(name) is None:
            yield f"{element.tag}: no {name}"
    for child in element:
        field = known[child.tag]
        if (pattern := field.metadata.get("pattern")) and not re.fullmatch(pattern, child.text):
            yield f"{child.tag}: {child.text}"
        hint = hints[field.name]
        inner = [one for one in typing.get_args(hint) if one is not types.NoneType]
        yield from faults(child, inner[0] if inner else hint)


def test_it_follows_the_published_schema(written):
    from ccsds_ndm.models import ndmxml4

    root = ET.fromstring(written["night.1.tdm.xml"])
    assert list(faults(root, ndmxml4.Tdm)) == []
    metadata = root.find("body/segment/metadata")
    metadata.find("MODE").text, metadata.find("PATH").text = "ANYHOW", "2-1"
    root.find("header").remove(root.find("header/ORIGINATOR"))
    next(root.iter("ANGLE_1")).text = "360"
    found = list(faults(root, ndmxml4.Tdm))
    assert [fault.partition(":")[0] for fault in found] == ["header", "MODE", "PATH", "ANGLE_1"]
    metadata.append(metadata[0])
    assert "metadata" in [fault.partition(":")[0] for fault in faults(root, ndmxml4.Tdm)]


def test_the_time_of_creation_may_be_given_by_the_environment(found, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1772409600")
    one = messages(found, "HERE", "US")
    assert one == messages(found, "HERE", "US") and b"CREATION_DATE            = 2026-03-02T00:00:00\n" in one["night.1.tdm"]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(InputError, match="SOURCE_DATE_EPOCH='yesterday': must be a whole number of seconds since 1970"):
        messages(found, "HERE", "US")
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert creation_time() >= datetime(2026, 1, 1, tzinfo=UTC)


def test_an_object_of_no_known_place_has_no_message(found):
    lost = dataclasses.replace(found, tracks=found.tracks.copy())
    lost.tracks["ra"] = np.nan
    assert messages(lost, "HERE", "US") == {}


def test_a_missing_package_is_named_with_its_extra(found, monkeypatch):
    monkeypatch.setitem(sys.modules, "ccsds_ndm.mapping", None)
    with pytest.raises(InputError, match=r"pip install 'spikeseg\[sky\]'"):
        messages(found, "HERE", "US")
