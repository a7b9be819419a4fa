"""CCSDS Tracking Data Messages (503.0-B-2) of objects' angles, by the package ccsds-ndm."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from spikeseg.errors import InputError

if TYPE_CHECKING:
    from spikeseg.detection.result import Detections

SUFFIXES = {"kvn": "tdm", "xml": "tdm.xml"}
"""Endings of the two forms of a message: text of keywords and values, and XML."""

SCHEMA = "https://sanaregistry.org/r/ndmxml_unqualified/ndmxml-4.0.0-master-4.0.xsd"
"""The published schema that XML is to be validated against (NDM/XML 505.0-B-3, 4.3), of which the package's classes are made."""

COMMENT = (
    "Optical angles of an unidentified object, by event camera; ICRS, measured against the stars (astrometric).",
    "No correction for light time, diurnal aberration or parallax.",
)


def messages(detections: Detections, site: str, originator: str, created: datetime | None = None) -> dict[str, bytes]:
    """Two files for each object, <recording>.<object_id>.tdm and .tdm.xml, of the same content: name -> content.

    Objects whose place on the sky is not known have none.

    Args:
        detections: of one recording, with columns of schema.SKY_COLUMNS and UTC_COLUMNS.
        site: who observed: PARTICIPANT_1.
        originator: who sends the message: ORIGINATOR.
        created: when, UTC; None: see `creation_time`.

    Raises InputError: the package is missing, or SOURCE_DATE_EPOCH is no time.
    """
    try:
        from ccsds_ndm.mapping import NDMFileFormats
        from ccsds_ndm.ndm_io import NdmIo
    except ImportError:
        raise InputError("--tdm: needs the package ccsds-ndm: pip install 'spikeseg[sky]'") from None
    forms = {"kvn": (NDMFileFormats.KVN, {}), "xml": (NDMFileFormats.XML, {"no_namespace_schema_location": SCHEMA})}
    at = (created or creation_time()).strftime("%Y-%m-%dT%H:%M:%S")
    files = {}
    for number in detections.object_ids:
        rows = detections.by_track[number]
        rows = rows[np.isfinite(rows["ra"])]
        if not len(rows):
            continue
        message = _message(rows, f"{detections.recording}-{number}", (site, originator, at))
        for form, suffix in SUFFIXES.items():
            kind, options = forms[form]
            text = NdmIo().to_string(message, kind, **options)
            text = text.replace("META_STOP\n\n", "META_STOP\n")  # a blank line that some readers stumble at
            files[f"{detections.recording}.{number}.{suffix}"] = text.encode()
    return files


def creation_time() -> datetime:
    """When messages are made: SOURCE_DATE_EPOCH, s since 1970, where the environment has it, so that bytes repeat
    (https://reproducible-builds.org/specs/source-date-epoch/); else now.

    Raises InputError: it is no such number."""
    said = os.environ.get("SOURCE_DATE_EPOCH")
    if said is None:
        return datetime.now(UTC)
    try:
        return datetime.fromtimestamp(int(said), UTC)
    except (ValueError, OverflowError, OSError):
        raise InputError(f"SOURCE_DATE_EPOCH={said!r}: must be a whole number of seconds since 1970") from None


def _message(rows: np.ndarray, track: str, parties: tuple[str, str, str]) -> object:
    """The message of a track (n rows), called `track`. parties: site, originator, time of creation.

    Names are in capitals: in XML, values have to be all in capitals or all in small letters (505.0-B-3, 3.6)."""
    from ccsds_ndm.models import ndmxml4 as ndm

    track, (site, originator, created) = track.upper(), (party.upper() for party in parties)
    epochs = [text.removesuffix("Z") for text in rows["utc"].tolist()]
    unit = ndm.AngleUnits.DEG
    data = [
        ndm.TrackingDataObservationType(epoch=epoch, **{f"angle_{k}": ndm.AngleType(value=round(value, 7), units=unit)})
        for epoch, *angles in zip(epochs, rows["ra"].tolist(), rows["dec"].tolist(), strict=True)
        for k, value in enumerate(angles, 1)
    ]
    errors = np.array([np.median(rows[name]) for name in ("ra_err", "dec_err")])
    known = [f"Standard deviation: RA cos(Dec) {errors[0]:.2f} arcsec, Dec {errors[1]:.2f} arcsec, without that of the pointing."]
    metadata = ndm.TdmMetadata(
        comment=[*COMMENT, *(known if np.isfinite(errors).all() else [])],
        track_id=track,
        data_types="ANGLE_1,ANGLE_2",
        time_system="UTC",
        start_time=epochs[0],
        stop_time=epochs[-1],
        participant_1=site,
        participant_2=f"UNIDENTIFIED {track}",
        mode=ndm.ModeType.SEQUENTIAL,
        path="2,1",
        timetag_ref=ndm.TimetagRefType.RECEIVE,
        angle_type=ndm.AngleTypeType.RADEC,
        reference_frame=ndm.RefFrameType.ICRF,
        data_quality=ndm.DataQualityType.RAW_1,  # in capitals, as other readers take it
    )
    return ndm.Tdm(
        header=ndm.TdmHeader(creation_date=created, originator=originator),
        body=ndm.TdmBody(segment=[ndm.TdmSegment(metadata=metadata, data=ndm.TdmData(observation=data))]),
    )
